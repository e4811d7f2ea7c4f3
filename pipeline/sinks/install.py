"""Putting something complete where users look for it, and cleaning up after crashes."""

from __future__ import annotations

from pathlib import Path

from pipeline.sinks.disk import Disk, discard, hidden

DRAFT = "partial"
OLD = "old"


def install(disk: Disk, draft: Path, path: Path) -> None:
    """Rename a complete draft to `path`; what was there is deleted afterwards.

    Killed at any moment, `path` is the old one, nothing, or the new one, each complete. Where it is
    nothing, the old one lies beside it, and `recover` puts it back.

    Parameters
    ----------
    disk : Disk
    draft : Path
        File or folder on the same file system as `path`, its contents on the disk already.
    path : Path
    """
    old = hidden(path, OLD)
    if disk.exists(path):
        disk.rename(path, old)
    try:
        disk.rename(draft, path)
    except OSError:
        if disk.exists(old) and not disk.exists(path):
            disk.rename(old, path)
        raise
    disk.sync_folder(path.parent)
    discard(disk, old)


def recover(disk: Disk, path: Path) -> None:
    """Undo what a killed writer of `path` left: put the old output back, delete its drafts.

    There is one writer of a path at a time (a run holds the lock of its folder): the drafts of
    another one at work would be deleted as well, and its parts refused.
    """
    beside = [path.with_name(name) for name in disk.names(path.parent)]
    old = [item for item in beside if _left(item.name, path.name, OLD)]
    if old and not disk.exists(path):
        disk.rename(old.pop(), path)
    drafts = [item for item in beside if _left(item.name, path.name, DRAFT)]
    for item in (*old, *drafts):
        discard(disk, item)


def _left(name: str, stem: str, end: str) -> bool:
    token = name.removeprefix(f".{stem}-").removesuffix(f".{end}")
    return name == f".{stem}-{token}.{end}" and len(token) == 32 and token.isalnum()
