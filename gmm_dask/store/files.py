"""The few file operations on which the store rests, so that each can be made to fail in a test."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from gmm_dask.errors import FormatError, StoreError

# What a file system answers when it has no hard links (FAT, some SMB and FUSE mounts).
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
# What a file system answers when folders cannot be synced; there is nothing to wait for then.
NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}


class Files:
    """File operations of the local file system; each may fail or be the last before a crash.

    The protocols of checkpoints, models and locks are sequences of these operations and nothing
    else, so that tests enumerate every crash by wrapping this class.
    """

    def read(self, path: Path, limit: int) -> bytes:
        """Return the bytes of a regular file of at most `limit` bytes.

        Raises
        ------
        FormatError
            If it is larger, or a device or a pipe (which could hang or never end).
        """
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise FormatError(f"{path} is not a regular file")
            if found.st_size > limit:
                raise FormatError(f"{path} has {found.st_size} bytes; at most {limit} are allowed")
            return stream.read(limit)

    def names(self, folder: Path) -> list[str]:
        """Return the sorted names in a folder, none if it does not exist."""
        try:
            return sorted(entry.name for entry in folder.iterdir())
        except FileNotFoundError:
            return []

    def modified(self, path: Path) -> float:
        """Return the time of the last change in seconds, by the clock of the file system."""
        return path.stat().st_mtime

    def is_folder(self, path: Path, links: bool = True) -> bool:
        """Return whether `path` is a folder (or, with `links`, a link to one)."""
        return path.is_dir() and (links or not path.is_symlink())

    def make_folder(self, path: Path) -> None:
        """Make one folder whose parent exists, unless it is there already."""
        path.mkdir(exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Write a file; without `sync` it may be lost, whole or in part, with the power."""
        path.write_bytes(data)

    def sync(self, path: Path) -> None:
        """Wait until the contents of a file are on the disk."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        if os.name == "nt":
            return
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        """Rename `source` to `target` in one step, over a file that has that name."""
        source.replace(target)

    def publish(self, source: Path, target: Path) -> None:
        """Give the file a second name in one step; FileExistsError if the name is taken.

        Without hard links the contents are copied under a name taken exclusively: a crash may
        then leave a torn file, which every reader here recognises by its checksum.
        """
        try:
            target.hardlink_to(source)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            with source.open("rb") as whole, target.open("xb") as copy:
                shutil.copyfileobj(whole, copy)
                os.fsync(copy.fileno())

    def delete(self, path: Path) -> None:
        """Delete a file."""
        path.unlink()

    def delete_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()


LOCAL = Files()
# Younger drafts may belong to a process that is still at work.
ORPHAN_SECONDS = 3600.0
MUTATIONS = (
    "make_folder",
    "write",
    "sync",
    "sync_folder",
    "replace",
    "publish",
    "delete",
    "delete_folder",
)


def aside(path: Path, token: str = "") -> Path:
    """Return a hidden name beside `path` under which something is prepared."""
    return path.with_name(f".{path.name}.{token or uuid.uuid4().hex}.tmp")


def is_aside(name: str) -> bool:
    """Return whether a name is one that `aside` gives."""
    return name.startswith(".") and name.endswith(".tmp")


def make_folders(files: Files, path: Path) -> None:
    """Make a folder and its parents, each of them on the disk before this returns."""
    if files.is_folder(path):
        return
    make_folders(files, path.parent)
    files.make_folder(path)
    files.sync_folder(path.parent)


def write_durable(files: Files, path: Path, data: bytes) -> None:
    """Write a file and wait until its contents (not yet its name) are on the disk."""
    files.write(path, data)
    files.sync(path)


def replace_durable(files: Files, path: Path, data: bytes) -> None:
    """Put `data` under `path` in one step that survives a crash and a power cut."""
    with _draft(files, path, data) as draft:
        files.replace(draft, path)
        files.sync_folder(path.parent)


def create_durable(files: Files, path: Path, data: bytes) -> None:
    """Put `data` under a name that nobody has taken yet.

    Raises
    ------
    FileExistsError
        If the name is taken: exactly one of several writers succeeds.
    """
    with _draft(files, path, data) as draft:
        files.publish(draft, path)
        files.sync_folder(path.parent)


@contextlib.contextmanager
def _draft(files: Files, path: Path, data: bytes) -> Iterator[Path]:
    """Give a file beside `path` that holds `data`, and delete whatever is left of it."""
    draft = aside(path)
    try:
        write_durable(files, draft, data)
        yield draft
    finally:
        with contextlib.suppress(OSError):
            files.delete(draft)


def delete_tree(files: Files, path: Path) -> None:
    """Delete a file or a folder with all it holds; nothing happens if it is not there."""
    if not files.is_folder(path, links=False):
        with contextlib.suppress(FileNotFoundError):
            files.delete(path)
        return
    for name in files.names(path):
        delete_tree(files, path / name)
    files.delete_folder(path)


def sweep_drafts(files: Files, folder: Path, names: Iterable[str], now: float) -> None:
    """Delete what crashes left beside the given names, if it is old enough to be nobody's."""
    starts = tuple(f".{name}." for name in names)
    for name in files.names(folder):
        if not (name.startswith(starts) and is_aside(name)):
            continue
        with contextlib.suppress(FileNotFoundError):
            if now - files.modified(folder / name) > ORPHAN_SECONDS:
                delete_tree(files, folder / name)


def explain(error: OSError, doing: str, advice: str) -> StoreError:
    """Return a StoreError that says what failed, why, and what to do."""
    reason = error.strerror or str(error)
    code = f" (errno {error.errno})" if error.errno is not None else ""
    return StoreError(f"{doing}: {reason}{code}. {advice}")
