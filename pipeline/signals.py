"""SIGTERM: leave at once with 143; the last checkpoint is on the disk already."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.exits import TERMINATED, Terminated

# SLURM kills 30 s after SIGTERM, Kubernetes too; closing a cluster may take longer than this.
GRACE_SECONDS = 8.0


def _nothing(error: Terminated) -> None:
    """Do nothing before leaving."""


@contextmanager
def terminable(
    before: Callable[[Terminated], None] = _nothing, grace: float = GRACE_SECONDS
) -> Iterator[None]:
    """Turn SIGTERM into `Terminated`, with a hard end if the way out takes too long.

    Parameters
    ----------
    before : callable
        Called with the error before it is raised, to mark what must be marked.
    grace : float
        Seconds after which the process ends whatever it does.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(signum: int, frame: Any) -> None:  # noqa: ARG001
        timer = threading.Timer(grace, os._exit, (TERMINATED,))
        timer.daemon = True
        timer.start()
        error = Terminated("terminated; the same command goes on from the last checkpoint")
        before(error)
        raise error

    earlier = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
