"""A disk that dies at a chosen operation, and stays dead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.sinks.disk import Disk

MUTATIONS = (
    *("make_folder", "write", "join", "copy", "sync", "sync_folder"),
    *("replace", "rename", "delete", "delete_folder"),
)


class Crash(BaseException):
    """Not an Exception: no handler for errors may swallow it."""


class CrashingDisk(Disk):
    """Counts mutations and dies at number `at`, before it or, with `torn`, half way through it."""

    def __init__(self, at: int | None = None, torn: bool = False) -> None:
        self.at = at
        self.torn = torn
        self.count = 0
        self.dead = False
        self.log: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("_") or not callable(found):
            return found
        if object.__getattribute__(self, "dead"):
            raise Crash("a dead process does nothing")
        return self._counted(name, found) if name in MUTATIONS else found

    def _counted(self, name: str, found: Any) -> Any:
        def call(*args: Any) -> Any:
            self.log.append(name)
            self.count += 1
            if self.count - 1 == self.at:
                if self.torn:
                    self._tear(name, args)
                self.dead = True
                raise Crash(f"{name} {args}")
            return found(*args)

        return call

    def _tear(self, name: str, args: tuple[Any, ...]) -> None:
        """Leave half of a file behind."""
        target: Path = args[0] if name == "write" else args[1] if name in ("join", "copy") else None
        if target is None:
            return
        whole = args[1] if name == "write" else b"half of something"
        target.write_bytes(whole[: len(whole) // 2])
