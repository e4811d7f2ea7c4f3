"""Rows as they travel: `Block`, the `Source` that reads them, and the `Frame` they are seen in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gmm_dask import tree
from gmm_dask.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

FLOAT_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True, slots=True)
class Block:
    """A run of consecutive rows as the E-step sees them.

    Parameters
    ----------
    values : ndarray (n, D), float32 or float64
        In source units, C order, native byte order.
    start : int
        Absolute row number of the first row. Whatever is decided per row (random draws, held-out
        rows, tiles) is decided from absolute row numbers, never from the block's own.
    """

    values: npt.NDArray[Any]
    start: int

    def __len__(self) -> int:
        return len(self.values)

    @property
    def row(self) -> IntArray:
        """Absolute row numbers (n,), int64."""
        return np.arange(self.start, self.start + len(self.values), dtype=np.int64)


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


class RowLayout(NamedTuple):
    """Which columns of a source are values, and which say how rows are to be taken.

    A row travels as one run of numbers: D values; its weight, if rows have weights; the number of
    its group, if there are groups; its noise, D variances or the D (D + 1) / 2 covariances of a
    lower triangle, row by row. So nothing on the way (blocks, checksums, scratch stores) needs to
    know of weights, groups and noise.
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

    @property
    def width(self) -> int:
        """Columns of the source."""
        D = self.n_columns
        return self.beside + {"": 0, "diag": D, "full": D * (D + 1) // 2}[self.noise]

    @property
    def beside(self) -> int:
        """Columns before those of noise."""
        return self.n_columns + self.sample_weight + (self.n_groups > 0)

    @property
    def plain(self) -> bool:
        """Whether rows are complete, alike and without noise."""
        return not (self.sample_weight or self.noise or self.missing or self.n_groups)

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
        D = self.n_columns
        if self.plain:
            return Observed(rows)
        weight = rows[:, D].astype(np.float64) if self.sample_weight else None
        group = rows[:, self.beside - 1].astype(np.int64) if self.n_groups else None
        rest = rows[:, self.beside :].astype(np.float64)
        noise = unpacked(rest, D) if self.noise == "full" else rest
        return Observed(rows[:, :D], weight, noise if self.noise else None, group)

    def join(self, observed: Observed) -> npt.NDArray[Any]:
        """Return rows (n, width) of which `split` gives the parts back."""
        parts = [observed.values]
        if observed.sample_weight is not None:
            parts.append(observed.sample_weight[:, None])
        if observed.group is not None:
            parts.append(observed.group[:, None])
        if observed.noise is not None:
            noise = observed.noise
            lower = np.tril_indices(self.n_columns)
            parts.append(noise if noise.ndim == 2 else noise[:, lower[0], lower[1]])
        return np.concatenate(parts, axis=1, dtype=observed.values.dtype)


def unpacked(packed: FloatArray, n_columns: int) -> FloatArray:
    """Return symmetric matrices (n, D, D) from their lower triangles (n, D (D + 1) / 2)."""
    matrices = np.empty((len(packed), n_columns, n_columns))
    i, j = np.tril_indices(n_columns)
    matrices[:, i, j] = packed
    matrices[:, j, i] = packed
    return matrices


@runtime_checkable
class Source(Protocol):
    """Rows that can be read by absolute position.

    Pickles as a recipe (a path, not an open handle). `read` must return the same rows whenever
    and wherever it is called.
    """

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the D columns."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: the type of the values that `read` returns."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest that changes when the data change."""
        ...

    def read(self, lo: int, hi: int) -> Block:
        """Return rows ``lo <= row < hi`` (0 <= lo < hi <= n_rows)."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Rows of a NumPy array held in memory (a memory map works too).

    Parameters
    ----------
    values : ndarray (N, D), float32 or float64
    columns : sequence of D names, optional
        Default x0, x1, ...
    """

    values: npt.NDArray[Any]
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype not in FLOAT_DTYPES:
            raise DataError(
                f"values have shape {self.values.shape} and dtype {self.values.dtype}; "
                "needed: a float32 or float64 array with one row per observation (N, D)"
            )
        if not self.columns:
            object.__setattr__(self, "columns", default_columns(self.values.shape[1]))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.values)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of names, shape, type and contents."""
        return tree.fingerprint((self.columns, self.values))

    def read(self, lo: int, hi: int) -> Block:
        """Return rows lo to hi, without a copy where they are contiguous already."""
        return Block(np.ascontiguousarray(self.values[lo:hi]), lo)


def default_columns(n_columns: int) -> tuple[str, ...]:
    """Return x0, x1, ... for data without column names."""
    return tuple(f"x{i}" for i in range(n_columns))


@dataclass(frozen=True)
class Frame:
    """The affine frame in which kernels compute: ``y = (x - shift) / scale``.

    Found by the first pass and constant for a run. The scale is a power of two, so that the map
    itself loses no bit and data in other units give the same fit; parameters are kept in the
    frame, so that data far from the origin lose no digit.

    Parameters
    ----------
    shift : (D,) float64
        Near the column means, source units.
    scale : (D,) float64
        Powers of two near the column standard deviations, source units.
    scatter : (D, D) float64
        Covariance of all rows in the frame (about their mean), maximum likelihood.
    centre : (D,) float64
        Mean of all rows in the frame (nearly zero).
    """

    shift: FloatArray
    scale: FloatArray
    scatter: FloatArray
    centre: FloatArray

    @property
    def variance(self) -> FloatArray:
        """Column variances in the frame (D,): between 1/4 and 4, or 0 for a constant column."""
        return np.ascontiguousarray(np.diagonal(self.scatter))

    @property
    def log_scale(self) -> float:
        """Sum of log scales: what turns a log density in the frame into source units."""
        return float(np.log(self.scale).sum())

    def forward(self, values: npt.NDArray[Any]) -> FloatArray:
        """Map rows (n, D) from source units into the frame, in float64."""
        rows: FloatArray = (values.astype(np.float64, copy=False) - self.shift) / self.scale
        return rows

    def backward(self, rows: FloatArray) -> FloatArray:
        """Map rows or means (n, D) from the frame into source units."""
        values: FloatArray = rows * self.scale + self.shift
        return values

    def shared(self) -> Frame:
        """Return this frame with one scale for all columns, as spherical components need."""
        mean_variance = float((self.variance * (self.scale / self.scale.max()) ** 2).mean())
        common = power_of_two(np.sqrt(mean_variance) * self.scale.max())
        ratio = self.scale / common
        scale = np.full_like(self.scale, common)
        return Frame(self.shift, scale, self.scatter * np.outer(ratio, ratio), self.centre * ratio)

    def of_columns(self, columns: IntArray) -> Frame:
        """Return the frame of some columns (d,)."""
        inside = np.ix_(columns, columns)
        return Frame(
            self.shift[columns], self.scale[columns], self.scatter[inside], self.centre[columns]
        )

    @staticmethod
    def identity(n_columns: int) -> Frame:
        """Return the frame that changes nothing: unit scale, no shift, unit scatter."""
        zero = np.zeros(n_columns)
        return Frame(zero, np.ones(n_columns), np.eye(n_columns), zero)


def power_of_two(value: float) -> float:
    """Return the power of two nearest to a positive number (1 for 0)."""
    return math.ldexp(1.0, min(round(math.log2(value)), 1023)) if value > 0 else 1.0


def check_columns(expected: Sequence[str], found: Sequence[str], where: str) -> None:
    """Raise DataError unless both hold the same names in the same order."""
    if tuple(expected) != tuple(found):
        raise DataError(f"{where}: columns {list(found)} came, {list(expected)} are needed")
