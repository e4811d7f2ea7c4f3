"""`Engine`: what runs passes over a source, and the record of each pass."""

from __future__ import annotations

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from gmm_dask import tree
from gmm_dask.blocks import Block, Source
from gmm_dask.engine.partial import Partial, PerBlock, Question, ask, check_root
from gmm_dask.engine.plan import Plan, plan_for
from gmm_dask.errors import SourceChangedError
from gmm_dask.stats import Fold

A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class PassRecord:
    """What one pass took.

    Parameters
    ----------
    seconds : float
    n_rows, n_blocks : int
    retries : int
        Times the pass was started again after a loss.
    workers_lost : int
        Workers that left since the last pass of this engine was recorded.
    rows_digest : str
        Digest of all rows as they were read, in the plan's blocks: equal in every pass over one
        source by one plan.
    """

    seconds: float
    n_rows: int
    n_blocks: int
    retries: int
    workers_lost: int
    rows_digest: str


@dataclass(frozen=True)
class Run:
    """Outcome of a pass as an engine hands it back.

    Parameters
    ----------
    root : Partial
    retries, workers_lost : int
        See `PassRecord`.
    """

    root: Partial
    retries: int = 0
    workers_lost: int = 0


class Engine(ABC):
    """Runs folds and row functions over a source, by a plan that depends on the data alone.

    Every engine gives the same bits for the same source, `block_rows` and `fan_in`.

    Parameters
    ----------
    block_rows : int, optional
        Rows of a block, a multiple of 4096 (default: see `make_plan`).
    fan_in : int
        Statistics merged into one node of the tree.
    """

    def __init__(self, block_rows: int | None = None, fan_in: int = 8) -> None:
        self.block_rows = block_rows
        self.fan_in = fan_in
        self.history: list[PassRecord] = []
        self._last: tuple[Source, tuple[int, ...]] | None = None

    @abstractmethod
    def _run(self, question: Question, source: Source) -> Run:
        """Return the root of the tree of one pass."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what a manifest records about the engine (JSON types)."""

    def plan(self, source: Source) -> Plan:
        """Return the plan by which this engine cuts `source`."""
        return plan_for(source, self.block_rows, self.fan_in)

    def fold(self, fold: Fold[Any, Any, A], source: Source) -> A:
        """Run one pass and return the fold's answer.

        Parameters
        ----------
        fold : Fold
            One question, or a `Batch` of those of all live fits.
        source : Source

        Raises
        ------
        DataError
            What the source or fold raised, with block and rows.
        SourceChangedError
            If rows differ from those of the last pass over this source.
        ResourceError
            If memory, storage or workers failed beyond repair.
        """
        return fold.finish(self._pass(ask(fold, source, self.plan(source)), source))

    def map(self, function: Callable[[Block], R], source: Source) -> tuple[R, ...]:
        """Return ``function(block)`` of every block, in block order.

        Parameters
        ----------
        function : callable
            Takes a whole `Block`. May be called more than once for a block, on any worker, so it
            must be idempotent: write aside, then rename. Its result must be small and pickle.
        source : Source

        Raises
        ------
        GmmDaskError
            As `fold`.
        """
        call = PerBlock(function, uuid.uuid4().hex)
        results = self._pass(ask(call, source, self.plan(source), whole=True), source)
        return tuple(results)

    def close(self) -> None:
        """Drop what is held between passes; the engine can be used again."""
        self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _pass(self, question: Question, source: Source) -> Any:
        """Run one pass, check and record it, and return the statistics of all rows."""
        started = time.perf_counter()
        run = self._run(question, source)
        root = check_root(question, run.root)
        self._compare(source, question.plan, root.seen)
        record = PassRecord(
            seconds=time.perf_counter() - started,
            n_rows=question.plan.n_rows,
            n_blocks=question.plan.n_blocks,
            retries=run.retries,
            workers_lost=run.workers_lost,
            rows_digest=tree.fingerprint(root.seen),
        )
        self.history.append(record)
        return root.stats

    def _compare(self, source: Source, plan: Plan, seen: tuple[int, ...]) -> None:
        """Raise SourceChangedError if the last pass over this source saw other rows."""
        if self._last is None or self._last[0] is not source:
            self._last = (source, seen)
            return
        before = self._last[1]
        if before == seen:
            return
        changed = [i for i, pair in enumerate(zip(before, seen, strict=True)) if pair[0] != pair[1]]
        lo, hi = plan.block(changed[0])
        raise SourceChangedError(
            f"the source did not return the same rows twice: {len(changed)} of {len(seen)} blocks "
            f"differ from the last pass, first block {changed[0]} (rows {lo} to {hi - 1}). "
            "Sums of different data were not mixed; write the data once, then run again"
        )
