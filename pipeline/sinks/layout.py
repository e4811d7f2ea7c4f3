"""`Layout`: which columns and rows an output has, and how its rows are cut into parts."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gmm_dask import DataError

CELL = 4096
PART_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Layout:
    """Shape of an output: the same for every part.

    Parameters
    ----------
    schema : pyarrow.Schema
        Identity columns first, then outputs; fields that are not nullable hold no null.
    n_rows : int
    part_rows : int
        Rows of every part but the last.
    """

    schema: pa.Schema
    n_rows: int
    part_rows: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "schema", plain_schema(self.schema))
        names = self.schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"output: two columns are called {', '.join(twice)}; rename one")
        if self.n_rows < 1 or self.part_rows < 1:
            raise DataError(f"output: {self.n_rows} rows in parts of {self.part_rows} came")

    @property
    def n_parts(self) -> int:
        """Number of parts."""
        return -(-self.n_rows // self.part_rows)

    def span(self, index: int) -> tuple[int, int]:
        """Return the rows ``lo <= row < hi`` of a part."""
        lo = index * self.part_rows
        return lo, min(lo + self.part_rows, self.n_rows)

    def index(self, start: int, n_rows: int) -> int:
        """Return the number of the part that holds these rows.

        Raises
        ------
        DataError
            If they are not exactly the rows of one part.
        """
        index = start // self.part_rows
        if not 0 <= start < self.n_rows or self.span(index) != (start, start + n_rows):
            raise DataError(
                f"output: rows {start} to {start + n_rows - 1} came; a part has "
                f"{self.part_rows} rows and starts at a multiple of that ({self.n_rows} in all)"
            )
        return index


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with categories as their values, and columns without a type as text."""
    return pa.schema([field.with_type(_plain(field.type)) for field in schema])


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.string() if pa.types.is_null(kind) else kind


def conform(table: pa.Table, layout: Layout, start: int) -> pa.Table:
    """Return the rows of a part with exactly the columns and types of the layout.

    Parameters
    ----------
    table : pyarrow.Table
    layout : Layout
    start : int
        Absolute row of its first row, for messages.

    Raises
    ------
    DataError
        If columns differ, or values do not fit the type that the first rows had.
    """
    wanted = layout.schema
    if table.column_names != wanted.names:
        raise DataError(
            f"output: rows from {start} have columns {table.column_names}; "
            f"{wanted.names} are needed"
        )
    columns = [
        _column(column, field, start) for column, field in zip(table.columns, wanted, strict=True)
    ]
    return pa.table(columns, schema=wanted)


def _column(column: pa.ChunkedArray, field: pa.Field, start: int) -> pa.ChunkedArray:
    if column.null_count and not field.nullable:
        row = start + pc.index(pc.is_null(column), True).as_py()
        raise DataError(f"output: {field.name} of row {row} is missing; every row needs one")
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).splitlines()[0][:200]
        raise DataError(
            f"output: {field.name} has type {column.type} from row {start}, and {field.type} in "
            f"the first rows; give the column one type in the source ({reason})"
        ) from None


def row_bytes(schema: pa.Schema) -> int:
    """Return about how many bytes a row takes in memory; text counts as 32."""
    return sum(_bytes(field.type) for field in plain_schema(schema))


def _bytes(kind: pa.DataType) -> int:
    try:
        return -(-int(kind.bit_width) // 8)
    except ValueError:
        return 32


def part_rows_for(block_rows: int, schema: pa.Schema, limit: int = PART_BYTES) -> int:
    """Return the rows of a part: whole cells of 4096 that divide a block evenly.

    Parameters
    ----------
    block_rows : int
        Rows of the engine's blocks, a multiple of 4096.
    schema : pyarrow.Schema
    limit : int, bytes
        A part's size in memory; the divisor nearest to it by ratio is taken, so a block whose
        number of cells is prime is either whole or cut into single cells.
    """
    if block_rows * row_bytes(schema) <= limit or block_rows % CELL:
        return block_rows
    cells = block_rows // CELL
    wanted = max(limit // (CELL * row_bytes(schema)), 1)
    divisors = [d for d in range(1, cells + 1) if cells % d == 0]
    nearest = min(divisors, key=lambda d: (max(d / wanted, wanted / d), d))
    return nearest * CELL
