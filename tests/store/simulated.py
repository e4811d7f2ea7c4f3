"""File systems that fail: at any single operation, or by a power cut."""

from __future__ import annotations

import copy
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from gmm_dask.errors import FormatError
from gmm_dask.store.files import MUTATIONS, Files

# What a script of a test begins with: the store alone, as the whole package takes long to load
BARE = f"""
import sys, types
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
package = types.ModuleType("gmm_dask")
package.__path__ = [{str(Path(__file__).parents[2] / "gmm_dask")!r}]
sys.modules["gmm_dask"] = package
"""


class Crash(BaseException):
    """Stands for the end of the process: no handler of errors catches it."""


class _File:
    def __init__(self, data: bytes, time: float) -> None:
        self.data, self.time = data, time
        self.durable: bytes | None = None


class _Folder:
    """Entries, and what they were at every moment since the last sync."""

    def __init__(self, time: float) -> None:
        self.entries: dict[str, _File | _Folder] = {}
        self.log: list[dict[str, Any]] = [{}]
        self.time = time


class MemoryFiles(Files):
    """A file system in memory that knows what of it is on the disk.

    After a power cut a folder is as it was after one of the operations since its last sync (as
    with a journal), and a file that was not synced is empty, cut, or whole.
    """

    def __init__(self) -> None:
        self.clock = 1_000_000.0
        self.root = _Folder(self.clock)

    def read(self, path: Path, limit: int) -> bytes:
        node = self._find(path)
        if isinstance(node, _Folder):
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        if len(node.data) > limit:
            raise FormatError(f"{path} is too large")
        return node.data

    def names(self, folder: Path) -> list[str]:
        try:
            node = self._find(folder)
        except FileNotFoundError:
            return []
        if isinstance(node, _File):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
        return sorted(node.entries)

    def modified(self, path: Path) -> float:
        return self._find(path).time

    def is_folder(self, path: Path, links: bool = True) -> bool:
        try:
            return isinstance(self._find(path), _Folder)
        except OSError:
            return False

    def make_folder(self, path: Path) -> None:
        if not self.is_folder(path):
            self._enter(path, _Folder(self._tick()), exclusive=True)

    def write(self, path: Path, data: bytes) -> None:
        old = self._folder(path.parent).entries.get(path.name)
        if isinstance(old, _Folder):
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        if old is None:
            self._enter(path, _File(data, self._tick()))
        else:
            old.data, old.durable, old.time = data, None, self._tick()

    def sync(self, path: Path) -> None:
        node = self._find(path)
        assert isinstance(node, _File)
        node.durable = node.data

    def sync_folder(self, path: Path) -> None:
        folder = self._folder(path)
        folder.log = [dict(folder.entries)]

    def replace(self, source: Path, target: Path) -> None:
        node = self._find(source)
        old = self._folder(target.parent).entries.get(target.name)
        if node is old:
            return
        if old is not None and isinstance(node, _Folder) != isinstance(old, _Folder):
            raise NotADirectoryError(errno.ENOTDIR, "a file and a folder", str(target))
        if isinstance(node, _Folder) and isinstance(old, _Folder) and old.entries:
            raise OSError(errno.ENOTEMPTY, "not empty", str(target))
        assert source.parent == target.parent, "renames stay within a folder"
        folder = self._folder(target.parent)
        del folder.entries[source.name]
        folder.entries[target.name] = node
        self._changed(folder)

    def publish(self, source: Path, target: Path) -> None:
        self._enter(target, self._find(source), exclusive=True)

    def delete(self, path: Path) -> None:
        if isinstance(self._find(path), _Folder):
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
        self._leave(path)

    def delete_folder(self, path: Path) -> None:
        if self._folder(path).entries:
            raise OSError(errno.ENOTEMPTY, "not empty", str(path))
        self._leave(path)

    def paths(self, folder: Path) -> list[Path]:
        """Return all files below a folder."""
        found: list[Path] = []
        for name in self.names(folder):
            path = folder / name
            found += self.paths(path) if self.is_folder(path) else [path]
        return found

    def settle(self, folder: Path = Path("/")) -> None:
        """Put everything on the disk, as systems do on their own after a while."""
        self.sync_folder(folder)
        for name in self.names(folder):
            path = folder / name
            (self.settle if self.is_folder(path) else self.sync)(path)

    def after_power_cut(self, choose: Callable[[int], int]) -> MemoryFiles:
        """Return what is found after a power cut; `choose(n)` picks one of n outcomes."""
        survivor = MemoryFiles()
        survivor.clock = self.clock
        survivor.root = _survive_folder(self.root, choose)
        return survivor

    def _tick(self) -> float:
        self.clock += 1.0
        return self.clock

    def _find(self, path: Path) -> _File | _Folder:
        node: _File | _Folder = self.root
        for part in path.parts[1:]:
            if isinstance(node, _File):
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(path))
            if part not in node.entries:
                raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
            node = node.entries[part]
        return node

    def _folder(self, path: Path) -> _Folder:
        node = self._find(path)
        if isinstance(node, _File):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(path))
        return node

    def _enter(self, path: Path, node: _File | _Folder, exclusive: bool = False) -> None:
        folder = self._folder(path.parent)
        if exclusive and path.name in folder.entries:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        folder.entries[path.name] = node
        self._changed(folder)

    def _leave(self, path: Path) -> None:
        folder = self._folder(path.parent)
        del folder.entries[path.name]
        self._changed(folder)

    def _changed(self, folder: _Folder) -> None:
        folder.time = self._tick()
        folder.log.append(dict(folder.entries))


