"""Killed at every single file operation: old, nothing or new, and the next run completes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.sinks import open_sink, sha256_of

from .crashes import Crash, CrashingDisk
from .rows import FORMATS, layout, table, write

ROWS = table(15).select(["cell"])
OLD = table(6, seed=5).select(["cell"])


def state(path: Path) -> str:
    return sha256_of(path) if path.exists() else "nothing"


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("old", ["old", "none"])
@pytest.mark.parametrize("kind", FORMATS)
def test_killed_at_every_operation(kind: str, old: str, torn: bool, tmp_path: Path) -> None:
    new = write(kind, tmp_path / "reference", ROWS).sha256
    template = tmp_path / "template"
    before = write(kind, template, OLD).sha256 if old == "old" else "nothing"
    seen = set()
    for at in _operations(kind, template, tmp_path / "dry", torn):
        path = tmp_path / str(at) / "assignments"
        _prepare(template, path)
        with pytest.raises(Crash):
            write(kind, path, ROWS, disk=CrashingDisk(at, torn))
        assert state(path) in {before, "nothing", new}
        seen.add(state(path))
        _clean_up_keeps_what_there_was(kind, path, {before, new})
        assert write(kind, path, ROWS).sha256 == new == sha256_of(path)
        assert [item.name for item in path.parent.iterdir()] == ["assignments"]
    # each state was met, so the counter did reach the renames
    assert seen == ({before} if torn else {before, "nothing", new})


def _prepare(template: Path, path: Path) -> None:
    path.parent.mkdir()
    if template.exists():
        shutil.copytree(template, path)


def _operations(kind: str, template: Path, folder: Path, torn: bool) -> list[int]:
    """Return the numbers of all operations, or of those that can be left half done."""
    _prepare(template, folder / "assignments")
    disk = CrashingDisk()
    write(kind, folder / "assignments", ROWS, disk=disk)
    assert disk.count >= 12
    return [at for at, name in enumerate(disk.log) if not torn or name in ("write", "join")]


def _clean_up_keeps_what_there_was(kind: str, path: Path, allowed: set[str]) -> None:
    """A run that starts after the crash and gives up puts the old output back."""
    open_sink(kind, path, layout(ROWS)).abort()
    assert state(path) in allowed
    assert {item.name for item in path.parent.iterdir()} <= {"assignments"}
