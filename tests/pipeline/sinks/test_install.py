from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sinks.disk import LOCAL, hidden
from pipeline.sinks.install import DRAFT, OLD, install, recover

from .crashes import Crash, CrashingDisk


def folder(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    return path


def test_a_file_or_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    path = folder(tmp_path / "out", "old")
    install(LOCAL, folder(tmp_path / "draft", "new"), path)
    assert (path / "file").read_text() == "new"
    (tmp_path / "draft").write_text("a file")
    install(LOCAL, tmp_path / "draft", path)
    assert path.read_text() == "a file"
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_between_the_renames_the_old_one_can_be_put_back(tmp_path: Path) -> None:
    path = folder(tmp_path / "out", "old")
    draft = folder(hidden(path, DRAFT), "new")
    with pytest.raises(Crash):
        install(CrashingDisk(at=1), draft, path)
    assert not path.exists()
    recover(LOCAL, path)
    assert (path / "file").read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["out"]


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for name in (".out-1234.partial", ".out.old", "out-partial", ".out2-" + "0" * 32 + ".partial"):
        folder(tmp_path / name, "mine")
    folder(hidden(path, DRAFT), "left")
    recover(LOCAL, path)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_old_one_is_deleted_where_the_new_one_is_complete(tmp_path: Path) -> None:
    path = folder(tmp_path / "out", "new")
    folder(hidden(path, OLD), "old")
    recover(LOCAL, path)
    assert (path / "file").read_text() == "new"
    assert [item.name for item in tmp_path.iterdir()] == ["out"]
