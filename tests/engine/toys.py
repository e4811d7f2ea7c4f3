"""Small folds and sources in an importable module, so that worker processes can unpickle them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gmm_dask import tree
from gmm_dask.blocks import Block
from gmm_dask.errors import DataError
from gmm_dask.stats import Fold


class Sums(NamedTuple):
    count: Any
    total: Any
    product: Any
    largest: Any


@dataclass(frozen=True)
class ColumnSums(Fold[Any, Sums, Sums]):
    """Row count, column sums and a matrix of products about `about`, by matrix multiplication."""

    about: Any
    ballast: Any = field(default=None)

    def prepare(self) -> Any:
        return np.asarray(self.about, dtype=np.float64)

    def measure(self, prepared: Any, block: Block) -> Sums:
        rows = block.values.astype(np.float64) - prepared
        return Sums(
            np.array(float(len(rows))), rows.sum(axis=0), rows.T @ rows, np.max(rows, axis=0)
        )

    def merge(self, a: Sums, b: Sums) -> Sums:
        added = tree.add(a[:3], b[:3])
        return Sums(*added, np.maximum(a.largest, b.largest))

    def finish(self, stats: Sums) -> Sums:
        return stats

    def working_bytes(self, rows: int) -> int:
        return rows * 8 * len(self.about)

    @property
    def stats_bytes(self) -> int:
        return 8 * (1 + len(self.about)) ** 2


@dataclass(frozen=True)
class Starts(ColumnSums):
    """Where each measured piece starts: a merge that sees its order, which a sum cannot."""

    def measure(self, prepared: Any, block: Block) -> Any:
        return (block.start,)

    def merge(self, a: Any, b: Any) -> Any:
        return a + b


@dataclass(frozen=True)
class Slow(ColumnSums):
    """Sleeps in every block."""

    pause: float = 0.1

    def measure(self, prepared: Any, block: Block) -> Sums:
        time.sleep(self.pause)
        return super().measure(prepared, block)


@dataclass(frozen=True)
class Poisonous(ColumnSums):
    """Refuses the rows from `row` on."""

    row: int = 0

    def measure(self, prepared: Any, block: Block) -> Sums:
        if block.start + len(block) > self.row:
            raise DataError("a poisonous row")
        return super().measure(prepared, block)


@dataclass(frozen=True)
class Buggy(ColumnSums):
    """Fails in a way nobody foresaw."""

    def measure(self, prepared: Any, block: Block) -> Sums:
        raise ZeroDivisionError("a bug")


@dataclass(frozen=True)
class Generated:
    """Rows computed from their absolute numbers: a source of any size that pickles small."""

    n_rows: int
    n_columns: int = 3
    seed: int = 0
    chunk_rows: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"c{i}" for i in range(self.n_columns))

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.float64)

    @property
    def fingerprint(self) -> str:
        return tree.fingerprint((self.n_rows, self.n_columns, self.seed))

    def read(self, lo: int, hi: int) -> Block:
        return Block(rows_of(self.seed, lo, hi, self.n_columns), lo)


def rows_of(seed: int, lo: int, hi: int, n_columns: int) -> Any:
    """Return rows lo to hi of an endless table of irregular numbers."""
    row = np.arange(lo, hi, dtype=np.float64)[:, None] + 1.0
    column = np.arange(n_columns) + 1.0 + seed
    return np.sin(row * column) * 10.0 ** (column - 2.0) + np.sqrt(row) / column


@dataclass
class Faulty:
    """A source that fails, counted, before it answers; one per process, not shared."""

    inner: Any
    errors: list[Exception]
    reads: int = 0

    @property
    def n_rows(self) -> int:
        return self.inner.n_rows

    @property
    def columns(self) -> tuple[str, ...]:
        return self.inner.columns

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.inner.dtype

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def read(self, lo: int, hi: int) -> Block:
        self.reads += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.inner.read(lo, hi)


def first_row(block: Block) -> tuple[int, int]:
    """Return where a block starts and how long it is."""
    return block.start, len(block)
