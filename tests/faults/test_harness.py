"""What guards the fault tests must itself be seen to bite."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.faults.harness import Faults, deadline, eventually, kill_tagged, seeded, tagged

# starts a process and dies, so that nobody is left who knows of it
ORPHAN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
"""


def test_a_test_that_passes_its_deadline_fails_and_its_processes_die() -> None:
    started = time.monotonic()
    with pytest.raises(pytest.fail.Exception, match=r"the deadline of 2 s"), deadline(2, "inner"):
        subprocess.run([sys.executable, "-c", ORPHAN], check=True)
        assert len(tagged("inner")) == 1
        try:
            time.sleep(60)
        except Exception:
            time.sleep(60)
    assert time.monotonic() - started < 30
    assert eventually(lambda: not tagged("inner"))


def test_orphans_do_not_outlive_their_test() -> None:
    with deadline(60, "other"):
        subprocess.run([sys.executable, "-c", ORPHAN], check=True)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    assert len(kill_tagged("other", orphans=True)) == 1
    assert child.poll() is None
    child.kill()
    child.wait()


def test_seeds_belong_to_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seeded("a").random() == seeded("a").random() != seeded("b").random()
    monkeypatch.setenv("GMM_DASK_FAULT_SEED", "7")
    assert seeded("a").random() == seeded("b").random()


def test_faults_are_counted() -> None:
    faults = Faults()
    assert faults.total == 0
    faults.add("kill", 2)
    faults.add("freeze")
    assert faults.total == 3
