"""`status` from files alone: every state, and the gate for schedulers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gmm_dask import RunLock
from pipeline.manifest import RunFolder
from pipeline.run.earlier import newest_checkpoint
from tests.pipeline.run.helpers import Workplace


def unfinished(place: Workplace, **manifest: Any) -> Path:
    """Write a manifest as a run would that has begun, and a checkpoint of pass 212."""
    commits = place.run / "checkpoints" / "commits"
    commits.mkdir(parents=True)
    for name in ("0000000007.json", "0000000212.json", "notes.txt"):
        (commits / name).write_text("{}")
    folder = RunFolder(place.run)
    folder.begin({"status": "running", "checkpoints": str(commits.parent)} | manifest)
    return place.run


def test_running(place: Workplace) -> None:
    folder = unfinished(place)
    told = {"pass": 31, "live": 17, "fits": 40, "seconds_left": 4.2}
    with RunLock(folder / "run.lock", details=lambda: told):
        answer = place.call("status", str(folder))
        gate = place.call("status", str(folder), "--require", "finished", "--json")
    assert answer.code == 0
    assert answer.out.startswith("running   pass 31, 17 of 40 fits live, heartbeat 0 s ago (host ")
    assert f"pid {os.getpid()}), 4 s left" in answer.out
    assert gate.code == 4
    assert gate.json["state"] == "running"
    assert gate.json["pass"] == 31


def test_stale_because_the_process_is_gone(place: Workplace) -> None:
    folder = unfinished(place)
    child = (
        "import os; from gmm_dask import RunLock; "
        f"RunLock({str(folder / 'run.lock')!r}).acquire(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", child], check=False)
    answer = place.call("status", str(folder))
    assert answer.code == 0
    assert answer.out.startswith("stale     last heartbeat ")
    assert "is gone); resumable from pass 212" in answer.out
    gate = place.call("status", str(folder), "--require", "finished")
    assert gate.code == 4
    assert gate.out.startswith("stale")


def test_stale_without_any_heartbeat(place: Workplace) -> None:
    answer = place.call("status", str(unfinished(place)), "--json")
    assert answer.json["state"] == "stale"
    assert answer.json["checkpoint_pass"] == 212


@pytest.mark.parametrize(("status", "code"), [("stopped", 143), ("failed", 4)])
def test_stopped_and_failed(place: Workplace, status: str, code: int) -> None:
    told = {"exit_code": code, "reason": "because", "finished": "2026-11-20"}
    folder = unfinished(place, **told, status=status)
    answer = place.call("status", str(folder))
    assert answer.out.split()[0] == status
    assert "2026-11-20: because; resumable from pass 212" in answer.out
    assert place.call("status", str(folder), "--require", "finished").code == 4


def test_no_checkpoint_yet(place: Workplace) -> None:
    folder = RunFolder(place.run)
    place.run.mkdir(parents=True)
    folder.begin({"status": "stopped", "checkpoints": str(place.run / "checkpoints")})
    assert "no checkpoint yet" in place.call("status", str(place.run)).out
    assert newest_checkpoint(place.run / "checkpoints") is None


@pytest.mark.cluster
def test_finished_and_its_gate(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.call("run", place.config())
    for target in ("fit.yaml", "runs/fit", str(place.run)):
        answer = place.call("status", target, "--require", "finished")
        assert answer.code == 0
        assert answer.out.startswith("finished  ")
    elsewhere = place.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert place.call("status", str(place.run), "--require", "finished").code == 0
    with (place.run / "candidates.csv").open("a") as file:
        file.write("\n")
    changed = place.call("status", str(place.run), "--require", "finished", "--json")
    assert changed.code == 3
    (sentence,) = changed.json["changed"]
    assert sentence.startswith("candidates was changed")
    part = next((place.run / "assignments").glob("*.parquet"))
    part.unlink()
    (place.run / "model.zarr").rename(place.run / "moved.zarr")
    gone = place.call("status", str(place.run), "--require", "finished")
    assert gone.code == 3
    assert "model is missing" in gone.out
    assert "assignments was changed" in gone.out
    assert "delete what was changed and run again" in gone.out
    assert place.call("status", str(place.run)).code == 0  # without the gate: only said


def test_nothing_there(place: Workplace) -> None:
    for target in ("nowhere", place.config()):
        answer = place.call("status", target)
        assert answer.code == 2
        assert "holds no run (no run.json)" in answer.err


def test_unknown_requirement(place: Workplace) -> None:
    answer = place.call("status", "runs/fit", "--require", "done")
    assert answer.code == 2
    assert "only finished" in answer.err
