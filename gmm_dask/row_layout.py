"""Rows taken apart, and how they travel: values, weights, groups, noise, projections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Observed(NamedTuple):
    """Rows taken apart: what was measured, and how well."""

    values: npt.NDArray[Any]
    """(n, D) source units; NaN where nothing was measured."""
    sample_weight: FloatArray | None = None
    """(n,), none negative."""
    noise: FloatArray | None = None
    """Of each row's values: variances (n, D) or covariances (n, D, D), source units squared."""
    group: IntArray | None = None
    """(n,) number of the group (well, plate, batch) whose weights the row has."""
    projection: FloatArray | None = None
    """(n, d, D): values are d measurements of each row, this times its D columns."""


class RowLayout(NamedTuple):
    """Which numbers of a row are values, and which say how it is to be taken.

    A row travels as one run of numbers: D values; its weight, if rows have weights; the number of
    its group, if there are groups; its noise, D variances or the D (D + 1) / 2 covariances of a
    lower triangle, row by row. So nothing on the way (blocks, checksums, scratch stores) needs to
    know of weights, groups and noise. Of rows with projections the values are d measurements, the
    noise is theirs, and the d D numbers of the projection follow.
    """

    n_columns: int
    """D."""
    sample_weight: bool = False
    noise: str = ""
    """"" (none), "diag" or "full"."""
    missing: bool = False
    """NaN means missing; otherwise it is refused."""
    compute_dtype: str = "float64"
    """In which E-steps of complete rows compute; see `kernels.single` for what float32 costs."""
    n_groups: int = 0
    """G; 0 where rows have no groups."""
    measured: int = 0
    """Measurements d of each row by a projection of its own; 0: the columns themselves."""
    exact: bool = False
    """Take values as exact, whatever their noise."""

    @property
    def n_values(self) -> int:
        """Values of a row: its columns, or its measurements."""
        return self.measured or self.n_columns

    @property
    def width(self) -> int:
        """Columns of the source."""
        d = self.n_values
        noise = {"": 0, "diag": d, "full": d * (d + 1) // 2}[self.noise]
        return self.beside + noise + self.measured * self.n_columns

    @property
    def beside(self) -> int:
        """Columns before those of noise."""
        return self.n_values + self.sample_weight + (self.n_groups > 0)

    @property
    def plain(self) -> bool:
        """Whether rows are complete, alike and without noise."""
        beside = self.sample_weight or self.noise or self.n_groups or self.measured
        return not (beside or self.missing)

    @property
    def holes(self) -> bool:
        """Whether rows may lack some of the columns."""
        return self.missing or self.measured > 0

    def names(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return names of all numbers of a row, of which D are given."""
        names = [*columns, *(["sample_weight"] if self.sample_weight else [])]
        names += ["group"] if self.n_groups else []
        if self.noise == "diag":
            names += [f"noise {column}" for column in columns]
        elif self.noise == "full":
            D = self.n_columns
            names += [f"noise {columns[i]} {columns[j]}" for i in range(D) for j in range(i + 1)]
        return tuple(names)

    def split(self, rows: npt.NDArray[Any]) -> Observed:
        """Return rows (n, width) taken apart."""
        d = self.n_values
        if self.plain:
            return Observed(rows)
        weight = rows[:, d].astype(np.float64) if self.sample_weight else None
        group = rows[:, self.beside - 1].astype(np.int64) if self.n_groups else None
        rest = rows[:, self.beside :].astype(np.float64)
        rest, flat = np.split(rest, [rest.shape[1] - self.measured * self.n_columns], axis=1)
        projection = flat.reshape(-1, d, self.n_columns) if self.measured else None
        noise = unpacked(rest, d) if self.noise == "full" else rest
        kept = noise if self.noise and not self.exact else None
        return Observed(rows[:, :d], weight, kept, group, projection)

    def join(self, observed: Observed) -> npt.NDArray[Any]:
        """Return rows (n, width) of which `split` gives the parts back."""
        parts = [observed.values]
        if observed.sample_weight is not None:
            parts.append(observed.sample_weight[:, None])
        if observed.group is not None:
            parts.append(observed.group[:, None])
        if observed.noise is not None:
            noise = observed.noise
            lower = np.tril_indices(self.n_values)
            parts.append(noise if noise.ndim == 2 else noise[:, lower[0], lower[1]])
        if observed.projection is not None:
            parts.append(observed.projection.reshape(len(observed.values), -1))
        return np.concatenate(parts, axis=1, dtype=observed.values.dtype)


def unpacked(packed: FloatArray, n_columns: int) -> FloatArray:
    """Return symmetric matrices (n, D, D) from their lower triangles (n, D (D + 1) / 2)."""
    matrices = np.empty((len(packed), n_columns, n_columns))
    i, j = np.tril_indices(n_columns)
    matrices[:, i, j] = packed
    matrices[:, j, i] = packed
    return matrices
