from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gmm_dask import DataError, ResourceError
from pipeline.sources import SourceSpec, open_table
from pipeline.sources.ingest import Ingest


@pytest.fixture
def spec(tmp_path: Path) -> SourceSpec:
    rng = np.random.default_rng(3)
    table = pa.table(
        {
            "id": np.arange(3000) * 7,
            "x": np.where(rng.random(3000) < 0.2, np.nan, rng.normal(size=3000)),
            "y": rng.normal(size=3000),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=500)
    return SourceSpec(
        str(tmp_path / "rows.parquet"), columns=("y", "x"), filter="x > 0", id=("id",), carry=("x",)
    )


def test_before_the_pass_the_plan_is_known_and_rows_are_refused(
    spec: SourceSpec, tmp_path: Path
) -> None:
    table = open_table(spec, tmp_path / "scratch")
    assert table.needs_ingest
    assert (table.n_rows, table.columns, table.dropped) == (3000, ("y", "x"), {})
    assert table.described["rows_exact"] is False
    assert table.described["rows_in_input"] == 3000
    for ask in (table.read, table.identity, table.origin_rows):
        with pytest.raises(DataError, match="before ingest"):
            ask(0, 1)
    assert not (tmp_path / "scratch").exists()
    assert pickle.loads(pickle.dumps(table)).fingerprint == table.fingerprint


def test_row_groups_have_one_size_and_the_counts_add_up(
    spec: SourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.ingest._group_rows", lambda n: 100 * n)
    table = open_table(spec, tmp_path / "scratch").ingest()
    rows = pq.read_table(spec.paths[0]).to_pandas()
    kept = rows[rows.x > 0]
    assert table.dropped == {
        "x missing": int(rows.x.isna().sum()),
        "filter false": int((rows.x <= 0).sum()),
    }
    assert table.n_rows + sum(table.dropped.values()) == 3000
    np.testing.assert_array_equal(table.read(0, table.n_rows).values, kept[["y", "x"]])
    assert table.identity(5, 9).to_pydict() == kept[["id", "x"]][5:9].to_dict("list")
    np.testing.assert_array_equal(table.origin_rows(0, table.n_rows), kept.index)
    (stored,) = (tmp_path / "scratch").glob("ingest-*/rows.parquet")
    footer = pq.ParquetFile(stored).metadata
    sizes = [footer.row_group(g).num_rows for g in range(footer.num_row_groups)]
    assert set(sizes[:-1]) == {200}
    assert 0 < sizes[-1] <= 200


def test_the_pass_is_done_once_for_one_input(
    spec: SourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    first = open_table(spec, scratch).ingest()

    def never(*_: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "write", never)
        again = open_table(spec, scratch)
        assert not again.needs_ingest
        assert again.fingerprint == first.fingerprint
        assert (again.n_rows, again.dropped) == (first.n_rows, first.dropped)
    more = replace(spec, carry=("y",))
    assert open_table(more, scratch).needs_ingest
    assert open_table(more, scratch).fingerprint == first.fingerprint
    path = Path(spec.paths[0])
    os.utime(path, ns=(1, 1))
    assert not open_table(spec, scratch).needs_ingest
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    changed = open_table(spec, scratch)
    assert changed.needs_ingest
    assert changed.fingerprint != first.fingerprint


def test_a_killed_pass_leaves_nothing_that_is_taken_for_complete(
    spec: SourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.sources.pending._commit", killed)
        with pytest.raises(KeyboardInterrupt):
            open_table(spec, scratch).ingest()
    assert open_table(spec, scratch).needs_ingest
    assert list(scratch.iterdir()) == []
    done = open_table(spec, scratch).ingest()
    folder = next(scratch.iterdir())
    (folder / "ingest.json").unlink()
    again = open_table(spec, scratch)
    assert again.needs_ingest
    assert again.ingest().n_rows == done.n_rows


def test_another_process_may_have_been_faster(
    spec: SourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = open_table(spec, tmp_path / "scratch")
    write = Ingest.write

    def overtaken(self: Ingest, path: Path) -> dict[str, object]:
        counts = write(self, path)
        with monkeypatch.context() as patch:
            patch.setattr(Ingest, "write", write)
            open_table(spec, tmp_path / "scratch").ingest()
        return counts

    monkeypatch.setattr(Ingest, "write", overtaken)
    table = slow.ingest()
    assert len(list((tmp_path / "scratch").iterdir())) == 1
    assert table.read(0, 3).values.shape == (3, 2)


def test_limit_counts_rows_after_the_filter(spec: SourceSpec, tmp_path: Path) -> None:
    table = open_table(replace(spec, limit=700), tmp_path / "scratch").ingest()
    rows = pq.read_table(spec.paths[0]).to_pandas()
    kept = rows[rows.x > 0][:700]
    np.testing.assert_array_equal(table.read(0, 700).values, kept[["y", "x"]])
    seen = rows[: kept.index[-1] + 1]
    assert table.n_rows == 700
    assert table.dropped["x missing"] == seen.x.isna().sum()


def test_value_columns_of_row_groups_without_a_kept_row_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.sources.rowgroups import RowGroups

    table = pa.table({"k": np.repeat([0, 1, 2, 3], 100), "v": np.arange(400.0)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=100)
    asked: list[tuple[int, tuple[str, ...]]] = []
    group = RowGroups.group

    def spy(self: RowGroups, index: int, names: tuple[str, ...]) -> pa.Table:
        asked.append((index, tuple(names)))
        return group(self, index, names)

    monkeypatch.setattr(RowGroups, "group", spy)
    spec = SourceSpec(str(tmp_path / "rows.parquet"), columns=("v",), filter="k == 2")
    assert open_table(spec, tmp_path / "scratch").ingest().n_rows == 100
    assert [index for index, names in asked if "v" in names] == [2]


def test_a_scratch_folder_that_cannot_be_made(spec: SourceSpec, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="file: cannot be written"):
        open_table(spec, tmp_path / "file").ingest()


def test_wrong_types_in_a_filter_show_before_the_pass(spec: SourceSpec, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"source\.filter: `x == 'a'` mixes double and string"):
        open_table(replace(spec, filter="x == 'a'"), tmp_path / "scratch")
