"""SIGTERM ends a process with 143: at once, or after the grace where the way out hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipeline.signals import terminable

PROGRAM = """
import os, signal, sys, time
from pipeline.exits import exit_code
from pipeline.signals import terminable
def before(error):
    print("marked", flush=True)
try:
    with terminable(before, grace=0.5):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
except BaseException as error:
    print(type(error).__name__, flush=True)
    time.sleep(float(sys.argv[1]))
    os._exit(exit_code(error))
"""


@pytest.mark.parametrize("hang", [0, 60])
def test_sigterm_ends_with_143_even_if_the_way_out_hangs(hang: int) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(hang)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 143, done.stderr
    assert done.stdout.split() == ["marked", "Terminated"]
    assert time.monotonic() - began < 50  # far from the minute that it would sleep


def test_the_earlier_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with terminable():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_leave_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work() -> None:
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
    assert os.getpid() > 0
