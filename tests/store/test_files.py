from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.errors import FormatError
from gmm_dask.store import files as module
from gmm_dask.store.files import (
    LOCAL,
    Files,
    create_durable,
    delete_tree,
    make_folders,
    replace_durable,
    sweep_drafts,
)

from .simulated import Crash, FaultyFiles, MemoryFiles, names

NAMES = st.sampled_from(["a", "b", "c", "d/a", "d/b", "d"])
OPERATIONS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.binary(max_size=5)),
    st.tuples(st.sampled_from(["make_folder", "delete", "delete_folder", "names"]), NAMES),
    st.tuples(st.just("is_folder"), st.just("d")),
    st.tuples(st.just("publish"), NAMES, NAMES),
    st.tuples(st.just("read"), NAMES, st.just(100)),
    st.tuples(st.just("replace"), st.sampled_from("abc"), st.sampled_from("abc")),
)


def run(files: Files, folder: Path, name: str, args: tuple[object, ...]) -> object:
    """Return the result of an operation, or what kind of error it was."""
    paths = [folder / a if isinstance(a, str) else a for a in args]
    try:
        return getattr(files, name)(*paths)
    except (OSError, FormatError) as error:
        return "exists" if isinstance(error, FileExistsError) else "error"


@settings(max_examples=80, deadline=None)
@given(st.lists(OPERATIONS, max_size=12))
def test_the_simulated_file_system_behaves_as_the_real_one(operations: list) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        real, fake = Path(name), Path("/fake")
        memory = MemoryFiles()
        memory.make_folder(fake)
        for operation, *args in operations:
            if operation == "publish" and LOCAL.is_folder(real / args[0]):
                continue  # hard links to folders do not exist, and nobody asks for one
            results = [
                run(f, p, operation, tuple(args)) for f, p in ((LOCAL, real), (memory, fake))
            ]
            assert results[0] == results[1], (operation, args)
        found = {p.relative_to(real): p.read_bytes() for p in real.rglob("*") if p.is_file()}
        assert found == {p.relative_to(fake): memory.read(p, 99) for p in memory.paths(fake)}


def test_a_name_is_given_to_one_writer_only(tmp_path: Path) -> None:
    create_durable(LOCAL, tmp_path / "marker", b"first")
    with pytest.raises(FileExistsError):
        create_durable(LOCAL, tmp_path / "marker", b"second")
    assert (tmp_path / "marker").read_bytes() == b"first"
    assert names(tmp_path) == ["marker"], "drafts stay behind"


def test_without_hard_links_the_name_is_still_given_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(module.errno.EPERM, "no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    create_durable(LOCAL, tmp_path / "marker", b"first")
    with pytest.raises(FileExistsError):
        create_durable(LOCAL, tmp_path / "marker", b"second")
    assert (tmp_path / "marker").read_bytes() == b"first"


def test_pipes_and_large_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(FormatError, match="not a regular file"):
        LOCAL.read(tmp_path / "pipe", 10)
    with pytest.raises(FormatError, match="11 bytes; at most 10"):
        LOCAL.read(tmp_path / "large", 10)


def test_a_link_to_a_folder_is_deleted_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    delete_tree(LOCAL, tmp_path / "gone")
    assert (tmp_path / "kept" / "file").read_text() == "x"
    assert not (tmp_path / "gone").exists()


def test_only_old_drafts_are_swept() -> None:
    files, folder = MemoryFiles(), Path("/run")
    files.make_folder(folder)
    for name in (".run.lock.1.tmp", ".other.1.tmp", "run.lock"):
        files.write(folder / name, b"")
    now = files.modified(folder / "run.lock")
    sweep_drafts(files, folder, ["run.lock"], now)
    assert len(files.names(folder)) == 3
    sweep_drafts(files, folder, ["run.lock"], now + module.ORPHAN_SECONDS + 9)
    assert files.names(folder) == [".other.1.tmp", "run.lock"]


@pytest.mark.parametrize("at", range(4))
def test_a_replaced_file_is_old_or_new_after_a_power_cut(at: int) -> None:
    base, path = MemoryFiles(), Path("/run/marker")
    make_folders(base, path.parent)
    replace_durable(base, path, b"old")
    with pytest.raises(Crash):
        replace_durable(FaultyFiles(base, at, "after"), path, b"new")
    for outcome in range(12):
        survivor = base.after_power_cut(lambda n, outcome=outcome: outcome % n)
        assert survivor.read(path, 10) in (b"old", b"new")


def test_the_power_cut_finds_a_missing_sync() -> None:
    base, path = MemoryFiles(), Path("/run/marker")
    make_folders(base, path.parent)
    base.write(path.with_name("draft"), b"new")
    base.replace(path.with_name("draft"), path)
    found = set()
    for outcome in range(12):
        survivor = base.after_power_cut(lambda n, outcome=outcome: outcome % n)
        found.add(survivor.read(path, 10) if "marker" in survivor.names(path.parent) else None)
    assert {None, b""} & found, "the simulation lost nothing although nothing was synced"
