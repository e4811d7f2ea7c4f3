"""Rows with the number of their group (well, plate, batch, field) beside their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import Block, GroupNames, RowLayout
from pipeline.sources.cells import bare
from pipeline.sources.table import IntArray, Table, digest
from pipeline.sources.trouble import DataError

Identity = Callable[[int, int], pa.Table]


@dataclass(frozen=True)
class LabelsOf:
    """The distinct labels of the rows of a block, for a map over blocks.

    Parameters
    ----------
    identity : callable
        ``identity(lo, hi)`` returns a table with the column.
    column : str
    """

    identity: Identity
    column: str

    def __call__(self, block: Block) -> tuple[Any, ...]:
        """Return the labels of a block, in the order in which they come."""
        labels = _labels(self.identity, self.column, block.start, block.start + len(block))
        return tuple(labels.dictionary.to_pylist())


def _labels(identity: Identity, column: str, lo: int, hi: int) -> pa.DictionaryArray:
    """Return the labels of rows lo to hi, each distinct one once, with its places.

    Raises
    ------
    DataError
        A row has none.
    """
    found = identity(lo, hi).column(bare(column)).combine_chunks()
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    empty = np.asarray(found.is_null(nan_is_null=True))
    if empty.any():
        raise DataError(
            f"row {lo + int(empty.argmax())} has no {column}; by it rows are grouped "
            "(source.group), so each needs one: filter rows without"
        )
    return found.dictionary_encode()


@dataclass(frozen=True)
class GroupedTable:
    """A `Table` whose rows hold the number of their group, as `RowLayout` has it.

    Parameters
    ----------
    table : Table
        Ready to be read, with the column among its carried ones.
    column : str
    groups : GroupNames
    """

    table: Table
    column: str
    groups: GroupNames

    @property
    def needs_ingest(self) -> bool:
        """False: the rows can be read."""
        return False

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.table.n_rows

    @property
    def layout(self) -> RowLayout:
        """Which of the numbers of a row are values, weight, group and noise."""
        return self.table.layout._replace(n_groups=len(self.groups.names))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of a row."""
        return self.layout.names(self.value_columns)

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Names of the D value columns."""
        return self.table.value_columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.table.dtype

    @property
    def fingerprint(self) -> str:
        """Digest of what decides the values, and of the groups."""
        return digest([self.table.fingerprint, self.column, self.groups.names])

    @property
    def described(self) -> dict[str, Any]:
        """Facts for the plan and the manifest."""
        return {**self.table.described, "group": self.column, "groups": len(self.groups.names)}

    @property
    def dropped(self) -> dict[str, int]:
        """Rows left out by the filter, by reason."""
        return self.table.dropped

    def read(self, lo: int, hi: int) -> Block:
        """Return the numbers of rows lo to hi.

        Raises
        ------
        ConfigError
            A row is of a group that is not known.
        """
        rows = self.table.layout.split(self.table.read(lo, hi).values)
        joined: npt.NDArray[Any] = self.layout.join(rows._replace(group=self.codes(lo, hi)))
        return Block(np.ascontiguousarray(joined), lo)

    def codes(self, lo: int, hi: int) -> IntArray:
        """Return the numbers of the groups of rows lo to hi."""
        labels = _labels(self.table.identity, self.column, lo, hi)
        names = np.empty(len(labels.dictionary), dtype=object)
        names[:] = labels.dictionary.to_pylist()
        numbers = self.groups.codes(names).astype(np.int64)
        codes: IntArray = numbers[labels.indices.to_numpy(zero_copy_only=False)]
        return codes

    def identity(self, lo: int, hi: int) -> pa.Table:
        """Return the identity of rows lo to hi."""
        return self.table.identity(lo, hi)

    def origin_rows(self, lo: int, hi: int) -> IntArray:
        """Return the positions in the original input of rows lo to hi."""
        return self.table.origin_rows(lo, hi)

    def where(self, origin: int) -> str:
        """Return where a row of the original input stands."""
        return self.table.where(origin)

    def ingest(self) -> Table:
        """Return the table itself."""
        return self
