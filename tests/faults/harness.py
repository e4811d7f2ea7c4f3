"""What every fault test has: a deadline, a seed of its own and a count of faults."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import numpy as np
import psutil
import pytest

TAG = "GMM_DASK_FAULT_TEST"
SEED = "GMM_DASK_FAULT_SEED"
DEADLINE = 120.0  # a guard against hangs on a busy machine, not a measure of speed


class Faults:
    """Counts what a test broke; a test that broke nothing has shown nothing, and fails."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, kind: str, times: int = 1) -> None:
        """Count a fault, from any thread."""
        with self._lock:
            self.kinds[kind] += times

    @property
    def total(self) -> int:
        """Faults so far."""
        return sum(self.kinds.values())


def seeded(name: str) -> np.random.Generator:
    """Return the random numbers of a test; its seed is printed, so it stands in a failure.

    Set GMM_DASK_FAULT_SEED to repeat a test with another seed.
    """
    seed = int(os.environ.get(SEED, zlib.crc32(name.encode())))
    print(f"seed of {name}: {seed}")
    return np.random.default_rng(seed)


@contextmanager
def deadline(limit: float, tag: str) -> Iterator[None]:
    """Fail the test once `limit` seconds are over, and kill what it started.

    Parameters
    ----------
    limit : float
        Seconds.
    tag : str
        Put into the environment, so that every process started inside is known by it, those
        whose parents are dead included.
    """

    def late(number: int, frame: FrameType | None) -> None:
        faulthandler.dump_traceback(sys.__stderr__)
        kill_tagged(tag)
        # not an Exception, so no code under test takes it for one of its own
        pytest.fail(f"the deadline of {limit:g} s has passed")

    main = threading.main_thread().ident
    timer = threading.Timer(limit, lambda: signal.pthread_kill(main, signal.SIGUSR2))
    timer.daemon = True
    before, outer = signal.signal(signal.SIGUSR2, late), os.environ.get(TAG, "")
    os.environ[TAG] = tag
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR2, before)
        os.environ[TAG] = outer


def tagged(tag: str) -> list[psutil.Process]:
    """Return the processes that a test started, this one left out."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(TAG) == tag:
                found.append(process)
    return found


def kill_tagged(tag: str, orphans: bool = False) -> list[str]:
    """Kill what a test started, or only those whose parents are gone; return command lines."""
    ours = {child.pid for child in psutil.Process().children(recursive=True)} if orphans else set()
    killed = []
    for process in tagged(tag):
        with suppress(psutil.Error):
            if process.pid not in ours:
                killed.append(" ".join(process.cmdline()))
                process.kill()
    return killed


def eventually(what: Callable[[], Any], limit: float = 30.0) -> Any:
    """Return the first true answer, or fail after `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        answer = what()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"nothing happened within {limit:g} s")
