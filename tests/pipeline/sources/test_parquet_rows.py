from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmm_dask import ConfigError, DataError, SourceChangedError
from pipeline.sources import SourceSpec, Table, open_table, release, rowgroups


def written(folder: Path, columns: dict[str, Any], name: str = "x.parquet", **options: Any) -> str:
    pq.write_table(pa.table(columns), folder / name, **options)
    return str(folder / name)


def opened(folder: Path, data: dict[str, Any], **settings_: Any) -> Table:
    return open_table(SourceSpec(written(folder, data), **settings_), folder / "scratch")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(sum),
    group=st.integers(1, 20),
    data=st.data(),
)
def test_uneven_partitions_are_one_run_of_rows(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], group: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    n_rows = sum(sizes)
    whole = pd.DataFrame({"a": np.arange(n_rows) * 0.5, "k": np.arange(n_rows) % 3})
    start = 0
    for part, size in enumerate(sizes):
        rows = whole.iloc[start : start + size]
        rows.to_parquet(folder / f"{part}.parquet", index=False, row_group_size=group)
        start += size
    table = open_table(SourceSpec(str(folder), columns=("a", "k")), folder / "scratch")
    lo = data.draw(st.integers(0, n_rows - 1))
    hi = data.draw(st.integers(lo + 1, n_rows))
    np.testing.assert_array_equal(table.read(lo, hi).values, whole.iloc[lo:hi])


def test_numeric_types_become_the_narrowest_exact_float(tmp_path: Path) -> None:
    narrow = {
        "h": pa.array(np.array([1, 2], np.float16)),
        "i": pa.array([1, None], pa.int16()),
        "u": pa.array([200, 3], pa.uint8()),
        "f": pa.array([0.5, 1.5], pa.float32()),
        "d": pa.array([7, 8], pa.int8()).dictionary_encode(),
    }
    table = opened(tmp_path, narrow, columns=list(narrow))
    assert table.dtype == np.float32
    expected = [[1, 1, 200, 0.5, 7], [2, np.nan, 3, 1.5, 8]]
    np.testing.assert_array_equal(table.read(0, 2).values, expected)
    single = {"w": pa.array([2**24 + 1, 0], pa.int32())}
    np.testing.assert_array_equal(opened(tmp_path, single).read(0, 2).values, [[2**24 + 1], [0]])
    wide = narrow | {"m": pa.array([Decimal("1.25"), None]), "l": pa.array([2**53, -3])}
    table = opened(tmp_path, wide, columns=["m", "l"])
    assert table.dtype == np.float64
    np.testing.assert_array_equal(table.read(0, 2).values, [[1.25, 2**53], [np.nan, -3]])


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array(["u", "v"]), "text"),
        (pa.array(["u", "v"]).dictionary_encode(), "text"),
        (pa.array([True, False]), "true or false"),
        (pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 2), "points in time"),
        (pa.array([1, 2], pa.date32()), "points in time"),
        (pa.array([[1.0], [2.0]]), "lists"),
        (pa.nulls(2), "nothing"),
        (pa.array([{"a": 1}] * 2), "not numbers"),
    ],
)
def test_other_types_are_refused_by_name(tmp_path: Path, column: pa.Array, what: str) -> None:
    columns = {"x": pa.array([1.0, 2.0]), "odd": column}
    with pytest.raises(DataError, match=rf"x\.parquet: odd holds {what}"):
        opened(tmp_path, columns, columns=["x", "odd"])
    assert opened(tmp_path, columns).columns == ("x",)


def test_an_integer_beyond_float64_is_told_with_its_row(tmp_path: Path) -> None:
    table = opened(tmp_path, {"x": pa.array([1, 2, 2**53 + 1])}, columns=["x"])
    with pytest.raises(DataError, match=r"x holds 9007199254740993 in row 2"):
        table.read(1, 3)
    columns = {"x": pa.array([2**60, 1, 2**61, 2]), "k": [0, 1, 1, 1]}
    with pytest.raises(DataError, match=f"x holds {2**61} in row 2"):
        opened(tmp_path, columns, columns=["x"], filter="k == 1").ingest()
    kept = opened(tmp_path, columns, columns=["x"], filter="k == 1 and x < 9").ingest()
    np.testing.assert_array_equal(kept.read(0, 2).values, [[1], [2]])


