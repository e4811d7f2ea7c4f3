"""Killed while labels are written: what is seen is whole, or not there."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.program import DEADLINE, Place

pytestmark = pytest.mark.cluster

# The program, but for one function that kills it: with the first part written, with all of them
# written and none in place, with the output in place, and before the manifest says finished.
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
MOMENTS = {
    "first part": ("pipeline.sinks.base", "Sink.write_part", "after"),
    "all parts": ("pipeline.sinks.base", "Sink.commit", "before"),
    "in place": ("pipeline.sinks.base", "install", "after"),
    "not yet in the manifest": ("pipeline.run.job", "write_outputs", "after"),
}


def test_sigkill_while_labels_are_written(place: Place) -> None:
    """One run, killed at each moment in turn, in one process each; then left alone."""
    threads = {"n_workers": 1, "options": {"processes": False}}
    model = {"n_components": 3, "n_init": 1, "tol": 1e-3}
    config = place.config("written", cluster=threads, model=model)
    folder = place.path / "runs" / "written"
    for moment in MOMENTS.values():
        words = [sys.executable, "-c", KILLER, *moment, "run", config]
        killed = subprocess.run(
            words, cwd=place.path, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert killed.returncode == -signal.SIGKILL, (moment, killed.stderr)
        labels = folder / "assignments"
        assert not labels.exists() or pq.read_table(labels).num_rows == 40_000
        assert place.ask("status", "runs/written", "--require", "finished").exit_code == 4
        assert place.manifest("written").get("outputs") is None
    done = place.ask("run", config)
    assert done.exit_code == 0, done.stderr
    assert "0 of 1 fits live" in done.stderr  # nothing was fitted again
    table = pq.read_table(folder / "assignments")
    assert np.array_equal(table.column("row").to_numpy(), np.arange(40_000))
    drafts = [item.name for item in folder.iterdir() if item.name.startswith(".assignments")]
    assert drafts == []
    assert place.ask("status", "runs/written", "--require", "finished").exit_code == 0
