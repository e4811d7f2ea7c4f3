from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from gmm_dask import ConfigError, DataError, ResourceError
from pipeline.sinks import WriteBack, needed_outputs, sha256_of, write_copy, write_in_place
from pipeline.sinks.disk import LOCAL

from .cells import N_CELLS, STORES, Labels, atlas, described, load, same_but_for, save
from .crashes import Crash, CrashingDisk

stores = pytest.mark.parametrize("store", STORES)
KEYS = ("gmm", "gmm_probability", "X_gmm")
FIRST, SECOND = Labels(3, seed=1), Labels(130, seed=2, keep=0.4)


@stores
def test_a_copy_has_the_labels_and_all_else_as_before(store: str, tmp_path: Path) -> None:
    source = save(tmp_path, store)
    before = sha256_of(source)
    record = write_copy(source, tmp_path / "run", FIRST.what(), FIRST.rows())
    assert Path(record.path) == tmp_path / "run" / f"atlas_gmm{source.suffix}"
    assert record.keys == ("obs/gmm", "obs/gmm_probability", "obsm/X_gmm", "uns/gmm")
    assert record.n_obs == N_CELLS
    found = load(record.path)
    FIRST.check(found)
    same_but_for(found, KEYS)
    assert list(found.obs)[-2:] == ["gmm", "gmm_probability"]
    assert sha256_of(source) == before
    assert [path.name for path in (tmp_path / "run").iterdir()] == [Path(record.path).name]


@stores
def test_in_place_and_again_with_other_labels(store: str, tmp_path: Path) -> None:
    source = save(tmp_path, store)
    for labels in (FIRST, SECOND, FIRST):
        record = write_in_place(source, labels.what(), labels.rows())
        assert record.path == str(source)
        found = load(source)
        labels.check(found)
        same_but_for(found, KEYS)
        assert list(found.obs)[-2:] == ["gmm", "gmm_probability"]
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


@stores
def test_a_key_of_the_same_name_is_replaced_where_it_stands(store: str, tmp_path: Path) -> None:
    source = save(tmp_path, store)
    record = write_copy(source, tmp_path, FIRST.what("score", "X_pca"), FIRST.rows())
    found = load(record.path)
    assert list(found.obs) == ["type", "score", "count", "note", "score_probability"]
    FIRST.check(found, "score", "X_pca")


@stores
def test_what_was_not_asked_for_is_not_written(store: str, tmp_path: Path) -> None:
    source = save(tmp_path, store)
    write_in_place(source, FIRST.what("a", None), FIRST.rows())
    write_in_place(source, FIRST.what(None, "b"), FIRST.rows())
    found = load(source)
    assert list(found.obs)[4:] == ["a", "a_probability"]
    assert set(found.obsm) == {"X_pca", "b"}
    assert set(found.uns) == {"pca", "a", "b"}
    assert needed_outputs("a", None) == ("label", "probability")
    assert needed_outputs(None, "b") == ("responsibilities",)


@stores
def test_the_stored_form_is_the_one_that_anndata_writes(store: str, tmp_path: Path) -> None:
    source = save(_made(tmp_path / "source"), store)
    ours = write_copy(source, tmp_path / "run", FIRST.what(), FIRST.rows()).path
    theirs = save(_made(tmp_path / "theirs"), store, load(ours))
    assert described(ours) == described(theirs)


@pytest.mark.parametrize("store", ["zarr2", "zarr3"])
def test_consolidated_metadata_stay_true(store: str, tmp_path: Path) -> None:
    source = save(tmp_path, store)
    plain = save(_made(tmp_path / "plain"), store)
    _forget(plain)
    for path in (source, plain):
        for labels in (FIRST, SECOND):
            write_in_place(path, labels.what(), labels.rows())
            labels.check(load(path))
    assert zarr.open_consolidated(source)["obs/gmm/categories"].shape == (130,)
    with pytest.raises((ValueError, FileNotFoundError)):
        zarr.open_consolidated(plain)


def test_every_chunk_of_a_zarr_store_is_written(tmp_path: Path) -> None:
    source = save(tmp_path, "zarr3")
    nobody = Labels(2, seed=0, keep=0.0)
    write_in_place(source, nobody.what(), nobody.rows())
    assert (source / "obs" / "gmm" / "codes" / "c" / "0").is_file()
    assert load(source).obs["gmm"].isna().all()


def test_a_file_of_another_tool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.h5ad").write_bytes(b"not HDF5 at all")
    with h5py.File(tmp_path / "b.h5ad", "w") as file:
        file["x"] = np.arange(3)
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file["obs"] = np.array([(1, b"x")], dtype=[("n", "i4"), ("index", "S1")])
    zarr.open_group(tmp_path / "c.zarr", mode="w")
    (tmp_path / "d.zarr").mkdir()
    before = sha256_of(tmp_path)
    messages = {
        "a.h5ad": "is not an HDF5 file",
        "b.h5ad": "has no table of cells",
        "old.h5ad": "before 0.7",
        "c.zarr": "has no table of cells",
        "d.zarr": "is not a zarr group",
        "e.h5ad": "is not there",
    }
    for name, message in messages.items():
        with pytest.raises(DataError, match=message):
            write_in_place(tmp_path / name, FIRST.what(), FIRST.rows())
        with pytest.raises(DataError, match=message):
            write_copy(tmp_path / name, tmp_path / "run", FIRST.what(), FIRST.rows())
    shutil.rmtree(tmp_path / "run")
    assert sha256_of(tmp_path) == before


