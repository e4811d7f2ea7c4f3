"""Where the rows of a source are between passes: held on the workers, or read each time."""

# mypy: allow-untyped-calls
from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from dask.delayed import Delayed, delayed
from distributed import Client, Future

from gmm_dask.blocks import ArraySource, Source
from gmm_dask.engine.dask_graph import load_graph
from gmm_dask.engine.dask_source import LazySource
from gmm_dask.engine.dask_wait import BROKEN, NoAnswer, address, call
from gmm_dask.engine.memory import Cache, human_bytes
from gmm_dask.engine.plan import Plan
from gmm_dask.errors import ClusterError, PlanError

MEMORY_SHARE = 0.5  # of the cluster's memory that blocks may fill in cache auto
SENT_BYTES = 256 * 2**20  # the most that is sent through the scheduler by value
GONE = ("cancelled", "error", "lost")


@dataclass(frozen=True)
class Cluster:
    """Size of a cluster at one moment.

    Parameters
    ----------
    workers, threads : int
        Of the whole cluster.
    threads_per_worker : int
        The largest of any worker, at least 1.
    memory_limit : int or None
        Bytes of the smallest worker; None if none has a limit.
    memory : float
        Bytes of all workers; infinite if one has no limit.
    """

    workers: int
    threads: int
    threads_per_worker: int
    memory_limit: int | None
    memory: float


def look_at(client: Client, timeout: float) -> Cluster:
    """Return the size of a client's cluster.

    Raises
    ------
    ClusterError
        If the scheduler does not answer.
    """
    try:
        # asked of the scheduler itself: the client's own list may be cut short
        scheduler: Any = client.scheduler
        found = call(client, scheduler.identity, timeout, n_workers=-1)["workers"].values()
    except NoAnswer as error:
        raise ClusterError(f"the scheduler at {address(client)} does not answer") from error
    threads = [int(worker["nthreads"]) for worker in found]
    limits = [int(worker["memory_limit"] or 0) for worker in found]
    return Cluster(
        workers=len(threads),
        threads=sum(threads),
        threads_per_worker=max(threads, default=1),
        memory_limit=min((limit for limit in limits if limit), default=None),
        memory=float(sum(limits)) if all(limits) else float("inf"),
    )


def choose_cache(
    wanted: Literal["auto", "memory", "stream"], source: Source, cluster: Cluster
) -> Cache:
    """Return whether the rows of a source are held or streamed.

    Raises
    ------
    PlanError
        If an array of this process is too large to be sent.
    """
    size = source.n_rows * len(source.columns) * source.dtype.itemsize
    if isinstance(source, ArraySource):
        if size > SENT_BYTES:
            raise PlanError(
                f"a NumPy array of {human_bytes(size)} would be sent through the scheduler (limit "
                f"{human_bytes(SENT_BYTES)}); save it as zarr and give that, or fit without a "
                "cluster"
            )
        return "memory"
    if isinstance(source, LazySource) and source.is_persisted:
        return "memory"
    if wanted == "auto":
        return "memory" if size < MEMORY_SHARE * cluster.memory else "stream"
    return wanted


@dataclass
class Placement:
    """The rows of one source on one cluster.

    Parameters
    ----------
    source : Source
    cache : {"memory", "stream"}
    futures : list of Future
        One for each block in memory mode, none before the first pass.
    """

    source: Source
    cache: Cache
    futures: list[Future[Any]] = field(default_factory=list)

    def rows(self, client: Client, plan: Plan) -> Source | list[Future[Any]]:
        """Return what the leaves of a pass read; blocks that were lost are loaded again."""
        if self.cache == "stream":
            return self.source
        gone = [i for i in range(plan.n_blocks) if not self._holds(i)]
        if gone:
            nodes = _block_nodes(self.source, plan)
            fresh = client.compute([nodes[i] for i in gone], optimize_graph=False)
            kept = dict(enumerate(self.futures)) | dict(zip(gone, fresh, strict=True))
            self.futures = [kept[i] for i in range(plan.n_blocks)]
        return self.futures

    def release(self) -> None:
        """Let the cluster forget the blocks."""
        for future in self.futures:
            with suppress(*BROKEN):
                future.release()
        self.futures = []

    def _holds(self, index: int) -> bool:
        """Return whether a block is held, or on its way."""
        return index < len(self.futures) and self.futures[index].status not in GONE


def _block_nodes(source: Source, plan: Plan) -> list[Delayed]:
    """Return one lazy value for each block of the plan."""
    if isinstance(source, LazySource):
        return _chunk_nodes(source, plan)
    token = uuid.uuid4().hex
    if isinstance(source, ArraySource):
        spans = enumerate(plan.blocks)
        parts = ((i, source.read(lo, hi).values) for i, (lo, hi) in spans)
        return [delayed(part, name=f"load-{token}-{i}", traverse=False) for i, part in parts]
    return load_graph(source, plan, token)


def _chunk_nodes(source: LazySource, plan: Plan) -> list[Delayed]:
    """Return the chunks of a Dask array, cut again by absolute row only if they differ."""
    array = source.array
    wanted = tuple(hi - lo for lo, hi in plan.blocks)
    if array.chunks[0] != wanted:
        array = array.rechunk((wanted, array.chunks[1]), method="tasks")
    return [node for row in array.to_delayed() for node in row]
