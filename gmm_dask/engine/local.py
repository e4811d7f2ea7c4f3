"""Passes on threads of this process, without Dask."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import Any

from gmm_dask.blocks import Source
from gmm_dask.engine.base import Engine, Run
from gmm_dask.engine.blas import one_blas_thread
from gmm_dask.engine.memory import check, project
from gmm_dask.engine.partial import Partial, Question, measure_block, reduce_in_order
from gmm_dask.errors import ConfigError


class LocalEngine(Engine):
    """Runs passes on a pool of threads, with the plan, tree and bits of the Dask engine.

    Parameters
    ----------
    n_threads : int, optional
        Default: the cores this process may use.
    block_rows, fan_in : int
        See `Engine`.
    memory_limit : int, optional
        Bytes; a pass that needs more is refused before a row is read. Default: no limit.
    """

    def __init__(
        self,
        n_threads: int | None = None,
        block_rows: int | None = None,
        fan_in: int = 8,
        memory_limit: int | None = None,
    ) -> None:
        super().__init__(block_rows, fan_in)
        self.n_threads = available_cores() if n_threads is None else n_threads
        self.memory_limit = memory_limit
        if self.n_threads < 1:
            raise ConfigError(f"n_threads is {n_threads}; at least 1 is needed")

    def describe(self) -> dict[str, Any]:
        """Return what a manifest records about the engine (JSON types)."""
        return {
            "type": "threads",
            "threads": self.n_threads,
            "block_rows": self.block_rows,
            "fan_in": self.fan_in,
        }

    def _run(self, question: Question, source: Source) -> Run:
        """Measure the blocks on threads and merge them in block order."""
        threads = min(self.n_threads, question.plan.n_blocks)
        check(project(question.plan, source, question.fold, threads, "stream"), self.memory_limit)
        with one_blas_thread(), closing(_in_order(question, source, threads)) as parts:
            return Run(reduce_in_order(question.fold, parts, question.plan.fan_in))


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _in_order(question: Question, source: Source, threads: int) -> Generator[Partial, None, None]:
    """Yield the partials of all blocks in order, `threads` at a time.

    Only a few blocks are started ahead of the one awaited, so that results do not pile up. On an
    interrupt or error those not yet started are dropped and the running ones end at their slab.
    """
    blocks = range(question.plan.n_blocks)
    if threads == 1:
        yield from (measure_block(question, source, index) for index in blocks)
        return
    halt = Event()
    waiting: deque[Future[Partial]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="gmm-dask") as pool:
        try:
            for index in blocks:
                waiting.append(pool.submit(measure_block, question, source, index, halt))
                if len(waiting) == 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            halt.set()
            pool.shutdown(wait=False, cancel_futures=True)
