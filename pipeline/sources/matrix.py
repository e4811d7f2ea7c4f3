"""Rows of a two-dimensional array without a table around it: npy, zarr, bundled data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.sources.columns import choose, filter_columns
from pipeline.sources.ingest import Chunk, Ingest
from pipeline.sources.numeric import array_type, to_float
from pipeline.sources.pending import PendingTable, opened
from pipeline.sources.spec import SourceSpec
from pipeline.sources.table import IntArray, Table, counting, no_labels, row_table, values_digest

BATCH_BYTES = 8 * 2**20


class Matrix(Protocol):
    """Rows by position; pickles as a recipe."""

    @property
    def where(self) -> str:
        """The array, for messages."""
        ...

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values as stored."""
        ...

    @property
    def extra_types(self) -> Mapping[str, pa.DataType]:
        """Further columns, which can identify a row or be carried."""
        ...

    def rows(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return rows lo to hi as stored, (n, W)."""
        ...

    def extras(self, names: Sequence[str], lo: int, hi: int) -> pa.Table:
        """Return further columns of rows lo to hi."""
        ...


@dataclass(frozen=True, eq=False)
class MatrixReader:
    """A `Reader` over a matrix.

    Parameters
    ----------
    matrix : Matrix
    columns, label_names : tuple of str
        Columns that are values, and that identify or are carried.
    dtype : float32 or float64
    """

    matrix: Matrix
    columns: tuple[str, ...]
    label_names: tuple[str, ...]
    dtype: np.dtype[Any]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.matrix.n_rows

    @property
    def n_origin(self) -> int:
        """Number of rows: none is left out."""
        return self.matrix.n_rows

    def values(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return the values of rows lo to hi."""
        return _floats(self.matrix, self.columns, self.dtype, lo, hi)

    def labels(self, lo: int, hi: int) -> pa.Table:
        """Return the id and carried columns of rows lo to hi."""
        return table_of(self.matrix, self.label_names, self.dtype, lo, hi)

    def origin(self, lo: int, hi: int) -> IntArray:
        """Return lo to hi."""
        return counting(lo, hi)


def _floats(
    matrix: Matrix, names: Sequence[str], dtype: np.dtype[Any], lo: int, hi: int
) -> npt.NDArray[Any]:
    rows = matrix.rows(lo, hi)
    if tuple(names) != matrix.names:
        rows = rows[:, [matrix.names.index(name) for name in names]]
    return to_float(matrix.where, names, lo, rows, dtype)


def table_of(
    matrix: Matrix, names: Sequence[str], dtype: np.dtype[Any], lo: int, hi: int
) -> pa.Table:
    """Return columns of a matrix, values and further ones alike, as an arrow table."""
    if not names:
        return no_labels(lo, hi)
    inner = [name for name in names if name in matrix.names]
    values = _floats(matrix, inner, dtype, lo, hi) if inner else np.empty((hi - lo, 0))
    arrays = {name: pa.array(np.ascontiguousarray(values[:, j])) for j, name in enumerate(inner)}
    others = [name for name in names if name not in inner]
    if others:
        table = matrix.extras(others, lo, hi)
        arrays |= {name: table.column(name) for name in others}
    return pa.table({name: arrays[name] for name in names})


@dataclass(frozen=True, eq=False)
class MatrixScan:
    """A `Scan` over a matrix, for filters.

    Parameters
    ----------
    matrix : Matrix
    names : tuple of str
        Columns that are read.
    dtype : float32 or float64
    """

    matrix: Matrix
    names: tuple[str, ...]
    dtype: np.dtype[Any]

    @property
    def where(self) -> str:
        """The array, for messages."""
        return self.matrix.where

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Types of the columns."""
        floats = dict.fromkeys(self.matrix.names, pa.from_numpy_dtype(self.dtype))
        return {**floats, **self.matrix.extra_types}

    def chunks(self) -> Iterator[Chunk]:
        """Yield runs of rows of some megabytes."""
        step = max(1, BATCH_BYTES // (8 * max(1, len(self.matrix.names))))
        for lo in range(0, self.matrix.n_rows, step):
            hi = min(lo + step, self.matrix.n_rows)
            table = table_of(self.matrix, self.names, self.dtype, lo, hi)
            yield Chunk(table, partial(_itself, table))


def _itself(table: pa.Table) -> pa.Table:
    return table


def open_matrix(
    spec: SourceSpec, scratch: Path, matrix: Matrix, inputs: Any, about: dict[str, Any]
) -> Table:
    """Make the table over a matrix.

    Parameters
    ----------
    spec : SourceSpec
    scratch : Path
        For the rows that a filter leaves.
    matrix : Matrix
    inputs : JSON value
        What the fingerprint is made of, besides the settings.
    about : dict
        Facts for the plan.

    Raises
    ------
    DataError
        If a column is missing, or the type is not a real number.
    """
    dtype = array_type(matrix.where, "the array", matrix.dtype)
    types = dict.fromkeys(matrix.names, pa.from_numpy_dtype(dtype))
    beside = tuple(matrix.extra_types)
    # the float type hides integers: an array has no identifiers to look for
    choice = choose(spec, matrix.where, types, lambda _: pa.table({}), matrix.n_rows, beside)
    dtype = choice.dtype
    tested = filter_columns(spec, matrix.where, (*types, *beside))
    digest = values_digest(spec, choice.columns, inputs)
    if spec.filter:
        names = tuple(dict.fromkeys((*choice.wide.read, *spec.labels, *tested)))
        work = Ingest(MatrixScan(matrix, names, dtype), spec, choice.wide, dtype)
        return opened(PendingTable(work, digest, about, matrix.n_rows, scratch))
    reader = MatrixReader(matrix, choice.wide.read, spec.labels, dtype)
    return row_table(spec, reader, choice.wide, dtype, digest, about)


@dataclass(frozen=True)
class Plain:
    """What matrices without further columns share; the number of columns names them x0, x1, ..."""

    width: int

    @property
    def names(self) -> tuple[str, ...]:
        """Return x0, x1, ..."""
        return tuple(f"x{j}" for j in range(self.width))

    @property
    def extra_types(self) -> Mapping[str, pa.DataType]:
        """Return nothing: there are no further columns."""
        return {}

    def extras(self, names: Sequence[str], lo: int, hi: int) -> pa.Table:
        """Return a table of no columns; `names` is empty, as there are none."""
        return no_labels(lo, hi).select(list(names))
