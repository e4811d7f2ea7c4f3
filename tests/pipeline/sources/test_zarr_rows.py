from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from gmm_dask import ConfigError, DataError
from pipeline.sources import SourceSpec, open_table

VALUES = np.arange(1.0, 61.0).reshape(20, 3)


def opened(path: Path, **settings: Any) -> Any:
    return open_table(SourceSpec(str(path), **settings), path.parent / "scratch")


@pytest.mark.parametrize("version", [2, 3])
def test_both_formats_and_an_array_at_the_top(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=VALUES, chunks=(7, 2), zarr_format=version)
    table = opened(path)
    assert (table.described["format"], table.described["bytes"]) == ("zarr", VALUES.nbytes)
    np.testing.assert_array_equal(table.read(5, 16).values, VALUES[5:16])
    picked = opened(path, columns=("x2", "x0"))
    np.testing.assert_array_equal(picked.read(0, 20).values, VALUES[:, [2, 0]])


def test_the_only_matrix_of_a_group_needs_no_key(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    group = zarr.open_group(path, mode="w")
    group.create_array("a/b", data=VALUES)
    group.create_array("labels", data=np.arange(20))
    assert opened(path).described["key"] == "a/b"
    group.create_array("c", data=VALUES[:, :2])
    with pytest.raises(
        DataError, match=r"x\.zarr has several arrays: a/b \(3\), c \(2\); name one"
    ):
        opened(path)
    with pytest.raises(
        DataError, match=r"x\.zarr has no a/bb; it has a/b \(3\), c \(2\)\. Did you"
    ):
        opened(path, key="a/bb")
    np.testing.assert_array_equal(opened(path, key="/c/").read(0, 1).values, VALUES[:1, :2])


def test_zip_stores_and_folders_without_the_ending(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "plain", data=VALUES)
    np.testing.assert_array_equal(opened(tmp_path / "plain").read(0, 20).values, VALUES)
    with zarr.storage.ZipStore(tmp_path / "x.zarr.zip", mode="w") as store:
        zarr.create_array(store, data=VALUES)
    np.testing.assert_array_equal(opened(tmp_path / "x.zarr.zip").read(0, 20).values, VALUES)


def test_a_missing_chunk_is_an_error_before_any_pass(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=VALUES, chunks=(5, 3))
    (path / "c" / "1" / "0").unlink()
    with pytest.raises(DataError, match=r"rows 5 to 9\) is missing"):
        opened(path)


def test_a_rewritten_array_has_another_fingerprint_and_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=VALUES)
    before = opened(path)
    before.read(0, 1)
    shutil.rmtree(path)
    zarr.create_array(path, data=VALUES[:10] * 2)
    after = opened(path)
    assert after.fingerprint != before.fingerprint
    np.testing.assert_array_equal(after.read(0, 10).values, VALUES[:10] * 2)


def test_what_is_no_matrix(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "one.zarr", data=np.arange(3.0))
    with pytest.raises(DataError, match="two dimensions"):
        opened(tmp_path / "one.zarr")
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(DataError, match="no array of two dimensions"):
        opened(tmp_path / "empty.zarr")
    with pytest.raises(DataError, match=r"none\.zarr: there is no zarr array or group here"):
        opened(tmp_path / "none.zarr")
    with pytest.raises(ConfigError, match="2 zarr stores came; give one"):
        open_table(SourceSpec(["a.zarr", "b.zarr"], format="zarr"), tmp_path)
