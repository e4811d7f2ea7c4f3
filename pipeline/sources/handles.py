"""Open files of this process: opened once, used by one thread at a time, never pickled."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

H = TypeVar("H")

MAX_OPEN = 32


@dataclass
class _Entry:
    handle: Any = None
    users: int = 0
    # reentrant: one thread may need two things of one file at once
    lock: threading.RLock = field(default_factory=threading.RLock)


_entries: OrderedDict[Hashable, _Entry] = OrderedDict()
_guard = threading.Lock()


@contextmanager
def borrowed(key: Hashable, opener: Callable[[], H]) -> Iterator[H]:
    """Lend the handle of `key` to this thread, opening it if this process has not yet.

    Parameters
    ----------
    key : hashable
        What is open, with its size and time stamp, so that a changed file is opened anew.
    opener : callable
        Returns the handle; may raise.
    """
    # a forked child must not use the file positions and locks of its parent
    entry = _enter((os.getpid(), key))
    try:
        with entry.lock:
            if entry.handle is None:
                entry.handle = opener()
            yield entry.handle
    finally:
        with _guard:
            entry.users -= 1
            _close(_surplus())


def release() -> None:
    """Close every handle of this process that is not in use, so that files can be rewritten."""
    with _guard:
        idle = [key for key, entry in _entries.items() if not entry.users]
        _close([_entries.pop(key) for key in idle])


def _enter(key: Hashable) -> _Entry:
    with _guard:
        entry = _entries.setdefault(key, _Entry())
        _entries.move_to_end(key)
        entry.users += 1
        return entry


def _surplus() -> list[_Entry]:
    idle = [key for key, entry in _entries.items() if not entry.users]
    return [_entries.pop(key) for key in idle[: max(0, len(_entries) - MAX_OPEN)]]


def _close(entries: list[_Entry]) -> None:
    for entry in entries:
        close = getattr(entry.handle, "close", None)
        if close is not None:
            close()
