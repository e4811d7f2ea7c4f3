"""Whatever happens to the driver, the next run ends with the bits of an undisturbed one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest

from tests.end_to_end.program import Place
from tests.end_to_end.servers import Servers
from tests.faults.harness import Faults, eventually

pytestmark = pytest.mark.cluster

IN_START_UP, IN_FIT = 2, 8  # kills
START_SECONDS = 3.0  # within which the program is being started


class Freezer:
    """Workers that stand still, and go on."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.frozen: list[psutil.Process] = []

    def freeze(self) -> None:
        """Stop every worker."""
        self.frozen = self.servers.workers
        for worker in self.frozen:
            worker.suspend()

    def thaw(self) -> None:
        """Let them go on."""
        while self.frozen:
            self.frozen.pop().resume()


@pytest.mark.deadline(240)
def test_sigkill_at_ten_random_moments(
    place: Place,
    cluster: dict[str, Any],
    undisturbed: tuple[str, str],
    rng: np.random.Generator,
    faults: Faults,
) -> None:
    config = place.config("killed", cluster=cluster)
    total = place.passes("undisturbed")
    targets = np.sort(rng.choice(np.arange(1, total - 2), IN_FIT, replace=False))
    for target in (*[0] * IN_START_UP, *targets):
        run = place.start("run", config)
        if target:
            place.reach(run, "killed", target)
        time.sleep(rng.uniform(0.0, 0.05 if target else START_SECONDS))
        run.signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL, f"it had ended before the kill at pass {target}"
        faults.add("SIGKILL")
        assert not (place.path / "runs" / "killed" / "assignments").exists()
    stale = place.ask("status", "runs/killed", "--require", "finished", "--json")
    assert stale.exit_code == 4
    assert '"state": "stale"' in stale.stdout
    lock = place.path / "runs" / "killed" / "run.lock"
    assert lock.is_file(), "the dead driver's lock was to be taken over"
    done = place.call("run", config)
    assert done.returncode == 0, done.stderr
    assert not lock.exists()
    resumed = [e["number"] for e in place.events("killed") if e["event"] == "resumed"]
    assert len(resumed) >= IN_FIT
    assert resumed == sorted(resumed), "progress was lost"
    assert 0 < resumed[0] < resumed[-1] < total
    assert place.bits("killed") == undisturbed


@pytest.mark.deadline(120)
def test_a_driver_that_dies_takes_its_local_workers_along(
    place: Place, cluster: dict[str, Any], undisturbed: tuple[str, str], faults: Faults
) -> None:
    """And before that one of its workers dies. The run ends on another cluster."""
    run = place.start("run", place.config("orphans", cluster={"n_workers": 2, "timeout": "60s"}))
    place.reach(run, "orphans", 3)
    run.workers[0].kill()
    faults.add("SIGKILL of a worker")
    place.reach(run, "orphans", place.passes("orphans") + 3)
    children = run.workers
    run.signal(signal.SIGKILL)
    faults.add("SIGKILL of a driver")
    assert run.wait() == -signal.SIGKILL
    assert children
    eventually(lambda: not any(child.is_running() for child in children))
    done = place.call("run", place.config("orphans", cluster=cluster))
    assert done.returncode == 0, done.stderr
    assert "resuming runs/orphans from pass" in done.stderr
    assert place.bits("orphans") == undisturbed


@pytest.fixture
def freezer(servers: Servers) -> Iterator[Freezer]:
    """Freezes all workers, so that no pass can end; they thaw at the end."""
    freezer = Freezer(servers)
    yield freezer
    freezer.thaw()


@pytest.mark.deadline(120)
def test_signals_in_mid_pass_do_not_wait_for_the_pass(
    place: Place,
    cluster: dict[str, Any],
    undisturbed: tuple[str, str],
    freezer: Freezer,
    faults: Faults,
) -> None:
    config = place.config("signals", cluster=cluster)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        run = place.start("run", config)
        place.reach(run, "signals", place.passes("signals") + 3)
        freezer.freeze()
        second = place.ask("run", config)
        assert second.exit_code == 4
        assert "another driver has this run" in second.stderr
        began = time.monotonic()
        run.signal(number)
        assert run.wait() == code
        assert time.monotonic() - began < 10  # the promise: batch systems kill after 30
        faults.add(number.name)
        freezer.thaw()
        told = run.err.read_text()
        assert "Traceback" not in told
        assert "the same command goes on" in told
        manifest = place.manifest("signals")
        assert (manifest["status"], manifest["exit_code"]) == ("stopped", code)
        status = place.ask("status", "runs/signals")
        assert status.stdout.startswith("stopped ")
        assert "resumable from pass" in status.stdout
    done = place.ask("run", config)
    assert done.exit_code == 0, done.stderr
    assert place.bits("signals") == undisturbed
