"""What rows lack and how large their errors are: counted in one pass, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask import Block, Fold, RowLayout
from pipeline.stages.steps import FloatArray

LARGEST = 2**17
"""Numbers of the patterns that are kept; of more of them the largest."""

SURE = 4.0
"""Standard errors of a difference of means below which it is not told."""


class SurveySums(NamedTuple):
    """Counts of rows, values and errors."""

    n_rows: FloatArray
    """() all rows."""
    patterns: FloatArray
    """(P, D) 1 where the rows of a pattern have a value."""
    counts: FloatArray
    """(P,) rows of each pattern."""
    others: FloatArray
    """() rows of patterns that are not kept."""
    there: FloatArray
    """(D,) rows that have the column."""
    first: FloatArray
    """(D,) sum of values, about `Survey.about`."""
    second: FloatArray
    """(D,) sum of their squares."""
    there_without: FloatArray
    """(D, D) rows that have the column c and not d."""
    first_without: FloatArray
    """(D, D) sum of values of c, about `Survey.about`, where d is missing."""
    noise: FloatArray
    """(D,) sum of error variances of values that are there."""


class Difference(NamedTuple):
    """How rows without one column differ in another."""

    missing: int
    column: int
    with_it: float
    """Mean of the column in rows that have the other."""
    without: float
    """Mean in rows that have not."""
    deviations: float
    """The difference over the column's standard deviation."""


@dataclass(frozen=True)
class Surveyed:
    """What the rows of a source lack, and how large their errors are.

    Parameters
    ----------
    n_rows : int
    patterns : tuple of (columns, rows)
        Columns that are there, by position, and the rows with exactly these; most rows first.
    others : int
        Rows of further patterns.
    there : (D,) float64
        Rows that have each column.
    deviation : (D,) float64
        Standard deviation of each column's values, source units.
    error : (D,) float64
        Root of the mean error variance of each column; 0 without noise.
    differences : tuple of Difference
        For each column that is missing somewhere the column that tells most about it, where one
        does beyond chance.
    """

    n_rows: int
    patterns: tuple[tuple[tuple[int, ...], int], ...]
    others: int
    there: FloatArray
    deviation: FloatArray
    error: FloatArray
    differences: tuple[Difference, ...]

    @property
    def complete(self) -> int:
        """Rows that have every column."""
        D = len(self.there)
        return sum(rows for columns, rows in self.patterns if len(columns) == D)

    @property
    def blank(self) -> int:
        """Rows without any value."""
        return sum(rows for columns, rows in self.patterns if not columns)


@dataclass(frozen=True)
class Survey(Fold[None, SurveySums, Surveyed]):
    """Patterns of missing values, and what goes with them.

    Parameters
    ----------
    layout : RowLayout
    about : tuple of D float
        Numbers near the means, so that squares do not cancel.
    """

    layout: RowLayout
    about: tuple[float, ...]

    @property
    def kept(self) -> int:
        """Patterns that are kept."""
        return max(LARGEST // self.layout.n_columns, 64)

    def prepare(self) -> None:
        """Nothing is needed."""

    def measure(self, prepared: None, block: Block) -> SurveySums:  # noqa: ARG002
        """Return the counts of one block."""
        rows = self.layout.split(block.values)
        there = ~np.isnan(rows.values)
        x = np.where(there, rows.values.astype(np.float64) - self.about, 0.0)
        holes = (~there).astype(np.float64)
        noise = np.zeros(x.shape)
        if rows.noise is not None:
            both = rows.noise.ndim == 3
            noise = np.diagonal(rows.noise, axis1=1, axis2=2) if both else rows.noise
        patterns, counts = np.unique(there, axis=0, return_counts=True)
        return self._trimmed(
            SurveySums(
                np.asarray(float(len(x))),
                patterns.astype(np.float64),
                counts.astype(np.float64),
                np.zeros(()),
                there.sum(axis=0, dtype=np.float64),
                x.sum(axis=0),
                (x * x).sum(axis=0),
                there.T.astype(np.float64) @ holes,
                x.T @ holes,
                np.where(there, noise, 0.0).sum(axis=0),
            )
        )

    def merge(self, a: SurveySums, b: SurveySums) -> SurveySums:
        """Add counts, pattern by pattern."""
        both = np.concatenate([a.patterns, b.patterns])
        patterns, place = np.unique(both, axis=0, return_inverse=True)
        weight = np.concatenate([a.counts, b.counts])
        counts = np.bincount(place.ravel(), weight, len(patterns)).astype(np.float64)
        sums = {name: getattr(a, name) + getattr(b, name) for name in _ADDED}
        return self._trimmed(SurveySums(patterns=patterns, counts=counts, **sums))

    def _trimmed(self, sums: SurveySums) -> SurveySums:
        order = np.argsort(-sums.counts, kind="stable")
        kept, rest = order[: self.kept], order[self.kept :]
        return sums._replace(
            patterns=sums.patterns[kept],
            counts=sums.counts[kept],
            others=sums.others + sums.counts[rest].sum(),
        )

    def finish(self, stats: SurveySums) -> Surveyed:
        """Return the answer in source units."""
        n = np.maximum(stats.there, 1.0)
        mean = stats.first / n
        deviation = np.sqrt(np.maximum(stats.second / n - mean**2, 0.0))
        pairs = zip(stats.patterns, stats.counts, strict=True)
        return Surveyed(
            int(stats.n_rows),
            tuple((tuple(map(int, np.flatnonzero(there))), int(rows)) for there, rows in pairs),
            int(stats.others),
            stats.there,
            deviation,
            np.sqrt(stats.noise / n),
            self._differences(stats, deviation),
        )

    def _differences(self, stats: SurveySums, deviation: FloatArray) -> tuple[Difference, ...]:
        found = []
        for d in np.flatnonzero(stats.there < stats.n_rows):
            without, rows = stats.there_without[:, d], stats.there - stats.there_without[:, d]
            error = np.sqrt(1 / np.maximum(rows, 1.0) + 1 / np.maximum(without, 1.0))
            known = (without > 0) & (rows > 0) & (deviation > 0)
            if not known.any():
                continue
            a = (stats.first - stats.first_without[:, d]) / np.maximum(rows, 1.0)
            b = stats.first_without[:, d] / np.maximum(without, 1.0)
            size = np.where(known, (b - a) / np.where(deviation > 0, deviation, 1.0), 0.0)
            size = np.where(np.abs(size) > SURE * error, size, 0.0)
            if not size.any():
                continue
            c = int(np.abs(size).argmax())
            about = self.about[c]
            found.append(
                Difference(int(d), c, float(a[c]) + about, float(b[c]) + about, float(size[c]))
            )
        return tuple(found)

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of rows taken apart, with their holes."""
        D = self.layout.n_columns
        return rows * (48 * D + (16 * D * D if self.layout.noise == "full" else 0))

    @property
    def stats_bytes(self) -> int:
        """Bytes of the largest counts."""
        D = self.layout.n_columns
        return 8 * (self.kept * (D + 1) + 2 * D * D + 4 * D + 2)


_ADDED = tuple(name for name in SurveySums._fields if name not in ("patterns", "counts"))


def near_means(values: FloatArray) -> tuple[float, ...]:
    """Return numbers near the means of columns, from some rows (n, D); 0 without any value."""
    return tuple(
        float(np.median(column[np.isfinite(column)])) if np.isfinite(column).any() else 0.0
        for column in values.T
    )
