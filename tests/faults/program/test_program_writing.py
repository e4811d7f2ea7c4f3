"""Killed while outputs are written: what is seen is whole, or not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gmm_dask import GaussianMixture
from tests.end_to_end.program import DEADLINE, Place
from tests.faults.harness import Faults

pytestmark = pytest.mark.cluster

# The program, but for one function that kills it.
KILLER = """
import importlib, os, signal, sys
module, name, when = sys.argv[1:4]
holder = importlib.import_module(module)
for part in name.split(".")[:-1]:
    holder = getattr(holder, part)
last = name.split(".")[-1]
whole = getattr(holder, last)
def killing(*args, **words):
    if when == "after":
        whole(*args, **words)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(holder, last, killing)
sys.argv = ["gmm-dask", *sys.argv[4:]]
from pipeline.cli import main
main()
"""
IN_RUN = {
    "the model written aside": ("gmm_dask.store.model", "_swap", "before"),
    "the model in place, no table": ("pipeline.run.writing", "write_candidates", "before"),
    "first part": ("pipeline.sinks.base", "Sink.write_part", "after"),
    "all parts": ("pipeline.sinks.base", "Sink.commit", "before"),
    "in place": ("pipeline.sinks.base", "install", "after"),
    "not yet in the manifest": ("pipeline.run.job", "write_outputs", "after"),
}
IN_PREDICT = {name: IN_RUN[name] for name in ("first part", "all parts")}
THREADS = {"n_workers": 1, "options": {"processes": False}}


def kill(place: Place, moment: tuple[str, str, str], *words: str) -> None:
    """Run the program until the moment in which it kills itself."""
    command = [sys.executable, "-c", KILLER, *moment, *words]
    killed = subprocess.run(
        command, cwd=place.path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert killed.returncode == -signal.SIGKILL, (moment, killed.stderr)


def check_whole(folder: Path) -> None:
    """Check that every output that is there can be read, to its end."""
    if (folder / "assignments").exists():
        assert pq.read_table(folder / "assignments").num_rows == 40_000
    if (folder / "model.zarr").exists():
        GaussianMixture.load(folder / "model.zarr")
    if (folder / "candidates.csv").exists():
        assert len((folder / "candidates.csv").read_text().splitlines()) == 2


def drafts(folder: Path, stem: str) -> list[str]:
    return [item.name for item in folder.iterdir() if item.name.startswith(f".{stem}")]


@pytest.mark.deadline(150)
def test_sigkill_while_a_run_writes(place: Place, faults: Faults) -> None:
    """One run, killed at each moment in turn, in one process each; then left alone."""
    model = {"n_components": 3, "n_init": 1, "tol": 1e-3}
    config = place.config("written", cluster=THREADS, model=model)
    folder = place.path / "runs" / "written"
    for moment in IN_RUN.values():
        kill(place, moment, "run", config)
        faults.add("SIGKILL")
        check_whole(folder)
        assert place.ask("status", "runs/written", "--require", "finished").exit_code == 4
        assert place.manifest("written").get("outputs") is None
    done = place.ask("run", config)
    assert done.exit_code == 0, done.stderr
    assert "0 of 1 fits live" in done.stderr  # nothing was fitted again
    table = pq.read_table(folder / "assignments")
    assert np.array_equal(table.column("row").to_numpy(), np.arange(40_000))
    assert drafts(folder, "assignments") == []
    assert place.ask("status", "runs/written", "--require", "finished").exit_code == 0


@pytest.mark.deadline(90)
def test_sigkill_while_predict_writes(
    place: Place, undisturbed: tuple[str, str], faults: Faults
) -> None:
    """Over labels that are there already: they stay until the new ones are whole."""
    words = ("predict", "runs/undisturbed", "rows.npy", "--out", "new")
    local = [f"cluster={json.dumps({**THREADS, 'type': 'local'})}"]
    words = (*words, "--set", *local)
    for moment in IN_PREDICT.values():
        kill(place, moment, *words)
        faults.add("SIGKILL")
        check_whole(place.path)
        assert not (place.path / "new").exists()
        assert not (place.path / "new.json").exists()
    done = place.ask(*words)
    assert done.exit_code == 0, done.stderr
    told = json.loads((place.path / "new.json").read_text())
    assert told["output"]["sha256"] == undisturbed[1]
    assert drafts(place.path, "new") == []
