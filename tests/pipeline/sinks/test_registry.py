from __future__ import annotations

import os
from pathlib import Path

import pytest

from gmm_dask import ConfigError, ResourceError
from pipeline.sinks import check_target, open_sink, sha256_of

from .rows import FORMATS, layout, table, write


def test_unknown_formats_are_told() -> None:
    with pytest.raises(ConfigError, match="feather came; parquet, zarr, csv are known"):
        open_sink("feather", "x", layout(table()))


@pytest.mark.parametrize("kind", FORMATS)
def test_only_our_own_outputs_are_replaced(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "assignments"
    check_target(path)
    path.mkdir()
    check_target(path)
    write(kind, path, table())
    check_target(path)
    (path / "notes.txt").write_text("mine")
    if kind == "zarr":
        (path / "zarr.json").unlink()
    with pytest.raises(ConfigError, match="did not write, and would be replaced"):
        open_sink(kind, path, layout(table()))
    assert (path / "notes.txt").read_text() == "mine"


def test_a_folder_of_data_is_not_replaced(tmp_path: Path) -> None:
    table().select(["label"]).to_pandas().to_parquet(tmp_path / "part-000000.parquet")
    before = sha256_of(tmp_path)
    for path in (tmp_path, tmp_path / "part-000000.parquet"):
        with pytest.raises(ConfigError, match=r"output\.path"):
            open_sink("parquet", path, layout(table()))
    assert sha256_of(tmp_path) == before


def test_a_link_to_a_folder_elsewhere_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "out").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "scratch" / "out")
    record = write("csv", tmp_path / "link", table())
    assert (tmp_path / "link").is_symlink()
    assert record.path == os.path.realpath(tmp_path / "scratch" / "out")
    assert (tmp_path / "link" / "assignments.csv").is_file()


def test_urls_are_refused_without_telling_what_they_hold() -> None:
    with pytest.raises(ConfigError, match=r"output\.path: bucket/x is a URL") as caught:
        open_sink("csv", "s3://user:secret@bucket/x?token=abc", layout(table()))
    assert "secret" not in str(caught.value)
    assert "abc" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be"):
        open_sink("csv", tmp_path / "file" / "assignments", layout(table()))
