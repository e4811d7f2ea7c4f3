"""Rows as they travel: `Block`, the `Source` that reads them, and the `Frame` they are seen in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from gmm_dask import tree
from gmm_dask.errors import DataError
from gmm_dask.row_layout import BoolArray, FloatArray, IntArray, Observed, RowLayout, unpacked

__all__ = [
    "FLOAT_DTYPES",
    "ArraySource",
    "Block",
    "BoolArray",
    "FloatArray",
    "Frame",
    "IntArray",
    "Observed",
    "RowLayout",
    "Source",
    "default_columns",
    "power_of_two",
    "unpacked",
]

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
