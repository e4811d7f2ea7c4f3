"""The `Fold` protocol: one mergeable question to the data.

A fold is a function from a block of rows to statistics, and a merge. Statistics are trees of
float64 arrays (nested named tuples), so the merge is plain addition unless a fold says otherwise
(extrema). Everything that touches rows, from EM to diagnostics, is a fold; the engine runs folds
and knows nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gmm_dask import tree
from gmm_dask.blocks import Block

P = TypeVar("P")  # prepared constants of a pass
S = TypeVar("S")  # statistics
A = TypeVar("A")  # answer


class Fold(ABC, Generic[P, S, A]):
    """One mergeable question. Implementations are small frozen dataclasses that pickle."""

    @abstractmethod
    def prepare(self) -> P:
        """Return constants of a pass (factorisations), made once per pass and process."""

    @abstractmethod
    def measure(self, prepared: P, block: Block) -> S:
        """Return the statistics of one block."""

    def merge(self, a: S, b: S) -> S:
        """Return the statistics of the rows of `a` followed by those of `b`."""
        return tree.add(a, b)

    @abstractmethod
    def finish(self, stats: S) -> A:
        """Return the answer from the statistics of all rows."""

    @abstractmethod
    def working_bytes(self, rows: int) -> int:
        """Return the bytes needed beside the block itself to measure `rows` rows."""

    @property
    @abstractmethod
    def stats_bytes(self) -> int:
        """Bytes of one block's statistics."""

    @property
    def fingerprint(self) -> str:
        """Digest of the question: equal for equal questions."""
        return tree.fingerprint(self)


@dataclass(frozen=True)
class Batch(Fold[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]):
    """Several questions in one pass: each block is read once for all of them.

    Parameters
    ----------
    folds : tuple of Fold
        Asked in this order; the answer is the tuple of their answers.
    """

    folds: tuple[Fold[Any, Any, Any], ...]

    def prepare(self) -> tuple[Any, ...]:
        """Prepare each fold."""
        return tuple(fold.prepare() for fold in self.folds)

    def measure(self, prepared: tuple[Any, ...], block: Block) -> tuple[Any, ...]:
        """Measure the block for each fold."""
        pairs = zip(self.folds, prepared, strict=True)
        return tuple(fold.measure(ready, block) for fold, ready in pairs)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        """Merge fold by fold."""
        triples = zip(self.folds, a, b, strict=True)
        return tuple(fold.merge(x, y) for fold, x, y in triples)

    def finish(self, stats: tuple[Any, ...]) -> tuple[Any, ...]:
        """Finish each fold."""
        return tuple(f.finish(s) for f, s in zip(self.folds, stats, strict=True))

    def working_bytes(self, rows: int) -> int:
        """Return the largest need of any fold: they are measured one after another."""
        return max((fold.working_bytes(rows) for fold in self.folds), default=0)

    @property
    def stats_bytes(self) -> int:
        """Bytes of all statistics together."""
        return sum(fold.stats_bytes for fold in self.folds)

    @property
    def fingerprint(self) -> str:
        """Digest of all questions in order."""
        return tree.fingerprint(tuple(fold.fingerprint for fold in self.folds))


def batch(folds: Sequence[Fold[Any, Any, Any]]) -> Batch:
    """Return one fold that asks all `folds` in a single pass."""
    return Batch(tuple(folds))