def _survive_folder(folder: _Folder, choose: Callable[[int], int]) -> _Folder:
    kept = _Folder(folder.time)
    for name, node in folder.log[choose(len(folder.log))].items():
        survives = _survive_folder if isinstance(node, _Folder) else _survive_file
        kept.entries[name] = survives(node, choose)
    kept.log = [dict(kept.entries)]
    return kept


def _survive_file(file: _File, choose: Callable[[int], int]) -> _File:
    states = [file.data, file.data[: len(file.data) // 2], b"", b"\0" * len(file.data)]
    data = file.durable if file.durable is not None else states[choose(len(states))]
    kept = _File(data, file.time)
    kept.durable = data
    return kept


class FaultyFiles(Files):
    """Passes operations on until the one with number `at`, which ends or fails.

    Parameters
    ----------
    inner : Files
    at : int
        Number of the changing operation, from 0; -1 for none.
    when : {"before", "after", "torn"}
        Torn: a write that got half way; for other operations the same as before.
    error : OSError, optional
        Raised once, after which everything works; without it the process is dead.
    die : callable
        How a process ends.
    """

    def __init__(
        self,
        inner: Files,
        at: int = -1,
        when: str = "before",
        error: OSError | None = None,
        die: Callable[[], NoReturn] | None = None,
    ) -> None:
        self.inner, self.at, self.when, self.error, self.die = inner, at, when, error, die
        self.count = 0
        self.calls: list[str] = []
        self.dead = False

    def operate(self, name: str, *args: Any) -> Any:
        if self.dead:
            raise Crash
        operation = getattr(self.inner, name)
        if name not in MUTATIONS:
            return operation(*args)
        number, self.count = self.count, self.count + 1
        self.calls.append(f"{name} {args[0].name}")
        if number == self.at and self.when != "after":
            if self.when == "torn" and name == "write":
                self.inner.write(args[0], args[1][: len(args[1]) // 2])
            self.fail()
        result = operation(*args)
        if number == self.at:
            self.fail()
        return result

    def fail(self) -> NoReturn:
        if self.error is not None:
            raise self.error
        self.dead = True
        if self.die is not None:
            self.die()
        raise Crash


def _operation(name: str) -> Callable[..., Any]:
    def method(self: FaultyFiles, *args: Any, **options: Any) -> Any:
        return self.operate(name, *args, *options.values())

    return method


for _name in (*MUTATIONS, "read", "names", "modified", "is_folder"):
    setattr(FaultyFiles, _name, _operation(_name))


def no_space() -> OSError:
    """Return the error of a full disk."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_permission() -> OSError:
    """Return the error of a folder that may not be written."""
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def copy_of(files: MemoryFiles) -> MemoryFiles:
    """Return an independent copy."""
    return copy.deepcopy(files)


def names(folder: Path) -> list[str]:
    """Return the sorted names in a real folder."""
    return sorted(path.name for path in folder.iterdir())
