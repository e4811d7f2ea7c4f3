"""Changes of a store in place, each killed at another step.

    python -m tests.pipeline.sinks.kill_in_place STORE FOLDER [STORE FOLDER ...]

As a program, the killed process is a forked child that ends without a word: HDF5 flushes nothing,
no handler runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.sinks.anndata_edit import change, opened
from pipeline.sinks.disk import LOCAL, Disk

from .cells import Labels

BOX_STEPS = (
    *("set_attribute", "make_group", "make_rows", "write_rows", "put", "move", "delete"),
    *("begin_replacing", "settle", "finish"),
)
DISK_STEPS = ("write", "replace", "rename")
SECOND = Labels(4, seed=2, keep=0.4)
KILLED = 9


class Fuse:
    """Counts steps, and ends the process in its own way before step number `at`."""

    def __init__(self, at: int | None, end: Callable[[], Any]) -> None:
        self.at = at
        self.end = end
        self.log: list[str] = []

    def step(self, name: str) -> None:
        if len(self.log) == self.at:
            self.end()
        self.log.append(name)


class Fused:
    """Anything, with the fuse before each of its steps."""

    def __init__(self, inner: Any, steps: tuple[str, ...], fuse: Fuse) -> None:
        self._inner, self._steps, self._fuse = inner, steps, fuse

    def __getattr__(self, name: str) -> Any:
        if name in self._steps:
            self._fuse.step(name)
        return getattr(self._inner, name)


def attempt(path: Path, fuse: Fuse) -> None:
    """Change the store, and die on the way (or not, where there are fewer steps)."""
    disk: Disk = Fused(Disk(), DISK_STEPS, fuse)  # type: ignore[assignment]
    with opened(path, disk) as box:
        change(Fused(box, BOX_STEPS, fuse), SECOND.what(), SECOND.rows())  # type: ignore[arg-type]


def deaths(log: list[str]) -> list[int]:
    """Return steps to die at: a few while writing aside, and all after that."""
    aside = log.index("settle")
    # a move of a zarr store is a rename, a changed attribute a write aside and a replace
    twice = {"move", "set_attribute", "write"} if "rename" in log else set()
    late = [at for at in range(aside, len(log)) if log[at] not in twice]
    return [*range(0, aside, max(aside // 3, 1)), *late]


def forked(store: Path, folder: Path, at: int | None) -> int:
    """Change a copy of the store in a child, and return its exit status."""
    folder.mkdir()
    LOCAL.copy(store, folder / store.name)
    child = os.fork()
    if child == 0:
        os.fsync = lambda descriptor: None
        fuse = Fuse(at, lambda: os._exit(KILLED))
        attempt(folder / store.name, fuse)
        (folder.parent / "log").write_text(" ".join(fuse.log))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(store: Path, folder: Path) -> None:
    """Kill at every step; under the number 999 nothing is killed."""
    assert forked(store, folder / "999", None) == 0
    for at in deaths((folder / "log").read_text().split()):
        assert forked(store, folder / str(at), at) == KILLED


if __name__ == "__main__":
    for job in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        main(Path(job[0]), Path(job[1]))
