from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pipeline.sinks import sha256_of


def make(folder: Path) -> Path:
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "b" / "c" / "1").write_bytes(b"one")
    (folder / "a").write_bytes(b"two")
    return folder


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 1000)
    assert sha256_of(tmp_path / "x") == hashlib.sha256(b"abc" * 1000).hexdigest()


def test_a_folder_has_one_digest_wherever_and_whenever_it_was_written(tmp_path: Path) -> None:
    first = sha256_of(make(tmp_path / "x"))
    shutil.copytree(tmp_path / "x", tmp_path / "y")
    os.utime(tmp_path / "y" / "a", (0, 0))
    (tmp_path / "y" / "empty").mkdir()
    (tmp_path / "y" / ".snakemake_timestamp").touch()
    assert sha256_of(str(tmp_path / "y")) == first


@pytest.mark.parametrize("change", ["content", "name", "swap", "more", "less"])
def test_any_change_changes_it(change: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "x")
    before = sha256_of(folder)
    if change == "content":
        (folder / "a").write_bytes(b"twp")
    elif change == "name":
        (folder / "a").rename(folder / "aa")
    elif change == "swap":
        (folder / "a").write_bytes(b"one")
        (folder / "b" / "c" / "1").write_bytes(b"two")
    elif change == "more":
        (folder / "b" / "2").write_bytes(b"")
    else:
        (folder / "a").unlink()
    assert sha256_of(folder) != before


def test_nothing_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "gone")
