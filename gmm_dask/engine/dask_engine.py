"""Passes on a Dask cluster: pure tasks, a fixed tree, and blocks that stay or stream."""

# mypy: allow-untyped-calls
from __future__ import annotations

import uuid
from contextlib import suppress
from threading import Lock
from typing import Any, Literal

import dask
from dask.delayed import Delayed
from distributed import Client, Future

from gmm_dask.blocks import Source
from gmm_dask.engine.base import Engine, Run
from gmm_dask.engine.dask_graph import block_of, pass_graph
from gmm_dask.engine.dask_placement import Cluster, Placement, choose_cache, look_at
from gmm_dask.engine.dask_roll import RollCall
from gmm_dask.engine.dask_wait import BROKEN, address, require_package, require_workers
from gmm_dask.engine.dask_watch import Lost, Watch, memory_kills, outcome
from gmm_dask.engine.memory import Cache, Projection, check, human_bytes, project
from gmm_dask.engine.partial import Partial, Question
from gmm_dask.errors import ClusterError, ConfigError

SOURCES_KEPT = 2

_submitting = Lock()


class DaskEngine(Engine):
    """Runs passes on the workers of a client.

    A pass is one node with the question, one pure task for each block and the plan's tree; no
    task is pinned to a worker, nothing is scattered and no state lives on workers, so whatever
    dies is computed again, with the same bits.

    Parameters
    ----------
    client : distributed.Client
        Synchronous. Inside a Dask task use ``worker_client()``. It stays the caller's to close.
    cache : {"auto", "memory", "stream"}
        memory: blocks stay on the workers between passes; Dask chunks that already fit the plan
        are used as they are. stream: each task reads its block in each pass; a lazy Dask
        collection is then computed again every time. auto: memory if the rows take less than half
        of the cluster's memory. Arrays of this process are always sent once and held.
    block_rows, fan_in : int
        See `Engine`.
    timeout : float
        Seconds to wait for workers, for the scheduler, and for any progress. Should be longer than
        the scheduler's ``worker-ttl``, after which a frozen worker is replaced.
    retries : int
        Times a pass is repeated after a loss which the scheduler could not repair.

    Raises
    ------
    ConfigError
        If a setting is not allowed, or the client is asynchronous.
    """

    def __init__(
        self,
        client: Client,
        cache: Literal["auto", "memory", "stream"] = "auto",
        block_rows: int | None = None,
        fan_in: int = 8,
        timeout: float = 300.0,
        retries: int = 5,
    ) -> None:
        super().__init__(block_rows, fan_in)
        if cache not in ("auto", "memory", "stream"):
            raise ConfigError(f"cache is {cache!r}; needed: auto, memory or stream")
        if not timeout > 0 or retries < 0:
            raise ConfigError(
                f"timeout is {timeout} and retries {retries}; needed: above 0, and at least 0"
            )
        if client.asynchronous:
            raise ConfigError(
                "the client is asynchronous; a fit waits for its passes, so give it a synchronous "
                "Client (in a coroutine, run the fit in a thread)"
            )
        self.client = client
        self.cache = cache
        self.timeout = timeout
        self.retries = retries
        self._has_package = False
        self._roll = RollCall(client)
        self._placements: list[Placement] = []
        self._checked = 0
        self._cluster = Cluster(0, 0, 1, None, float("inf"))

    def describe(self) -> dict[str, Any]:
        """Return what a manifest records about the engine (JSON types)."""
        cluster = look_at(self.client, self.timeout)
        return {
            "type": "dask",
            "scheduler": address(self.client),
            "workers": cluster.workers,
            "threads": cluster.threads,
            "cache": self.cache,
            "block_rows": self.block_rows,
            "fan_in": self.fan_in,
        }

    def close(self) -> None:
        """Release the blocks held on the workers; the client stays open."""
        for placement in self._placements:
            placement.release()
        self._placements = []
        super().close()

    def _run(self, question: Question, source: Source) -> Run:
        """Run one pass, again after a loss, up to `retries` times."""
        for attempt in range(self.retries + 1):
            require_workers(self.client, self.timeout)
            self._roll.look(self.timeout)
            if not self._has_package:
                require_package(self.client)
                self._has_package = True
            watch = Watch(self._roll, uuid.uuid4().hex, self.timeout)
            try:
                root = self._attempt(question, source, watch)
            except Lost as loss:
                last = self._explained(loss, question, source)
            else:
                self._roll.look(self.timeout)
                return Run(root, attempt, self._roll.take())
        raise ClusterError(f"gave up after {self.retries + 1} attempts of one pass: {last}")

    def _attempt(self, question: Question, source: Source, watch: Watch) -> Partial:
        """Submit one pass and wait for its root; leave nothing behind."""
        placement = self._placement(question, source)
        rows = placement.rows(self.client, question.plan)
        root = pass_graph(question, rows, watch.token)
        future = _submit(self.client, root)
        try:
            return outcome(future, watch)
        finally:
            _drop(future)

    def _placement(self, question: Question, source: Source) -> Placement:
        """Return where the rows are, having checked that the pass fits into a worker."""
        known = next((p for p in self._placements if p.source is source), None)
        needed = question.fold.stats_bytes + question.fold.working_bytes(question.plan.slab_rows)
        if known is not None and needed <= self._checked:
            return known
        cluster = self._cluster = look_at(self.client, self.timeout)
        cache = known.cache if known else choose_cache(self.cache, source, cluster)
        check(self._needs(question, source, cache), cluster.memory_limit)
        self._checked = max(needed, self._checked)
        if known is not None:
            return known
        while len(self._placements) >= SOURCES_KEPT:
            self._placements.pop(0).release()
        self._placements.append(Placement(source, cache))
        return self._placements[-1]

    def _needs(self, question: Question, source: Source, cache: Cache) -> Projection:
        """Return the bytes a worker needs, for the cluster as it was last seen whole."""
        threads, workers = self._cluster.threads_per_worker, max(self._cluster.workers, 1)
        return project(question.plan, source, question.fold, threads, cache, workers)

    def _explained(self, loss: Lost, question: Question, source: Source) -> str:
        """Return a loss in words; raise at once if it was for memory, as it would come again.

        Raises
        ------
        ClusterError
            If a worker was killed for memory.
        """
        block = block_of(loss.key)
        where = "a merge of statistics or a block queued beside it"
        if block is not None:
            lo, hi = question.plan.block(block)
            # the scheduler blames every task that waited on the dead worker
            where = f"block {block} (rows {lo} to {hi - 1}) or one queued beside it"
        elif loss.key is None:
            return str(loss)
        reached = memory_kills(self.client, loss.worker)
        needs = self._needs(question, source, self._placement(question, source).cache)
        limit = human_bytes(self._cluster.memory_limit) if self._cluster.memory_limit else "none"
        figures = f"the plan projects {human_bytes(needs.total)} per worker, limit {limit}"
        advice = "cluster.memory_limit, threads_per_worker: 1, or a smaller block_rows"
        if reached:
            raise ClusterError(
                f"worker {loss.worker} was killed for memory in {where}: it reached "
                f"{human_bytes(max(reached))}; {figures}. Set {advice}"
            ) from loss
        return f"{loss}, in {where}; {figures}. If memory was short, set {advice}"


def _submit(client: Client, root: Delayed) -> Future[Any]:
    """Submit a pass without Dask's advice on large graphs.

    The question may take many megabytes, but it is one node already. The setting is global, so
    two threads must not set and restore it at once.
    """
    with _submitting, dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):
        future: Future[Any] = client.compute(root, optimize_graph=False)
    return future


def _drop(future: Future[Any]) -> None:
    """Cancel what still runs of a pass and let the scheduler forget it."""
    with suppress(*BROKEN):
        if future.status == "pending":
            future.cancel()
        future.release()
