"""Rows of parquet files by absolute position, through the row groups that hold them."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources.files import File
from pipeline.sources.handles import borrowed
from pipeline.sources.numeric import table_values
from pipeline.sources.table import IntArray, counting, no_labels
from pipeline.sources.trouble import translated

MAX_GROUP = 64 * 2**20
"""Bytes that the used columns of one row group may have to be read as it is."""

MAX_DECODED = 2 * MAX_GROUP
"""Bytes of decoded row groups that a process keeps: blocks rarely end where row groups do."""

_recent: OrderedDict[Hashable, pa.Table] = OrderedDict()
_guard = threading.Lock()


def open_parquet_file(file: File) -> pq.ParquetFile:
    """Open one file; its footer is read, no row."""
    # a path, not a Python file: reads of a local file then run without the interpreter lock
    return pq.ParquetFile(file.url if file.is_local else file.open(), memory_map=False)


def _open_checked(file: File) -> pq.ParquetFile:
    file.verify()
    return open_parquet_file(file)


@dataclass(frozen=True, eq=False)
class RowGroups:
    """The row groups of some files, in order, as one run of rows; pickles as a recipe.

    Parameters
    ----------
    files : tuple of File
    schema : pyarrow.Schema
        Types of the columns, to which the files are cast where they differ.
    owner, local : (G,) int64
        File of each row group, and its number there.
    ends : (G,) int64
        Row after the last of each row group.
    """

    files: tuple[File, ...]
    schema: pa.Schema
    owner: IntArray
    local: IntArray
    ends: IntArray

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def rows(self, lo: int, hi: int, names: Sequence[str]) -> pa.Table:
        """Return the columns `names` of rows lo to hi."""
        first = int(np.searchsorted(self.ends, lo, side="right"))
        last = int(np.searchsorted(self.ends, hi, side="left"))
        parts = []
        for index in range(first, last + 1):
            start = int(self.ends[index - 1]) if index else 0
            end = int(self.ends[index])
            table = self.group(index, names)
            parts.append(table.slice(max(lo - start, 0), min(hi, end) - max(lo, start)))
        return pa.concat_tables(parts)

    def group(self, index: int, names: Sequence[str]) -> pa.Table:
        """Return the columns `names` of one row group, decoded once while it is recent."""
        file, number = self.files[self.owner[index]], int(self.local[index])
        key = (os.getpid(), file, number, tuple(names))
        table = _recall(key)
        if table is None:
            with self.opened(file) as parquet:
                table = parquet.read_row_group(number, columns=list(names), use_threads=False)
                table = self.cast(table, names)
            _remember(key, table)
        return table

    def batches(self, index: int, names: Sequence[str], n_rows: int) -> Iterator[pa.Table]:
        """Yield the columns `names` of one row group in pieces of at most `n_rows`."""
        file, number = self.files[self.owner[index]], int(self.local[index])
        with self.opened(file) as parquet:
            for batch in parquet.iter_batches(n_rows, [number], list(names), use_threads=False):
                yield self.cast(pa.Table.from_batches([batch]), names)

    def cast(self, table: pa.Table, names: Sequence[str]) -> pa.Table:
        """Return a table with `names` in order, in the common types of all files."""
        wanted = pa.schema([self.schema.field(name) for name in names])
        return table.select(list(names)).cast(wanted.remove_metadata())

    @staticmethod
    @contextmanager
    def opened(file: File) -> Iterator[pq.ParquetFile]:
        """Lend the open file; one handle per thread, as decoding happens under its lock."""
        key = ("parquet", file, threading.get_ident())
        with (
            translated(file.shown, "a parquet file", file.secrets),
            borrowed(key, lambda: _open_checked(file)) as parquet,
        ):
            yield parquet


def row_groups(
    files: Sequence[File], sizes: Sequence[Sequence[int]], schema: pa.Schema
) -> RowGroups:
    """Make `RowGroups` from the rows of each row group of each file."""
    flat = [(f, g, rows) for f, groups in enumerate(sizes) for g, rows in enumerate(groups)]
    owner, local, rows = np.array(flat, np.int64).reshape(-1, 3).T
    return RowGroups(tuple(files), schema, owner.copy(), local.copy(), np.cumsum(rows))


def _recall(key: Hashable) -> pa.Table | None:
    with _guard:
        table = _recent.get(key)
        if table is not None:
            _recent.move_to_end(key)
        return table


def _remember(key: Hashable, table: pa.Table) -> None:
    with _guard:
        _recent[key] = table
        while _recent and sum(item.nbytes for item in _recent.values()) > MAX_DECODED:
            _recent.popitem(last=False)


@dataclass(frozen=True, eq=False)
class ParquetReader:
    """A `Reader` over row groups: nothing is filtered, so rows are where they were.

    Parameters
    ----------
    groups : RowGroups
    columns : tuple of D str
        Names of the value columns in the files.
    dtype : float32 or float64
    names : tuple of (column in the files, column shown)
        The id and carried columns.
    position : str, optional
        Column that holds the position in the original input; default the position itself.
    n_origin : int
        Rows of the original input.
    """

    groups: RowGroups
    columns: tuple[str, ...]
    dtype: np.dtype[Any]
    names: tuple[tuple[str, str], ...]
    n_origin: int
    position: str | None = None

    @property
    def n_rows(self) -> int:
        """Rows that can be read."""
        return self.groups.n_rows

    def values(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return the values of rows lo to hi."""
        table = self.groups.rows(lo, hi, self.columns)
        return table_values(
            self.groups.files[0].shown, table, self.columns, self.dtype, range(lo, hi)
        )

    def labels(self, lo: int, hi: int) -> pa.Table:
        """Return the id and carried columns of rows lo to hi."""
        if not self.names:
            return no_labels(lo, hi)
        table = self.groups.rows(lo, hi, [stored for stored, _ in self.names])
        return table.rename_columns([shown for _, shown in self.names])

    def origin(self, lo: int, hi: int) -> IntArray:
        """Return the positions of rows lo to hi in the original input."""
        if self.position is None:
            return counting(lo, hi)
        column = self.groups.rows(lo, hi, [self.position]).column(0)
        positions: IntArray = column.to_numpy()
        return positions
