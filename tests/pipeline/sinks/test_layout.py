from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask import DataError
from pipeline.sinks import Layout, part_rows_for
from pipeline.sinks.layout import CELL, row_bytes

SCHEMA = pa.schema([("id", pa.int64()), ("label", pa.int32())])


@given(n_rows=st.integers(1, 500), part_rows=st.integers(1, 60))
def test_parts_are_all_rows_once(n_rows: int, part_rows: int) -> None:
    layout = Layout(SCHEMA, n_rows, part_rows)
    spans = [layout.span(index) for index in range(layout.n_parts)]
    assert [row for lo, hi in spans for row in range(lo, hi)] == list(range(n_rows))
    assert [layout.index(lo, hi - lo) for lo, hi in spans] == list(range(layout.n_parts))


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.schema([("label", pa.string()), ("label", pa.int32())])
    with pytest.raises(DataError, match="two columns are called label"):
        Layout(twice, 10, 5)


def test_types_that_formats_share() -> None:
    coded = pa.dictionary(pa.int8(), pa.dictionary(pa.int8(), pa.int64()))
    schema = pa.schema([("a", coded), ("b", pa.null()), ("c", pa.timestamp("ns"))])
    plain = Layout(schema, 1, 1).schema
    assert plain.types == [pa.int64(), pa.string(), pa.timestamp("ns")]


@given(cells=st.integers(1, 3000), limit_cells=st.integers(1, 4000))
def test_parts_divide_blocks(cells: int, limit_cells: int) -> None:
    limit = limit_cells * CELL * row_bytes(SCHEMA)
    rows = part_rows_for(cells * CELL, SCHEMA, limit)
    assert rows % CELL == 0
    assert (cells * CELL) % rows == 0
    if cells <= limit_cells:
        assert rows == cells * CELL


def test_wide_outputs_are_cut_and_narrow_ones_are_not() -> None:
    wide = pa.schema([(f"resp_{k}", pa.float64()) for k in range(64)])
    assert row_bytes(wide) == 512
    assert part_rows_for(2048 * CELL, wide, 64 * 2**20) == 32 * CELL
    assert part_rows_for(64 * CELL, SCHEMA) == 64 * CELL
