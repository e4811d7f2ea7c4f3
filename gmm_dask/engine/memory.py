"""Bytes a worker will need for a pass, known before any row is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gmm_dask.blocks import Source
from gmm_dask.engine.plan import Plan, read_rows
from gmm_dask.errors import PlanError
from gmm_dask.stats import Fold

Cache = Literal["memory", "stream"]

# A worker that has imported its libraries and compiled a kernel took 315 MiB (2026-11-20);
# compiling a wider one takes somewhat more.
PROCESS_BYTES = 384 * 2**20


@dataclass(frozen=True)
class Projection:
    """Bytes one worker will need for a pass, part by part.

    Parameters
    ----------
    process : int
        Interpreter and libraries.
    held : int
        Blocks kept between passes (memory mode).
    reading : int
        Rows being read, read ahead and decoded.
    working : int
        What measuring needs beside the rows, all threads together.
    merging : int
        Statistics in the making, waiting and being merged, and the question itself.
    block_rows, slab_rows, threads : int
        What these figures rest on.
    cache : {"memory", "stream"}
    """

    process: int
    held: int
    reading: int
    working: int
    merging: int
    block_rows: int
    slab_rows: int
    threads: int
    cache: Cache

    @property
    def total(self) -> int:
        """All parts together, bytes."""
        return self.process + self.held + self.reading + self.working + self.merging


def project(
    plan: Plan,
    source: Source,
    fold: Fold[Any, Any, Any],
    threads: int,
    cache: Cache,
    workers: int = 1,
) -> Projection:
    """Return the bytes that a worker needs, before any row is read.

    Parameters
    ----------
    plan : Plan
    source : Source
    fold : Fold
        All questions of the pass (a `Batch` of the live fits).
    threads : int
        Threads of a worker, each with a block in hand.
    cache : {"memory", "stream"}
        Whether blocks stay on the workers between passes.
    workers : int
        Number of workers that share the held blocks.
    """
    row_bytes = len(source.columns) * source.dtype.itemsize
    blocks_held = -(-plan.n_blocks // workers) if cache == "memory" else 0
    # in flight per thread: the rows in hand, those read ahead, and a store's decoding buffer
    step = read_rows(plan, getattr(source, "chunk_rows", 1))
    in_flight = plan.slab_rows if cache == "memory" else 3 * step
    # a thread holds a slab's sum, the block's and a finished one; a merge fan_in sums; the question
    # and its prepared constants take about as much as one sum each
    sums = 3 * threads + plan.fan_in + 2
    return Projection(
        process=PROCESS_BYTES,
        held=min(blocks_held * plan.block_rows, plan.n_rows) * row_bytes,
        reading=threads * min(in_flight, 3 * plan.n_rows) * row_bytes,
        working=threads * fold.working_bytes(min(plan.slab_rows, plan.n_rows)),
        merging=sums * fold.stats_bytes,
        block_rows=plan.block_rows,
        slab_rows=plan.slab_rows,
        threads=threads,
        cache=cache,
    )


def check(projection: Projection, limit: int | None) -> None:
    """Raise PlanError if a worker needs more memory than its limit.

    Parameters
    ----------
    projection : Projection
    limit : int or None
        Bytes of one worker; None or 0 means no limit.

    Raises
    ------
    PlanError
        With the parts in numbers and the setting to change.
    """
    if not limit or projection.total <= limit:
        return
    parts = {name: getattr(projection, name) for name in _KNOBS}
    listed = ", ".join(f"{name} {human_bytes(size)}" for name, size in parts.items())
    largest = max(parts, key=lambda name: parts[name])
    raise PlanError(
        f"a worker needs {human_bytes(projection.total)} of memory, its limit is "
        f"{human_bytes(limit)}: {listed}, process {human_bytes(projection.process)} "
        f"({projection.threads} threads, blocks of {projection.block_rows} rows in slabs of "
        f"{projection.slab_rows}, cache {projection.cache}). {_KNOBS[largest]}, "
        "or raise cluster.memory_limit"
    )


_KNOBS = {
    "held": "Set cluster.cache: stream, or add workers",
    "reading": "Set cluster.threads_per_worker: 1, or a smaller block_rows",
    "working": "Set cluster.threads_per_worker: 1, or a smaller block_rows",
    "merging": "Fit fewer models at once (fewer n_init or n_components), or a smaller fan_in",
}


def human_bytes(size: float) -> str:
    """Return a size in words a reader compares at a glance, such as ``5.2 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
