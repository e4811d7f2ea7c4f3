"""The gate for schedulers: nothing that differs from what a run wrote passes as finished."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.manifest import RunFolder, read_manifest
from tests.faults.harness import Faults
from tests.faults.inprocess import QUICK, place, scheduler  # noqa: F401
from tests.pipeline.run.helpers import Answer, Workplace

pytestmark = pytest.mark.cluster
SLOW = {"n_components": 2, "n_init": 1, "init_params": "random", "tol": 1e-6, "max_iter": 3}


def gate(place: Workplace, target: str = "runs/fit") -> Answer:  # noqa: F811
    return place.call("status", target, "--require", "finished")


def flipped(path: Path, rng: np.random.Generator) -> Iterator[None]:
    """Flip one bit of a file, and put it back."""
    data = path.read_bytes()
    damaged = bytearray(data)
    damaged[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(damaged)
    yield
    path.write_bytes(data)


def test_one_bit_in_any_output_closes_the_gate(
    place: Workplace,  # noqa: F811
    rng: np.random.Generator,
    faults: Faults,
) -> None:
    assert place.call("run", place.config(model=QUICK, report={})).code == 0
    outputs = {name: Path(item["path"]) for name, item in place.manifest["outputs"].items()}
    assert set(outputs) == {"model", "candidates", "assignments", "report"}
    for name, path in outputs.items():
        files = [item for item in (path, *path.rglob("*")) if item.is_file()]
        assert files
        for file in files:
            for _ in flipped(file, rng):
                answer = gate(place)
                assert answer.code == 3, (name, file)
                assert f"{name} was changed (runs/fit/{path.name})" in answer.out
                faults.add("flipped bit")
        assert gate(place).code == 0
    for name in ("model", "assignments"):
        more = outputs[name] / "more"
        more.write_text("")
        assert gate(place).code == 3, name
        more.unlink()
    outputs["report"].unlink()
    assert "report is missing" in gate(place).out


def test_one_bit_in_the_manifest_closes_it_too(
    place: Workplace,  # noqa: F811
    rng: np.random.Generator,
    faults: Faults,
) -> None:
    assert place.call("run", place.config(model=QUICK)).code == 0
    before = read_manifest(place.run / "run.json")
    for _ in range(60):
        for _ in flipped(place.run / "run.json", rng):
            answer = gate(place)
            assert answer.code == 3
            assert "run.json is " in answer.err
            faults.add("flipped bit")
    assert read_manifest(place.run / "run.json") == before


def test_not_converged_is_5_until_it_is_accepted(place: Workplace) -> None:  # noqa: F811
    assert place.call("run", place.config(model=SLOW)).code == 5
    answer = gate(place)
    assert answer.code == 5
    assert "(exit 5): the chosen fit reached max_iter before it converged" in answer.out
    assert place.call("status", "runs/fit").code == 0
    assert place.call("run", "fit.yaml", "--set", "run.accept_not_converged=true").code == 0
    assert gate(place).code == 0


def test_a_run_folder_that_was_moved_is_judged_where_it_lies(place: Workplace) -> None:  # noqa: F811
    assert place.call("run", place.config(model=QUICK)).code == 0
    place.run.rename("moved")
    assert gate(place, "moved").code == 0
    (Path("moved") / "candidates.csv").write_text("")
    answer = gate(place, "moved")
    assert answer.code == 3
    assert "candidates was changed (moved/candidates.csv)" in answer.out


def test_from_another_process_by_files_alone(place: Workplace) -> None:  # noqa: F811
    assert place.call("run", place.config(model=QUICK)).code == 0
    program = Path(sys.executable).with_name("gmm-dask")
    words = [str(program), "status", "runs/fit", "--require", "finished", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "finished"


@pytest.mark.parametrize(("status", "resumable"), [("running", True), ("stopped", False)])
def test_whether_it_can_go_on_is_a_fact(
    place: Workplace,  # noqa: F811
    status: str,
    resumable: bool,
) -> None:
    commits = place.run / "checkpoints" / "commits"
    commits.mkdir(parents=True)
    if resumable:
        (commits / "0000000012.json").write_text("{}")
    RunFolder(place.run).begin({"status": status, "checkpoints": str(commits.parent)})
    told: dict[str, Any] = place.call("status", "runs/fit", "--json").json
    assert told["resumable"] is resumable
    assert told["checkpoint_pass"] == (12 if resumable else None)
    assert told["state"] == ("stale" if status == "running" else status)


def test_a_finished_run_repeated_says_that_it_was_finished_when_and_where(
    place: Workplace,  # noqa: F811
) -> None:
    first = place.call("run", place.config(model=QUICK))
    assert first.out.splitlines()[-1].startswith("finished in ")
    again = place.call("run", "fit.yaml")
    when = place.manifest["finished"]
    last = again.out.splitlines()[-1]
    assert last.startswith(f"already finished {when} in runs/fit, after ")
    assert "finished in" not in again.out
    told = place.call("run", "fit.yaml", "--json").json
    assert told["already_finished"] is True
    assert told["finished"] == when
    assert "already_finished" not in place.manifest