def test_identifiers_are_left_out_with_a_note(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "source_id": rng.permutation(5000) * 17 + 3,
        "x": rng.normal(size=5000),
        "count": rng.integers(0, 10_000, 5000),
        "index": np.arange(5000),
        "__index_level_0__": np.zeros(5000),
    }
    table = opened(tmp_path, columns)
    assert table.columns == ("x", "count")
    notes = table.described["notes"]
    assert notes[0] == (
        "source.columns: source_id looks like an identifier (all 5000 values differ, integers). "
        "Left out; name it in source.id to keep it."
    )
    assert "index looks like an identifier" in notes[1]
    assert opened(tmp_path, columns, id="source_id").described["notes"] == notes[1:]
    assert opened(tmp_path, columns, columns=["source_id"]).columns == ("source_id",)


def test_few_distinct_integers_are_measurements(tmp_path: Path) -> None:
    assert opened(tmp_path, {"velocity": [9172, 9350, 9483, 9558, 9775]}).columns == ("velocity",)


def test_no_numeric_column_tells_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no numeric column.*s \(string\).*i \(int64\).*looks like"
    ):
        opened(tmp_path, {"s": ["a", "b"], "i": [1, 2]})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": [1.0]}, r"b\.parquet has no column x, which .*a\.parquet has"),
        ({"a": [1.0], "x": ["u"]}, r"column x is string in .*b\.parquet, double in .*a\.parquet"),
        (
            {"a": [1.0], "x": [1.0], "z": [0.0]},
            r"b\.parquet has a column z, which .*a\.parquet lacks",
        ),
    ],
)
def test_files_that_differ_are_named_with_the_column(
    tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    written(folder, {"a": [1.0], "x": [2.0]}, "a.parquet")
    written(folder, other, "b.parquet")
    with pytest.raises(DataError, match=message):
        open_table(SourceSpec(str(folder)), tmp_path / "scratch")


def test_files_that_differ_in_width_or_order_are_joined(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    first = {"a": pa.array([1.5], pa.float32()), "s": pa.nulls(1), "extra": ["u"]}
    written(folder, first, "a.parquet")
    written(folder, {"s": ["t"], "a": pa.array([2], pa.int32())}, "b.parquet")
    spec = SourceSpec(str(folder), columns=("a",), carry=("s",))
    table = open_table(spec, tmp_path / "scratch")
    assert table.dtype == np.float64
    np.testing.assert_array_equal(table.read(0, 2).values, [[1.5], [2.0]])
    assert table.identity(0, 2).to_pydict() == {"row": [0, 1], "s": [None, "t"]}


def test_categories_are_carried_as_text(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    written(folder, {"a": [0.5], "s": pa.array(["u"]).dictionary_encode()}, "a.parquet")
    written(folder, {"a": [1.5], "s": pa.array(["v"]).dictionary_encode()}, "b.parquet")
    table = open_table(SourceSpec(str(folder), carry="s"), tmp_path / "scratch")
    assert table.identity(0, 2).schema.field("s").type == pa.string()
    assert table.identity(0, 2).to_pydict() == {"row": [0, 1], "s": ["u", "v"]}


def test_damage_is_told_without_a_traceback_of_pyarrow(tmp_path: Path) -> None:
    path = Path(written(tmp_path, {"a": np.arange(50_000.0)}))
    text = path.read_bytes()
    table = open_table(SourceSpec(str(path)), tmp_path / "scratch")
    release()
    path.write_bytes(text[:9000])
    with pytest.raises(DataError, match=r"x\.parquet: damaged, or not a parquet file") as caught:
        open_table(SourceSpec(str(path)), tmp_path / "scratch")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(SourceChangedError, match="changed while it was in use"):
        table.read(0, 1)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="damaged"):
        open_table(SourceSpec(str(path)), tmp_path / "scratch")


def test_a_damaged_page_is_told_when_it_is_read(tmp_path: Path) -> None:
    path = Path(written(tmp_path, {"a": np.arange(50_000.0)}))
    text = path.read_bytes()
    path.write_bytes(text[:4] + b"\0" * 5000 + text[5004:])
    table = open_table(SourceSpec(str(path)), tmp_path / "scratch")
    with pytest.raises(DataError, match=r"x\.parquet: damaged"):
        table.read(0, 10)


def test_no_rows_and_repeated_names_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no rows"):
        opened(tmp_path, {"a": pa.array([], pa.float64())})
    twice = pa.table([[1.0], [2.0]], names=["a", "a"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(DataError, match="more than one column called a"):
        open_table(SourceSpec(str(tmp_path / "twice.parquet")), tmp_path)


def test_units_come_from_the_file_and_the_configuration_wins(tmp_path: Path) -> None:
    field = pa.field("pmra", pa.float64(), metadata={"unit": "mas / yr"})
    other = [pa.field("plx", pa.float64()), pa.field("g", pa.float64())]
    meta = {"table_meta_yaml": "datatype:\n- {name: plx, unit: mas}\n- {name: g, unit: !x mag}\n"}
    schema = pa.schema([field, *other], metadata=meta)
    pq.write_table(pa.table([[1.0], [2.0], [3.0]], schema=schema), tmp_path / "u.parquet")
    spec = SourceSpec(str(tmp_path / "u.parquet"), units={"g": "mag (Vega)"})
    units = open_table(spec, tmp_path).described["units"]
    assert units == {"pmra": "mas / yr", "plx": "mas", "g": "mag (Vega)"}
    with pytest.raises(DataError, match=r"source\.units: .* has no gg.*Did you mean g\?"):
        open_table(SourceSpec(str(tmp_path / "u.parquet"), units={"gg": "mag"}), tmp_path)


def test_dots_in_names_are_part_of_the_name(tmp_path: Path) -> None:
    table = opened(tmp_path, {"a.b": [1.0, 2.0], "c": [1.0, 5.0]}, filter="a.b > 1")
    np.testing.assert_array_equal(table.ingest().read(0, 1).values, [[2.0, 5.0]])


def test_row_groups_too_large_are_cut_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipeline.sources.parquet_rows as module

    monkeypatch.setattr(module, "MAX_GROUP", 8 * 100)
    monkeypatch.setattr(module, "BATCH_ROWS", 30)
    values = np.arange(500.0)
    for text in (None, "a >= 3"):
        table = opened(tmp_path, {"a": values}, filter=text)
        assert table.needs_ingest
        assert table.n_rows == 500
        assert "cut smaller" in table.described["notes"][0]
        kept = values[values >= 3] if text else values
        np.testing.assert_array_equal(table.ingest().read(0, len(kept)).values[:, 0], kept)


def test_what_is_kept_decoded_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowgroups, "MAX_DECODED", 5000)
    rowgroups._recent.clear()
    path = written(tmp_path, {"a": np.arange(5000.0)}, row_group_size=250)
    table = open_table(SourceSpec(path), tmp_path)
    for lo in range(0, 5000, 500):
        table.read(lo, lo + 500)
        assert 0 < sum(item.nbytes for item in rowgroups._recent.values()) <= 5000


def test_a_key_or_a_word_does_not_fit_parquet(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"source\.key: parquet has no arrays"):
        opened(tmp_path, {"a": [1.0]}, key="obsm/X")
    with pytest.raises(ConfigError, match=r"source\.missing_values: 'NA' is a word"):
        opened(tmp_path, {"a": [1.0]}, missing_values=["NA"])
