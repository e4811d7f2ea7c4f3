from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.sinks.disk import LOCAL, delete_tree, discard, make_folders, write_atomic

from .rows import table, write

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc which file was waited for")


@linux
def test_contents_are_on_the_disk_before_a_name_is_given(tmp_path: Path, syncs: list[str]) -> None:
    write("parquet", tmp_path / "new" / "assignments", table())
    spare = [path for path in syncs if "/spare/" in path]
    assert len(spare) == 3
    rows = next(i for i, path in enumerate(syncs) if path.endswith("/rows"))
    assert max(syncs.index(path) for path in spare) < rows
    assert syncs[-1] == str(tmp_path / "new")
    assert str(tmp_path) in syncs[:rows]


@linux
def test_a_copy_is_on_the_disk(tmp_path: Path, syncs: list[str]) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("x")
    LOCAL.copy(tmp_path / "a", tmp_path / "z")
    assert syncs == [str(tmp_path / name) for name in ("z/b/c", "z/b", "z")]
    assert (tmp_path / "z" / "b" / "c").read_text() == "x"


def test_a_name_that_is_taken_is_never_renamed_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(FileExistsError):
        LOCAL.rename(tmp_path / "a", tmp_path / "b")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(FileExistsError):
        LOCAL.rename(tmp_path / "a", tmp_path / "link")


def test_deleting_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("mine")
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "link").symlink_to(tmp_path / "data")
    delete_tree(LOCAL, tmp_path / "out")
    delete_tree(LOCAL, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "data" / "x").read_text() == "mine"


def test_joined_files_are_their_contents_in_order(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name * 3)
    LOCAL.join([tmp_path / "b", tmp_path / "a"], tmp_path / "c", b"head ")
    assert (tmp_path / "c").read_text() == "head bbbaaa"


def test_a_failed_write_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("")
    with pytest.raises(OSError, match="taken"):
        write_atomic(LOCAL, tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    discard(LOCAL, tmp_path / "never" / "there")
    make_folders(LOCAL, tmp_path / "p" / "q" / "r")
    assert (tmp_path / "p" / "q" / "r").is_dir()
