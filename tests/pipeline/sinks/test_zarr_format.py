from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zarr

from gmm_dask import DataError
from pipeline.sinks import Layout, open_sink, read_output

from .rows import layout, pieces, table, write


def test_other_readers_see_arrays_in_chunks_of_a_part(tmp_path: Path) -> None:
    rows = table()
    write("zarr", tmp_path / "assignments", rows)
    group = zarr.open_group(tmp_path / "assignments", mode="r")
    assert sorted(group) == [
        *("ambiguous", "cell", "cell_missing", "count", "count_missing", "label", "probability")
    ]
    assert group.attrs["columns"] == rows.column_names
    assert {array.chunks for array in group.array_values()} == {(10,)}
    for name in ("label", "probability", "ambiguous"):
        np.testing.assert_array_equal(group[name][:], rows.column(name).to_numpy())
    assert group["label"].dtype == np.int32


def test_missing_values_are_told_apart_from_empty_ones(tmp_path: Path) -> None:
    rows = table()
    write("zarr", tmp_path / "assignments", rows)
    group = zarr.open_group(tmp_path / "assignments", mode="r")
    for name, blank in (("cell", ""), ("count", 0)):
        missing = group[f"{name}_missing"][:]
        assert missing.tolist() == rows.column(name).is_null().to_pylist()
        whole = [blank if value is None else value for value in rows.column(name).to_pylist()]
        assert group[name][:].tolist() == whole
    assert "" in rows.column("cell").to_pylist()


def test_every_chunk_is_there_even_where_all_is_zero(tmp_path: Path) -> None:
    rows = pa.table({"label": pa.array([0] * 25, pa.int32()), "id": pa.array([0] * 25)})
    sink = open_sink("zarr", tmp_path / "a", layout(rows))
    sink.commit([sink.write_part(lo, piece) for lo, piece in pieces(rows)])
    for name in ("label", "id"):
        assert sorted(p.name for p in (tmp_path / "a" / name / "c").iterdir()) == ["0", "1", "2"]
    assert not (tmp_path / "a" / "id_missing").exists()


def test_names_that_are_paths_stay_inside(tmp_path: Path) -> None:
    names = ["CD4/CD8", "../../escape", ".zgroup", "100%", "zarr.json"]
    rows = pa.table({name: pa.array([float(i)] * 25) for i, name in enumerate(names)})
    sink = open_sink("zarr", tmp_path / "run" / "a", layout(rows))
    record = sink.commit([sink.write_part(lo, piece) for lo, piece in pieces(rows)])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    group = zarr.open_group(tmp_path / "run" / "a", mode="r")
    assert len(list(group.array_keys())) == 5
    assert pa.concat_tables(read_output(record, names)).to_pydict() == rows.to_pydict()


def test_times_and_dates_become_text(tmp_path: Path) -> None:
    day = datetime.date(2020, 2, 29)
    rows = pa.table({"day": [day] * 25, "at": pa.array([0] * 25, pa.timestamp("ms"))})
    sink = open_sink("zarr", tmp_path / "a", layout(rows))
    sink.commit([sink.write_part(lo, piece) for lo, piece in pieces(rows)])
    group = zarr.open_group(tmp_path / "a", mode="r")
    assert (group["day"][7], group["at"][7]) == ("2020-02-29", "1970-01-01 00:00:00.000")


@pytest.mark.parametrize("kind", [pa.list_(pa.int8()), pa.binary(), pa.large_binary()])
def test_columns_without_a_place_are_refused_at_once(kind: pa.DataType, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="zarr cannot hold 'odd'"):
        open_sink("zarr", tmp_path / "a", Layout(pa.schema([("odd", kind)]), 10, 10))


def test_a_column_that_is_called_like_the_array_of_missing_values(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int64()), ("a_missing", pa.int64())])
    with pytest.raises(DataError, match="a_missing names two arrays"):
        open_sink("zarr", tmp_path / "a", Layout(schema, 10, 10))
