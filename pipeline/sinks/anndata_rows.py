"""Rows of a filtered table put back into their places among all cells, a window at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import DataError

IntArray = npt.NDArray[np.int64]
Array = npt.NDArray[Any]
Columns = dict[str, Array]

WINDOW = 65_536


@dataclass(frozen=True)
class Wanted:
    """What is taken from the assignments.

    Parameters
    ----------
    n_components : int
        K.
    label : bool
        Labels (codes of a categorical, -1 for no label) and probabilities (float64, NaN).
    responsibilities : bool
        (n, K) float32, NaN for cells without.
    """

    n_components: int
    label: bool
    responsibilities: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the assignments."""
        label = ("label", "probability") if self.label else ()
        return label + (self._resp if self.responsibilities else ())

    @property
    def _resp(self) -> tuple[str, ...]:
        return tuple(f"resp_{k}" for k in range(self.n_components))

    @property
    def code(self) -> np.dtype[Any]:
        """Type of the codes: as small as pandas makes it."""
        return np.dtype(np.int8 if self.n_components <= 127 else np.int16)

    def blank(self, n_rows: int) -> Columns:
        """Return columns of cells without a label."""
        columns: Columns = {}
        if self.label:
            columns["label"] = np.full(n_rows, -1, dtype=self.code)
            columns["probability"] = np.full(n_rows, np.nan)
        if self.responsibilities:
            columns["resp"] = np.full((n_rows, self.n_components), np.nan, dtype=np.float32)
        return columns

    def take(self, table: pa.Table) -> Columns:
        """Return the columns of rows of the assignments."""
        columns: Columns = {}
        if self.label:
            columns["label"] = table.column("label").to_numpy().astype(self.code)
            columns["probability"] = table.column("probability").to_numpy()
        if self.responsibilities:
            resp = [table.column(name).to_numpy().astype(np.float32) for name in self._resp]
            columns["resp"] = np.stack(resp, axis=1)
        return columns


def with_origin(
    tables: Iterable[pa.Table], origin_rows: Callable[[int, int], IntArray]
) -> Iterator[tuple[IntArray, pa.Table]]:
    """Yield rows with their positions in the original input.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        All rows in order.
    origin_rows : callable
        From ``lo, hi`` to the positions of these rows, (hi - lo,) int64.
    """
    lo = 0
    for table in tables:
        if table.num_rows:
            yield origin_rows(lo, lo + table.num_rows), table
        lo += table.num_rows


def windows(
    rows: Iterable[tuple[IntArray, pa.Table]], n_obs: int, wanted: Wanted, width: int = WINDOW
) -> Iterator[tuple[int, Columns]]:
    """Yield the columns of all cells in consecutive windows, blank where no row belongs.

    Parameters
    ----------
    rows : iterable of (positions (n,), pyarrow.Table)
        In the order of their positions.
    n_obs : int
        Cells of the file.
    wanted : Wanted
    width : int
        Cells of a window; memory is that of one window and one table.

    Raises
    ------
    DataError
        If positions do not increase or lie beyond the file.
    """
    lo, last = 0, -1
    columns = wanted.blank(min(width, n_obs))
    for origin, table in rows:
        _check(origin, last, n_obs)
        last = int(origin[-1])
        taken = wanted.take(table)
        first = 0
        while first < len(origin):
            while origin[first] >= lo + width:
                yield lo, columns
                lo += width
                columns = wanted.blank(min(width, n_obs - lo))
            stop = int(np.searchsorted(origin, lo + width))
            for name, values in columns.items():
                values[origin[first:stop] - lo] = taken[name][first:stop]
            first = stop
    while lo < n_obs:
        yield lo, columns
        lo += width
        columns = wanted.blank(max(min(width, n_obs - lo), 0))


def _check(origin: IntArray, last: int, n_obs: int) -> None:
    if origin[0] <= last or (np.diff(origin) <= 0).any():
        raise DataError(
            "output.write_back: the rows do not come in the order of the file; "
            "the assignments are complete, join them by source.id"
        )
    if origin[-1] >= n_obs:
        raise DataError(
            f"output.write_back: row {int(origin[-1])} was labelled, but the file has {n_obs} "
            "cells: it changed during the run"
        )
