"""Whatever dies, the next run ends with the bits of an undisturbed one."""

from __future__ import annotations

import random
import re
import signal
import time

import pytest

from tests.end_to_end.program import Place

pytestmark = pytest.mark.cluster


def test_sigkill_of_the_driver_at_random_moments(
    place: Place, cluster: dict[str, str], undisturbed: str
) -> None:
    config = place.config("killed", cluster=cluster)
    total = place.passes("undisturbed")
    assert total > 12, "too few passes to be killed among them"
    draw = random.Random(5)
    targets = sorted(draw.sample(range(1, total - 3), 2))
    for target in (0, *targets):
        run = place.start("run", config)
        if target == 0:  # somewhere before the first pass
            time.sleep(draw.uniform(0.0, 2.0))
        else:
            place.reach(run, "killed", target)
        run.signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    assert [e["event"] for e in place.events("killed")].count("finished") == 0
    stale = place.ask("status", "runs/killed", "--require", "finished", "--json")
    assert stale.exit_code == 4
    assert '"state": "stale"' in stale.stdout
    done = place.call("run", config)
    assert done.returncode == 0, done.stderr
    events = place.events("killed")
    resumed = [e for e in events if e["event"] == "resumed"]
    assert len(resumed) >= 2, "no kill landed among the passes"
    assert 0 < resumed[0]["number"] < total
    assert place.fingerprint("killed") == undisturbed


def test_sigterm_then_ctrl_c_then_the_end(place: Place, undisturbed: str) -> None:
    config = place.config("stopped")
    run = place.start("run", config)
    place.reach(run, "stopped", 3)
    run.signal(signal.SIGSTOP)  # so that it is still there after the two calls
    running = place.ask("status", "runs/stopped")
    assert running.stdout.startswith("running   pass "), running.stdout
    second = place.ask("run", config)
    assert second.exit_code == 4
    assert "another driver has this run" in second.stderr
    run.signal(signal.SIGCONT)
    began = time.monotonic()
    run.signal(signal.SIGTERM)
    assert run.wait() == 143
    assert time.monotonic() - began < 10  # the promise: batch systems kill after 30
    assert "Traceback" not in run.err.read_text()
    manifest = place.manifest("stopped")
    assert (manifest["status"], manifest["exit_code"]) == ("stopped", 143)
    before = place.passes("stopped")

    run = place.start("run", config)
    place.reach(run, "stopped", before + 2)
    run.signal_all(signal.SIGINT)  # a terminal sends Ctrl-C to the workers too
    assert run.wait() == 130
    told = run.err.read_text()
    assert "Traceback" not in told
    assert re.search(r"interrupted after pass \d+; .*the same command goes on", told)
    status = place.ask("status", "runs/stopped")
    assert status.stdout.startswith("stopped ")
    assert "resumable from pass" in status.stdout

    done = place.call("run", config)
    assert done.returncode == 0, done.stderr
    assert "resuming runs/stopped from pass" in done.stderr
    assert place.fingerprint("stopped") == undisturbed


def test_sigkill_of_a_worker(place: Place, undisturbed: str) -> None:
    config = place.config("worker", cluster={"n_workers": 2, "timeout": "60s"})
    run = place.start("run", config)
    place.reach(run, "worker", 3)
    victim = run.workers[0]
    victim.kill()
    before = place.passes("worker")
    assert run.wait() == 0, run.err.read_text()
    assert place.passes("worker") > before + 1, "killed after the last pass"
    assert "Traceback" not in run.err.read_text()
    assert place.fingerprint("worker") == undisturbed
