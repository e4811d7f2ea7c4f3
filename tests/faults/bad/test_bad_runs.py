"""Models, checkpoints, manifests and results that were damaged or made up; rows for predict."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from pipeline.manifest import checksum
from tests.faults.bad.malformed import malformed
from tests.faults.bad.place import REFUSED, Answer, ask, check
from tests.faults.bad.runs import NEW_ROWS, Finished, any_damage, damaged, edited

Changes = dict[str, bytes | None]
PREDICT = ("predict", "runs/c", "rows.parquet", "--out", "out")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cluster: dict[str, Any]) -> Finished:
    """A finished run with its report."""
    return Finished.make(tmp_path_factory.mktemp("finished"), cluster, report={"title": "x"})


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, cluster: dict[str, Any]) -> Finished:
    """A run that reached its last pass, so that more of them go on from its checkpoints."""
    sections = {
        "run": {"accept_not_converged": False},
        "model": {"n_components": 3, "max_iter": 3, "tol": 1e-12},
        "checkpoint": {"every": "1 passes", "keep": 2},
        "output": False,
    }
    return Finished.make(tmp_path_factory.mktemp("stopped"), cluster, **sections)


@pytest.fixture(scope="module")
def undisturbed(stopped: Finished) -> str:
    """Fingerprint of the model after two more passes."""
    with stopped.changed({}):
        return more_passes()[1]


def more_passes() -> tuple[Answer, str]:
    """Go on for two passes; return the answer and the fingerprint that the manifest then has."""
    answer = ask("run", "c.yaml", "--set", "model.max_iter=5")
    manifest = json.loads(Path("runs/c/run.json").read_text())
    return answer, manifest.get("model_fingerprint", "")


def check_labels(answer: Answer) -> None:
    """Fail unless labels are there after success, and nothing that looks like it otherwise."""
    check(answer, (0, *REFUSED))
    whole = Path("out").is_dir() and Path("out.json").is_file()
    left = Path("out").exists() or Path("out.json").exists()
    assert whole if answer.code == 0 else not left, answer


def check_gate(codes: tuple[int, ...]) -> None:
    """Fail unless the gate for schedulers answers with one of some codes, and says why."""
    gate = ask("status", "runs/c", "--require", "finished")
    assert gate.code in codes, gate
    assert "Traceback" not in gate.err, gate
    assert gate.out or gate.err, gate


@malformed(30, changes=lambda run: any_damage(run, "runs/c/model.zarr"))
def test_damaged_models(run: Finished, changes: Changes) -> None:
    with run.changed(changes):
        answer = ask(*PREDICT)
        check(answer, (3,), "model.zarr")
        check_labels(answer)
        check_gate((3,))


@malformed(12, changes=lambda stopped: any_damage(stopped, "runs/c/checkpoints"))
def test_damaged_checkpoints(stopped: Finished, undisturbed: str, changes: Changes) -> None:
    """Fits go on from the checkpoint before, or from the start, or are refused in words."""
    with stopped.changed(changes):
        answer, fingerprint = more_passes()
        check(answer, (3, 4, 5), "checkpoint")
        assert answer.code != 5 or fingerprint == undisturbed


def says(raw: bytes) -> Any:
    """Return what a JSON file says: white space may change without harm."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


def other_manifests(run: Finished) -> st.SearchStrategy[bytes]:
    """Damage that changes what the manifest says."""
    before = run.files["runs/c/run.json"]
    return damaged(before).filter(lambda raw: says(raw) != says(before))


@malformed(50, raw=other_manifests)
def test_damaged_manifests(run: Finished, raw: bytes) -> None:
    with run.changed({"runs/c/run.json": raw}):
        for words in (("status", "runs/c"), ("report", "runs/c"), ("plan", "runs/c"), PREDICT):
            check(ask(*words), (3,), "run.json")
        check(ask("run", "c.yaml"), (3,), "run.json")


@malformed(
    30,
    whole=lambda run: edited(run.files["runs/c/run.json"]),
    every_command=st.integers(0, 5).map(lambda n: n == 0),
)
def test_manifests_that_were_made_up(
    run: Finished, whole: dict[str, Any], every_command: bool
) -> None:
    """Whoever writes a manifest can write its checksum: what it says is still not trusted."""
    whole.pop("sha256", None)
    whole["sha256"] = checksum(whole)
    with run.changed({"runs/c/run.json": json.dumps(whole).encode()}):
        for command in ("status", "plan", "validate"):
            check(ask(command, "runs/c"), (0, *REFUSED))
        check_gate((0, 3, 4))
        if every_command:
            check(ask("report", "runs/c"), (0, *REFUSED))
            check_labels(ask(*PREDICT))
            check(ask("run", "c.yaml"), (0, *REFUSED))


def other_results(run: Finished) -> st.SearchStrategy[bytes]:
    """Results damaged, or made up."""
    raw = run.files["runs/c/results.json"]
    return damaged(raw) | edited(raw).map(lambda whole: json.dumps(whole).encode())


@malformed(20, changed=other_results)
def test_results_that_were_made_up(run: Finished, changed: bytes) -> None:
    with run.changed({"runs/c/results.json": changed}):
        before = hashlib.sha256(Path("runs/c/report.html").read_bytes()).digest()
        answer = ask("report", "runs/c")
        check(answer, (0, 3), "results")
        if answer.code:
            assert hashlib.sha256(Path("runs/c/report.html").read_bytes()).digest() == before


@malformed(len(NEW_ROWS), kind=st.sampled_from(sorted(NEW_ROWS)))
def test_rows_that_a_model_cannot_label(run: Finished, kind: str) -> None:
    name, raw, told = NEW_ROWS[kind]()
    with run.changed({name: raw}):
        answer = ask("predict", "runs/c", name, "--out", "out")
        check(answer, (3,), told)
        check_labels(answer)
