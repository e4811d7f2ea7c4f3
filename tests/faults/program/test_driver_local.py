"""Signals to a driver and its local workers, as a terminal or a batch system sends them."""

from __future__ import annotations

import re
import signal
import time
from typing import Any

import numpy as np
import psutil
import pytest

from tests.end_to_end.program import Place, Started
from tests.faults.harness import Faults, eventually

pytestmark = pytest.mark.cluster
OWN = {"n_workers": 1, "timeout": "60s"}


def descendants(run: Started) -> list[psutil.Process]:
    return psutil.Process(run.process.pid).children(recursive=True)


@pytest.mark.deadline(180)
def test_sigterm_and_ctrl_c_to_the_whole_group(
    place: Place, cluster: dict[str, Any], undisturbed: tuple[str, str], faults: Faults
) -> None:
    config = place.config("group", cluster=OWN)
    run = place.start("run", config)
    place.reach(run, "group", 3)
    run.signal(signal.SIGSTOP)  # so that it is still there after the question
    running = place.ask("status", "runs/group")
    assert running.stdout.startswith("running   pass "), running.stdout
    run.signal(signal.SIGCONT)
    began, children = time.monotonic(), descendants(run)
    run.signal_all(signal.SIGTERM)
    assert run.wait() == 143
    assert time.monotonic() - began < 10
    faults.add("SIGTERM")
    eventually(lambda: not any(child.is_running() for child in children))
    assert "Traceback" not in run.err.read_text()
    before = place.passes("group")

    run = place.start("run", config)
    place.reach(run, "group", before + 2)
    run.signal_all(signal.SIGINT)
    time.sleep(0.3)
    run.signal_all(signal.SIGINT)  # an impatient second one
    assert run.wait() == 130
    faults.add("SIGINT")
    told = run.err.read_text()
    assert "Traceback" not in told
    assert re.search(r"interrupted.*; the same command goes on", told)
    done = place.call("run", place.config("group", cluster=cluster))
    assert done.returncode == 0, done.stderr
    assert "resuming runs/group from pass" in done.stderr
    assert place.bits("group") == undisturbed


@pytest.mark.deadline(120)
@pytest.mark.parametrize("draw", range(2))
def test_sigterm_while_the_program_and_its_cluster_start(
    place: Place, draw: int, rng: np.random.Generator, faults: Faults
) -> None:
    run = place.start("run", place.config(f"early-{draw}", cluster=OWN))
    time.sleep(rng.uniform(1.0, 6.0))
    began, children = time.monotonic(), descendants(run)
    run.signal(signal.SIGTERM)
    # before the program has begun to listen the system's own answer comes: the same for a shell
    assert run.wait() in (143, -signal.SIGTERM)
    assert time.monotonic() - began < 10
    faults.add("SIGTERM")
    assert "Traceback" not in run.err.read_text()
    eventually(lambda: not any(child.is_running() for child in children))
