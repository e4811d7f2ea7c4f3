"""Workers that die, or should not take part, under `run` and `predict`."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.program import Place
from tests.end_to_end.servers import Servers
from tests.faults.harness import Faults, eventually
from tests.faults.program.conftest import UNFORGIVING
from tests.faults.program.traps import GREEDY, MEASURE, WRITE, Traps

pytestmark = pytest.mark.cluster

SECOND_BLOCK, LAST_BLOCK = 16384, 32768


def test_workers_killed_in_the_fit_and_in_the_writing(
    place: Place,
    cluster: dict[str, Any],
    undisturbed: tuple[str, str],
    traps: Traps,
    faults: Faults,
) -> None:
    """By the program's own account too: a repeated pass and a lost worker for each."""
    traps.arm(MEASURE, SECOND_BLOCK)
    traps.arm(WRITE, LAST_BLOCK)
    done = place.ask("run", place.config("workers", cluster=cluster))
    assert done.exit_code == 0, done.stderr
    assert traps.clear() == []
    faults.add("SIGKILL of a worker", 2)
    assert place.bits("workers") == undisturbed
    manifest = place.manifest("workers")
    assert manifest["retries"] == 2
    assert manifest["workers_lost"] == 2


def test_workers_killed_in_predict(
    place: Place,
    undisturbed: tuple[str, str],
    traps: Traps,
    faults: Faults,
) -> None:
    """Once with a part written, once more with the last one."""
    for row in (0, LAST_BLOCK):
        traps.arm(WRITE, row)
    done = place.ask("predict", "runs/undisturbed", "rows.npy", "--out", "labels")
    assert done.exit_code == 0, done.stderr
    assert traps.clear() == []
    faults.add("SIGKILL of a worker", 2)
    told = json.loads((place.path / "labels.json").read_text())
    assert told["output"]["sha256"] == undisturbed[1]
    assert 1 <= told["retries"] <= told["workers_lost"] == 2  # both may die in one attempt
    assert [item.name for item in place.path.iterdir() if item.name.startswith(".labels")] == []


def test_all_workers_killed_while_they_are_asked_whether_they_can_take_part(
    place: Place,
    servers: Servers,
    cluster: dict[str, Any],
    undisturbed: tuple[str, str],
    rng: np.random.Generator,
    faults: Faults,
) -> None:
    run = place.start("run", place.config("asked", cluster=cluster))
    eventually(lambda: "started" in [e["event"] for e in place.events("asked")])
    time.sleep(rng.uniform(0.0, 0.5))
    for worker in servers.workers:
        worker.kill()
        faults.add("SIGKILL of a worker")
    assert run.wait() == 0, run.err.read_text()
    assert place.bits("asked") == undisturbed


@pytest.mark.deadline(90)
def test_a_worker_killed_for_memory_is_told_in_words(
    place: Place,
    cluster: dict[str, Any],
    undisturbed: tuple[str, str],
    traps: Traps,
    faults: Faults,
) -> None:
    traps.arm(GREEDY, SECOND_BLOCK)
    config = place.config("greedy", cluster=cluster)
    done = place.ask("run", config)
    faults.add("a worker killed for memory")
    assert done.exit_code == 4, done.stderr
    assert "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(told) == 1
    assert re.search(
        r"worker tcp://\S+ was killed for memory in .*: it reached \d+\.\d MiB; the plan projects "
        r"\d+\.\d MiB per worker, limit 700\.0 MiB\. Set cluster\.memory_limit",
        told[0],
    )
    manifest = place.manifest("greedy")
    assert (manifest["status"], manifest["exit_code"]) == ("failed", 4)
    traps.clear()
    again = place.ask("run", config)
    assert again.exit_code == 0, again.stderr
    assert place.bits("greedy") == undisturbed


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_cannot_fit_is_refused_by_the_plan_with_numbers(
    place: Place, cluster: dict[str, Any], command: str, faults: Faults
) -> None:
    """On the workers that are there, and for those that would be started."""
    where = {"memory_limit": "700MiB", "n_workers": 2} if command == "plan" else cluster
    model = {"n_components": 1000, "n_init": 2000}
    done = place.ask(command, place.config("large", cluster=where, model=model))
    faults.add("a plan that does not fit")
    assert done.exit_code == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(
        r"error: a worker needs \d+\.\d GiB of memory, its limit is 700\.0 MiB: .*\d+\.\d MiB.*"
        r"([Ff]it fewer models at once)",
        done.stderr,
    )
    assert place.passes("large") == 0


SHADOWS = {
    "another version": ("gmm_dask 0.1.0 v 0.0.1", "have other versions than the driver"),
    "missing": ("cannot import gmm_dask", "No module named 'gmm_dask'"),
}


@pytest.mark.deadline(90)
def test_workers_with_another_package_or_none_are_refused(
    place: Place, tmp_path: Path, faults: Faults
) -> None:
    """One worker of the package as it is, and one at a time that is not."""
    servers = Servers(tmp_path, env=UNFORGIVING)
    try:
        servers.add(1)
        for kind, words in SHADOWS.items():
            odd = servers.add(1, "--no-nanny", env={"PYTHONPATH": str(shadow(tmp_path, kind))})
            config = place.config("odd", cluster=servers.section(wait_for_workers=2))
            done = place.ask("run", config)
            faults.add(f"a worker with a package that is {kind}")
            assert done.exit_code == 4, done.stderr
            assert "Traceback" not in done.stderr
            assert re.search(r"error: 1 of [23] \(tcp://127\.0\.0\.1:\d+\)", done.stderr)
            for word in words:
                assert word in done.stderr
            assert "Use the same image or environment on all" in done.stderr
            odd.signal(signal.SIGTERM)
            odd.wait()
    finally:
        servers.close()


def shadow(folder: Path, kind: str) -> Path:
    """Make a folder that hides the package from a worker which looks there first."""
    package = folder / kind.replace(" ", "-") / "gmm_dask"
    package.mkdir(parents=True)
    sources = {
        "another version": "__version__ = '0.0.1'",
        "missing": "raise ModuleNotFoundError(\"No module named 'gmm_dask'\")",
    }
    (package / "__init__.py").write_text(sources[kind])
    return package.parent