def test_sources_and_names_that_cannot_be_written_to() -> None:
    with pytest.raises(ConfigError, match="the source is a URL"):
        write_in_place("s3://bucket/a.zarr", FIRST.what(), FIRST.rows())
    with pytest.raises(DataError, match="one file, not a pattern"):
        write_copy("atlas*.h5ad", "run", FIRST.what(), FIRST.rows())
    for name in ("a/b", "", "_index", ".x"):
        with pytest.raises(ConfigError, match="cannot be a key of AnnData"):
            WriteBack(3, name, None, {})
    with pytest.raises(ConfigError, match="needs a name"):
        WriteBack(3, None, None, {})


@stores
def test_the_index_is_not_overwritten(store: str, tmp_path: Path) -> None:
    found = atlas()
    found.obs.index.name = "gmm"
    source = save(tmp_path, store, found)
    with pytest.raises(DataError, match="gmm is the name of the cells' index"):
        write_in_place(source, FIRST.what(), FIRST.rows())


@stores
def test_rows_of_another_file_leave_no_trace(store: str, tmp_path: Path) -> None:
    source = save(tmp_path, store)
    more = Labels(3, seed=1, keep=1.0, n_cells=N_CELLS + 1)
    with pytest.raises(DataError, match=f"row {N_CELLS} was labelled"):
        write_in_place(source, more.what(), more.rows())
    with pytest.raises(DataError, match=f"row {N_CELLS} was labelled"):
        write_copy(source, tmp_path / "run", more.what(), more.rows())
    same_but_for(load(source), ())
    assert list((tmp_path / "run").iterdir()) == []
    if store == "h5ad":
        with h5py.File(source) as file:
            assert not [name for name in file["obs"] if "gmm" in name]
    else:
        assert not [path for path in (source / "obs").iterdir() if "gmm" in path.name]


def test_a_file_that_is_open_elsewhere_is_told(tmp_path: Path) -> None:
    source = save(tmp_path, "h5ad")
    with (
        h5py.File(source, "r"),
        pytest.raises(ResourceError, match=r"cannot be opened for writing"),
    ):
        write_in_place(source, FIRST.what(), FIRST.rows())
    with h5py.File(source, "r"):
        write_copy(source, tmp_path / "run", FIRST.what(), FIRST.rows())


def test_a_read_only_source_gives_a_copy_that_can_be_written(tmp_path: Path) -> None:
    for store in ("h5ad", "zarr3"):
        source = save(tmp_path, store)
        for path in [source, *source.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        for labels in (FIRST, SECOND):
            record = write_copy(source, tmp_path / "run", labels.what(), labels.rows())
            labels.check(load(record.path))


@pytest.mark.parametrize("store", ["h5ad", "zarr2"])
def test_a_copy_killed_on_the_way(store: str, tmp_path: Path) -> None:
    source = save(_made(tmp_path / "source"), store)
    first = Path(write_copy(source, tmp_path / "first", FIRST.what(), FIRST.rows()).path)
    for at in _decisive(source, tmp_path / "dry"):
        target = tmp_path / str(at) / first.name
        LOCAL.copy(first.parent, target.parent)
        with pytest.raises(Crash):
            write_copy(source, target.parent, SECOND.what(), SECOND.rows(), CrashingDisk(at, True))
        if target.exists():
            _one_of(load(target))
        write_copy(source, target.parent, SECOND.what(), SECOND.rows())
        SECOND.check(load(target))
        assert [path.name for path in target.parent.iterdir()] == [target.name]


def _decisive(source: Path, folder: Path) -> list[int]:
    """Return operations to die at: around the renames all, before them (in the draft) a few."""
    write_copy(source, folder, FIRST.what(), FIRST.rows())
    disk = CrashingDisk()
    write_copy(source, folder, SECOND.what(), SECOND.rows(), disk)
    install = [at for at, name in enumerate(disk.log) if name == "rename"][-2]
    assert disk.log[install : install + 3] == ["rename", "rename", "sync_folder"]
    draft = range(0, install, 1 if source.is_file() else 80)
    return sorted({*draft, *range(install, install + 4), disk.count - 1})


def test_h5py_is_needed_for_h5ad_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5ad, store = save(tmp_path, "h5ad"), save(tmp_path, "zarr3")
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "pipeline.sinks.anndata_h5", raising=False)
    with pytest.raises(ConfigError, match=r"h5py is needed .* gmm-dask\[anndata\]"):
        write_in_place(h5ad, FIRST.what(), FIRST.rows())
    write_in_place(store, FIRST.what(), FIRST.rows())
    FIRST.check(load(store))


def _one_of(found: object) -> None:
    for labels in (FIRST, SECOND):
        try:
            labels.check(found)  # type: ignore[arg-type]
        except AssertionError:
            continue
        return
    raise AssertionError("neither the old copy nor the new one")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _forget(path: Path) -> None:
    """Delete the consolidated metadata of a store."""
    if (path / ".zmetadata").exists():
        (path / ".zmetadata").unlink()
        return
    document = json.loads((path / "zarr.json").read_text())
    del document["consolidated_metadata"]
    (path / "zarr.json").write_text(json.dumps(document))
