"""Which checkpoints are kept: the newest few; marker first, then data, never the last valid one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from gmm_dask.errors import FormatError
from gmm_dask.store.files import ORPHAN_SECONDS, Files, delete_tree, is_aside
from gmm_dask.store.marker import DATA_NAME, Marker, parse, raw_markers


def prune(root: Path, newest: Marker, keep: int, files: Files) -> None:
    """Delete all checkpoints but `newest`, which is valid, and the `keep` - 1 before it.

    Markers of later passes go too: they were damaged or left by an attempt that was given up, and
    history now goes on from `newest`.
    """
    commits = root / "commits"
    names = list(raw_markers(commits, files))
    earlier = [name for name in names if name < newest.name]
    kept = {newest.name, *earlier[: keep - 1]}
    for name in names:
        if name not in kept:
            files.delete(commits / name)
            files.sync_folder(commits)
            _delete_data(root, [name.removesuffix(".json")], files)


def sweep(root: Path, newest: Marker, files: Files, seconds: float = ORPHAN_SECONDS) -> None:
    """Delete what crashes left behind: data without a marker and drafts, older than `seconds`.

    The age protects another driver that is about to write its marker. It is told by the clock of
    the file system, from the marker just written, since clocks of machines differ.
    """
    commits, data = root / "commits", root / "data"
    now = files.modified(commits / newest.name)
    used = _used(commits, files)
    orphans = [data / name for name in files.names(data) if not _is_used(name, used)]
    drafts = [commits / name for name in files.names(commits) if is_aside(name)]
    for path in orphans + drafts:
        with contextlib.suppress(FileNotFoundError):
            if now - files.modified(path) > seconds:
                delete_tree(files, path)


def _used(commits: Path, files: Files) -> set[str]:
    """Return the data folders of all markers; of an unreadable one, the start of their names."""
    used = set()
    for name, raw in raw_markers(commits, files).items():
        try:
            used.add(parse(raw or b"", name).data)
        except FormatError:
            used.add(name.removesuffix(".json"))
    return used


def _is_used(name: str, used: Iterable[str]) -> bool:
    return any(name.startswith(start) for start in used)


def _delete_data(root: Path, starts: list[str], files: Files) -> None:
    for name in files.names(root / "data"):
        if DATA_NAME.fullmatch(name) and _is_used(name, starts):
            delete_tree(files, root / "data" / name)
