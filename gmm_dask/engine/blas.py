"""One BLAS thread while a pass measures, so that sums do not depend on the number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = Lock()
_inside = 0
_limits: Any = None
_controller: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold every BLAS of this process at one thread while any caller is inside.

    The limit is global to a process, so callers are counted: the first to enter sets it and the
    last to leave restores what was there. A caller that set and restored by itself would lift the
    limit of the others.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    """Count a caller in; the first sets the limit."""
    global _inside, _limits, _controller
    with _lock:
        if _inside == 0:
            # finding the libraries reads /proc for milliseconds, and they do not change
            _controller = _controller or ThreadpoolController()
            _limits = _controller.limit(limits=1, user_api="blas")
        _inside += 1


def _leave() -> None:
    """Count a caller out; the last restores the former limits."""
    global _inside, _limits
    with _lock:
        _inside -= 1
        if _inside == 0:
            _limits.restore_original_limits()
            _limits = None
