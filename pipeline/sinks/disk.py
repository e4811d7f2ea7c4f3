"""The few file operations on which outputs rest, so that each can be made to fail in a test."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from gmm_dask import ResourceError

# What a file system answers when folders cannot be synced; there is nothing to wait for then.
NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF}
COPY_BYTES = 8 * 2**20


class Disk:
    """Operations of the local or a shared file system; pickles, as workers write too.

    Every change of a file or folder by a sink is one of these calls, so that a test can enumerate
    all crashes by wrapping the class.
    """

    def names(self, folder: Path) -> list[str]:
        """Return the sorted names in a folder, none if it does not exist."""
        try:
            return sorted(entry.name for entry in folder.iterdir())
        except FileNotFoundError:
            return []

    def is_folder(self, path: Path) -> bool:
        """Return whether `path` is a folder and not a link to one."""
        return path.is_dir() and not path.is_symlink()

    def exists(self, path: Path) -> bool:
        """Return whether `path` is there, as a link too."""
        return path.exists() or path.is_symlink()

    def make_folder(self, path: Path) -> None:
        """Make one folder whose parent exists, unless it is there already."""
        path.mkdir(exist_ok=True)

    def write(self, path: Path, data: bytes) -> None:
        """Write a file and wait until its contents (not its name) are on the disk."""
        with path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())

    def join(self, sources: Sequence[Path], target: Path, head: bytes = b"") -> None:
        """Write `head` and then the contents of all sources into one file, and wait for the disk.

        A large file never passes through memory as a whole.
        """
        with target.open("wb") as stream:
            stream.write(head)
            for source in sources:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, stream, COPY_BYTES)
            stream.flush()
            os.fsync(stream.fileno())

    def copy(self, source: Path, target: Path) -> None:
        """Copy a file or a folder with all it holds; the copy can be written, and is on the disk.

        Modes are not copied: what may only be read gives a copy that may be changed.
        """
        _copy(source, target)

    def sync(self, path: Path) -> None:
        """Wait until the contents of a file are on the disk."""
        _sync_file(path)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        _sync_folder(path)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file in one step, over a file that has that name."""
        source.replace(target)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or folder to a name that is free, in one step.

        Raises
        ------
        FileExistsError
            If the name is taken.
        """
        if self.exists(target):
            raise FileExistsError(errno.EEXIST, "the name is taken", str(target))
        source.rename(target)

    def delete(self, path: Path) -> None:
        """Delete a file or a link."""
        path.unlink()

    def delete_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()


LOCAL = Disk()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir()
        for entry in sorted(source.iterdir()):
            _copy(entry, target / entry.name)
        _sync_folder(target)
    else:
        shutil.copyfile(source, target)
        _sync_file(target)


def _sync_file(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
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


def hidden(path: Path, end: str, token: str = "") -> Path:
    """Return the name ``.<name>-<token>.<end>`` beside `path`."""
    return path.with_name(f".{path.name}-{token or uuid.uuid4().hex}.{end}")


def make_folders(disk: Disk, path: Path) -> None:
    """Make a folder and its parents, each of them on the disk before this returns."""
    if path.is_dir():
        return
    make_folders(disk, path.parent)
    disk.make_folder(path)
    disk.sync_folder(path.parent)


def write_atomic(disk: Disk, path: Path, data: bytes, draft: Path | None = None) -> None:
    """Put `data` under `path` in one step, over a file that has that name.

    Parameters
    ----------
    disk : Disk
    path : Path
    data : bytes
    draft : Path, optional
        Where it is written first, on the same file system; default a hidden name beside `path`.
    """
    draft = draft or hidden(path, "tmp")
    try:
        disk.write(draft, data)
        disk.replace(draft, path)
    except OSError:
        discard(disk, draft)
        raise


def delete_tree(disk: Disk, path: Path) -> None:
    """Delete a file or a folder with all it holds; nothing happens if it is not there."""
    if not disk.is_folder(path):
        if disk.exists(path):
            disk.delete(path)
        return
    for name in disk.names(path):
        delete_tree(disk, path / name)
    disk.delete_folder(path)


def discard(disk: Disk, path: Path) -> None:
    """Delete what is of no more use; a failure leaves debris, and is no failure of the run."""
    try:
        delete_tree(disk, path)
    except OSError:
        return


def explain(error: OSError, doing: str, advice: str) -> ResourceError:
    """Return a ResourceError that says what failed, why, and what to do."""
    reason = error.strerror or str(error)
    code = f" (errno {error.errno})" if error.errno is not None else ""
    return ResourceError(f"{doing}: {reason}{code}. {advice}")
