from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from gmm_dask import DataError, ResourceError
from pipeline.sinks import Sink, open_sink, read_output, sha256_of
from pipeline.sinks.base import ROWS

from .rows import FORMATS, layout, pieces, schema, table, write

formats = pytest.mark.parametrize("kind", FORMATS)


def opened(kind: str, folder: Path, rows: pa.Table) -> Sink:
    return open_sink(kind, folder / "assignments", layout(rows))


@formats
def test_rows_come_back_in_order(kind: str, tmp_path: Path) -> None:
    rows = table()
    record = write(kind, tmp_path / "run" / "assignments", rows)
    names = ["label", "probability"]
    assert pa.concat_tables(read_output(record, names)).to_pydict() == (
        rows.select(names).to_pydict()
    )
    assert (record.rows, record.columns) == (25, tuple(rows.column_names))
    assert dict(record.nulls) == {"cell": 4, "count": 5}


@formats
def test_the_folder_holds_what_the_record_says_and_nothing_is_left_beside_it(
    kind: str, tmp_path: Path
) -> None:
    record = write(kind, tmp_path / "assignments", table())
    assert [path.name for path in tmp_path.iterdir()] == ["assignments"]
    for item in record.files:
        file = tmp_path / "assignments" / item.name
        assert (file.stat().st_size, sha256_of(file)) == (item.size, item.sha256)
    assert sha256_of(record.path) == record.sha256
    (tmp_path / "assignments" / record.files[0].name).write_bytes(b"other")
    assert sha256_of(record.path) != record.sha256


@formats
def test_workers_any_order_and_repetition_give_the_same_bytes(kind: str, tmp_path: Path) -> None:
    rows = table()
    first = write(kind, tmp_path / "a", rows)
    sink = open_sink(kind, tmp_path / "b", layout(rows))
    records = {}
    for lo, piece in [*reversed(pieces(rows)), *pieces(rows)]:
        worker = pickle.loads(pickle.dumps(sink))
        records[lo] = worker.write_part(lo, piece)
    assert sink.commit(list(records.values())).sha256 == first.sha256


@formats
def test_an_older_output_is_replaced_by_the_new_one_alone(kind: str, tmp_path: Path) -> None:
    for old in FORMATS:
        write(old, tmp_path / "assignments", table(45, seed=9), part_rows=5)
        new = write(kind, tmp_path / "assignments", table())
        assert sha256_of(tmp_path / "assignments") == new.sha256
    assert len(list(tmp_path.iterdir())) == 1


@formats
def test_nothing_is_seen_before_commit_or_after_abort(kind: str, tmp_path: Path) -> None:
    rows = table()
    sink = opened(kind, tmp_path, rows)
    for lo, piece in pieces(rows):
        sink.write_part(lo, piece)
        assert not sink.path.exists()
    sink.abort()
    assert list(tmp_path.iterdir()) == []


@formats
def test_a_missing_part_is_told_by_its_rows(kind: str, tmp_path: Path) -> None:
    old = write(kind, tmp_path / "assignments", table(seed=3))
    rows = table()
    sink = opened(kind, tmp_path, rows)
    parts = [sink.write_part(lo, piece) for lo, piece in pieces(rows)]
    with pytest.raises(ResourceError, match="rows 10 to 19 were not written"):
        sink.commit([parts[0], parts[2]])
    with pytest.raises(ResourceError, match="rows 20 to 24 were not written"):
        sink.commit(parts[:2])
    with pytest.raises(ResourceError, match="rows 10 to 19 were written twice"):
        sink.commit([*parts, parts[1]])
    assert sha256_of(tmp_path / "assignments") == old.sha256


@formats
def test_a_part_that_changed_on_the_disk_is_not_committed(kind: str, tmp_path: Path) -> None:
    rows = table()
    sink = opened(kind, tmp_path, rows)
    parts = [sink.write_part(lo, piece) for lo, piece in pieces(rows)]
    file = sink.draft / ROWS / parts[1].files[0].name
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(ResourceError, match="changed after it was written"):
        sink.commit(parts)
    file.unlink()
    with pytest.raises(ResourceError, match=f"{file.name} is gone"):
        sink.commit(parts)
    file.write_bytes(whole)
    (sink.draft / ROWS / "stranger").write_bytes(b"")
    with pytest.raises(ResourceError, match="was not written by this run"):
        sink.commit(parts)
    assert not sink.path.exists()


@formats
def test_a_worker_that_wakes_up_after_the_end_changes_nothing(kind: str, tmp_path: Path) -> None:
    rows = table()
    sink = opened(kind, tmp_path, rows)
    parts = [sink.write_part(lo, piece) for lo, piece in pieces(rows)]
    record = sink.commit(parts)
    with pytest.raises(ResourceError, match="the run has ended"):
        sink.write_part(0, rows.slice(0, 10))
    assert sha256_of(record.path) == record.sha256
    assert len(list(tmp_path.iterdir())) == 1


def test_rows_that_are_no_part_are_refused(tmp_path: Path) -> None:
    rows = table()
    sink = opened("parquet", tmp_path, rows)
    for start, piece in ((5, rows.slice(5, 10)), (0, rows.slice(0, 9)), (30, rows.slice(0, 5))):
        with pytest.raises(DataError, match="a part has 10 rows"):
            sink.write_part(start, piece)


def test_columns_and_types_are_those_of_the_first_rows(tmp_path: Path) -> None:
    rows = table()
    sink = opened("parquet", tmp_path, rows)
    with pytest.raises(DataError, match=r"columns \['label'"):
        sink.write_part(0, rows.slice(0, 10).select(["label"]))
    words = rows.slice(10, 10).set_column(1, "count", pa.array(["x"] * 10))
    with pytest.raises(DataError, match="count has type string from row 10, and int64"):
        sink.write_part(10, words)
    holes = rows.slice(10, 10).set_column(3, "probability", pa.array([0.5, None] * 5))
    with pytest.raises(DataError, match="probability of row 11 is missing"):
        sink.write_part(10, holes)


def test_categories_may_differ_from_part_to_part(tmp_path: Path) -> None:
    rows = table(20)
    kind = pa.dictionary(pa.int32(), pa.string())
    coded = rows.set_column(0, "cell", rows.column("cell").cast(kind))
    sink = open_sink("parquet", tmp_path / "a", layout(coded))
    record = sink.commit([sink.write_part(lo, _recoded(part)) for lo, part in pieces(coded)])
    found = pa.concat_tables(read_output(record, ["cell"]))
    assert found.column("cell").to_pylist() == rows.column("cell").to_pylist()


def _recoded(part: pa.Table) -> pa.Table:
    """Give a part its own categories."""
    cells = part.column("cell")
    return part.set_column(0, "cell", cells.cast(pa.string()).combine_chunks().dictionary_encode())


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table()
    sink = opened("parquet", tmp_path, rows)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(sink.disk), "write", full)
    with pytest.raises(ResourceError, match=r"rows 0 to 9.*No space left on device \(errno 28\)"):
        sink.write_part(0, rows.slice(0, 10))


def test_an_output_that_cannot_be_renamed_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write("parquet", tmp_path / "assignments", table(seed=3))
    rows = table()
    sink = opened("parquet", tmp_path, rows)
    parts = [sink.write_part(lo, piece) for lo, piece in pieces(rows)]
    rename = type(sink.disk).rename

    def refuse(self: object, source: Path, target: Path) -> None:
        if source.name == ROWS:
            raise PermissionError(13, "Permission denied")
        rename(sink.disk, source, target)

    monkeypatch.setattr(type(sink.disk), "rename", refuse)
    with pytest.raises(ResourceError, match="Permission denied"):
        sink.commit(parts)
    assert sha256_of(tmp_path / "assignments") == old.sha256


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    rows = table()
    found = write("parquet", tmp_path / "assignments", rows).as_dict
    assert found["columns"] == schema(rows).names
    assert found["files"]["part-000000.parquet"]["sha256"] == sha256_of(
        tmp_path / "assignments" / "part-000000.parquet"
    )
