"""`run` from the user's side: what is done again, what is refused, what is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr

from gmm_dask import GaussianMixture, RunLock
from tests.pipeline.run.helpers import Workplace, write_rows

pytestmark = pytest.mark.cluster
# Random responsibilities: one pass for the start, then about fourteen of EM.
HARD = {"n_components": 2, "n_init": 1, "init_params": "random", "tol": 1e-6}


def test_a_run_leaves_everything_that_its_manifest_names(place: Workplace) -> None:
    answer = place.call("run", place.config(report={"title": "Two heaps"}))
    assert answer.code == 0, answer.err
    names = {item.name for item in place.run.iterdir()}
    assert names == {
        *("run.json", "events.jsonl", "model.zarr", "candidates.csv", "assignments"),
        *("checkpoints", "report.html", "results.json", "heartbeat.json"),
    }
    manifest = place.manifest
    assert manifest["status"] == "finished"
    assert manifest["exit_code"] == 0
    assert manifest["rows"] == manifest["rows_written"] == 600
    assert manifest["chosen"]["n_components"] == 2
    assert [c["n_components"] for c in manifest["candidates"]] == [1, 2]
    assert set(manifest["outputs"]) == {"model", "candidates", "assignments", "report"}
    assert manifest["config"]["model"]["max_iter"] == 1000
    assert manifest["versions"]["distributed"]
    assert manifest["workers"]["workers"] == 1
    assert "2 components" in answer.out
    assert ">  2" in answer.out


def test_the_model_is_the_librarys_of_the_same_rows(place: Workplace) -> None:
    assert place.call("run", place.config()).code == 0
    stored = GaussianMixture.load(place.run / "model.zarr")
    rows = pd.read_csv("rows.csv")[["x", "y"]]
    fitted = GaussianMixture(2, n_init=5, tol=1e-6, max_iter=1000, random_state=0).fit(rows)
    assert np.allclose(stored.means_, fitted.means_, rtol=1e-4)
    assert np.allclose(stored.weights_, fitted.weights_, atol=1e-4)
    assert place.manifest["model_fingerprint"] == stored.mixture_.fingerprint
    assert np.array_equal(place.labels(), stored.predict(rows))
    assert zarr.open_group(place.run / "model.zarr", mode="r").attrs["format"]


def test_a_finished_run_repeated_does_nothing(place: Workplace) -> None:
    first = place.call("run", place.config())
    before = {path: path.stat().st_mtime_ns for path in place.run.rglob("*") if path.is_file()}
    again = place.call("run", "fit.yaml")
    assert again.code == first.code == 0
    assert "already finished" in again.err
    assert "--fresh" in again.err
    after = {path: path.stat().st_mtime_ns for path in place.run.rglob("*") if path.is_file()}
    del before[place.run / "heartbeat.json"], after[place.run / "heartbeat.json"]
    assert after == before


def test_an_edited_configuration_is_refused_with_what_differs(place: Workplace) -> None:
    place.call("run", place.config())
    edited = place.call("run", "fit.yaml", "--set", "model.covariance_type=diag")
    assert edited.code == 2
    assert edited.err.startswith("error: runs/fit belongs to another configuration (exit 2)\n")
    assert "  model.covariance_type: full -> diag\n" in edited.err
    assert "keep both: --set run.name=fit-2     start over: --fresh" in edited.err
    assert "attempts/1" in edited.err
    assert place.manifest["status"] == "finished"
    assert place.call("run", "fit.yaml").code == 0


def test_the_advice_to_keep_both_works(place: Workplace) -> None:
    place.call("run", place.config(run={"dir": "here"}))
    edited = place.call("run", "fit.yaml", "--set", "model.n_components=1")
    assert "keep both: --set run.dir=here-2 " in edited.err
    other = ("--set", "model.n_components=1", "--set", "run.dir=here-2")
    assert place.call("run", "fit.yaml", *other).code == 0
    assert Path("here-2/run.json").is_file()


def test_fresh_keeps_the_old_attempt(place: Workplace) -> None:
    place.call("run", place.config())
    (place.run / "notes.txt").write_text("mine")
    before = place.manifest
    answer = place.call("run", "fit.yaml", "--fresh", "--set", "model.covariance_type=diag")
    assert answer.code == 0, answer.err
    kept = place.run / "attempts" / "1"
    assert (kept / "model.zarr").is_dir()
    assert (kept / "assignments").is_dir()
    assert (kept / "checkpoints").is_dir()
    assert before["identity"]["model"]["covariance_type"] == "full"
    assert place.manifest["identity"]["model"]["covariance_type"] == "diag"
    assert place.manifest["attempt"] == 2
    assert (place.run / "notes.txt").read_text() == "mine"
    assert place.call("run", "fit.yaml", "--fresh").code == 0
    assert (place.run / "attempts" / "2" / "run.json").is_file()


def test_fresh_sets_aside_checkpoints_and_outputs_of_other_names(place: Workplace) -> None:
    sections = {
        "checkpoint": {"path": "elsewhere"},
        "output": {"path": "runs/fit/labels", "format": "csv"},
    }
    place.call("run", place.config(**sections))
    old = sorted(Path("elsewhere/commits").iterdir())
    answer = place.call("run", "fit.yaml", "--fresh")
    assert answer.code == 0, answer.err
    assert (place.run / "attempts" / "1" / "labels").is_dir()
    aside = [path for path in Path().iterdir() if path.name.startswith("elsewhere-")]
    assert [len(list((path / "commits").iterdir())) for path in aside] == [len(old)]
    assert "resumed" not in [event["event"] for event in place.events()]


def test_not_converged_is_5_and_a_larger_max_iter_goes_on(place: Workplace) -> None:
    model = {**HARD, "max_iter": 5}
    answer = place.call("run", place.config(model=model))
    assert answer.code == 5
    assert "raise model.max_iter" in answer.out
    assert place.manifest["status"] == "finished"
    assert (place.run / "model.zarr").is_dir()
    assert place.call("run", "fit.yaml").code == 5  # repeated: the same answer
    more = place.call("run", "fit.yaml", "--set", "model.max_iter=2000")
    assert more.code == 0, more.err
    assert "from pass 6" in more.err
    assert place.manifest["resumed_from"] == 6
    passes = [event["number"] for event in place.events() if event["event"] == "pass"]
    assert passes == list(range(1, len(passes) + 1))  # none was done twice
    whole = place.call("run", "fit.yaml", "--set", "model.max_iter=2000", "--set", "run.name=b")
    assert whole.code == 0
    fingerprint = place.manifest["model_fingerprint"]
    other = Workplace(place.path, place.scheduler)
    assert fingerprint == _manifest(other, "b")["model_fingerprint"]


def test_a_smaller_tol_goes_on(place: Workplace) -> None:
    model = {"n_components": 3, "n_init": 1, "init_params": "random_from_data", "tol": 1e-2}
    place.call("run", place.config(model=model))
    before = place.manifest["passes"]
    answer = place.call("run", "fit.yaml", "--set", "model.tol=1e-3")
    assert answer.code == 0
    assert f"from pass {before}" in answer.err
    assert place.manifest["passes"] > before


def test_accept_not_converged(place: Workplace) -> None:
    model = {**HARD, "max_iter": 3}
    accepted = ("--set", "run.accept_not_converged=true")
    assert place.call("run", place.config(model=model), *accepted).code == 0
    assert "did not converge in 3 passes" in " ".join(place.manifest["warnings"])
    assert place.call("run", "fit.yaml", "--fresh").code == 5
    again = place.call("run", "fit.yaml", *accepted)  # it finished with 5, and is accepted now
    assert again.code == 0
    assert "already finished" in again.err
    assert place.manifest["exit_code"] == 0
    assert place.call("status", "runs/fit", "--require", "finished").code == 0


def test_a_misspelt_path_does_not_claim_the_folder(place: Workplace) -> None:
    name = place.config()
    failed = place.call("run", name, "--set", "source.path=rowz.csv")
    assert failed.code == 3
    assert place.manifest["status"] == "failed"
    assert "rowz.csv" in place.manifest["reason"]
    assert place.call("run", name).code == 0


def test_new_rows_under_the_old_name_are_noticed(place: Workplace) -> None:
    place.call("run", place.config())
    write_rows(place.path / "rows.csv", seed=1)
    answer = place.call("run", "fit.yaml")
    assert answer.code == 3
    assert "rows.csv has changed since this run finished" in answer.err
    assert place.call("run", "fit.yaml", "--fresh").code == 0
    Path("rows.csv").unlink()  # gone is not changed: nothing is left to be done
    assert place.call("run", "fit.yaml").code == 0


def test_resume_on_other_rows_is_refused(place: Workplace) -> None:
    place.call("run", place.config(model={**HARD, "max_iter": 3}))
    write_rows(place.path / "rows.csv", seed=1)
    answer = place.call("run", "fit.yaml", "--set", "model.max_iter=50")
    assert answer.code == 3
    assert "rows.csv has changed" in answer.err
    assert "--fresh" in answer.err


def test_a_missing_output_is_written_again_without_fitting(place: Workplace) -> None:
    place.call("run", place.config())
    labels = place.labels()
    (place.run / "candidates.csv").unlink()
    answer = place.call("run", "fit.yaml")
    assert answer.code == 0
    assert "0 of 4 fits live" in answer.err
    assert (place.run / "candidates.csv").is_file()
    assert np.array_equal(place.labels(), labels)
    passes = [e for e in place.events() if e["event"] == "pass"]
    fingerprints = [e for e in passes if "sample_rows" not in e]
    assert max(e["number"] for e in fingerprints) == len(fingerprints)


def test_another_output_is_written_without_fitting(place: Workplace) -> None:
    place.call("run", place.config())
    answer = place.call("run", "fit.yaml", "--set", "output.columns=[label, entropy]")
    assert answer.code == 0
    assert "0 of 4 fits live" in answer.err
    assert place.manifest["config"]["output"]["columns"] == ["label", "entropy"]


@pytest.mark.parametrize("format_", ["csv", "zarr"])
def test_output_formats(place: Workplace, format_: str) -> None:
    answer = place.call("run", place.config(output={"format": format_}))
    assert answer.code == 0, answer.err
    assert place.manifest["outputs"]["assignments"]["rows"] == 600
    assert place.call("status", "runs/fit", "--require", "finished").code == 0


def test_no_output(place: Workplace) -> None:
    assert place.call("run", place.config(output=False)).code == 0
    assert set(place.manifest["outputs"]) == {"model", "candidates"}


def test_resume_never_and_require(place: Workplace) -> None:
    name = place.config(model={**HARD, "max_iter": 3})
    missing = place.call("run", name, "--resume", "require")
    assert missing.code == 2  # repeating will not make one
    assert "holds no checkpoint" in missing.err
    assert place.call("run", name).code == 5
    more = ("--set", "model.max_iter=4")
    assert place.call("run", name, *more, "--resume", "require").code == 5
    assert place.manifest["resumed_from"] == 4
    assert place.call("run", name, "--set", "model.max_iter=6", "--resume", "never").code == 5
    assert "resumed_from" not in place.manifest
    assert (place.run / "attempts" / "1").is_dir()
    wrong = place.call("run", name, "--resume", "perhaps")
    assert wrong.code == 2
    assert "one of auto, never, require" in wrong.err


def test_a_second_driver_is_refused_at_once(place: Workplace) -> None:
    name = place.config()
    place.run.mkdir(parents=True)
    began = time.monotonic()
    with RunLock(place.run / "run.lock"):
        answer = place.call("run", name)
    assert answer.code == 4
    assert "another driver has this run" in answer.err
    assert str(os.getpid()) in answer.err
    assert time.monotonic() - began < 10  # it does not wait for the other one
    assert not (place.run / "run.json").exists()
    assert place.call("run", name).code == 0


def test_a_damaged_manifest_says_so(place: Workplace) -> None:
    place.call("run", place.config())
    (place.run / "run.json").write_text('{"version": 1, ')
    answer = place.call("run", "fit.yaml")
    assert answer.code == 3
    assert "run.json is damaged" in answer.err
    assert place.call("run", "fit.yaml", "--fresh").code == 0


@pytest.mark.parametrize("cache", ["memory", "stream", "spool"])
def test_every_cache_gives_the_same_bits(place: Workplace, cache: str) -> None:
    place.call("run", place.config(transform=["standardize"]))
    name = f"run.name={cache}"
    answer = place.call("run", "fit.yaml", "--set", f"cluster.cache={cache}", "--set", name)
    assert answer.code == 0, answer.err
    fingerprint = _manifest(place, cache)["model_fingerprint"]
    assert fingerprint == place.manifest["model_fingerprint"]
    assert not (place.path / "runs" / cache / "scratch").exists()


def test_progress_and_criteria_are_in_source_units(place: Workplace) -> None:
    answer = place.call("run", place.config(transform=["standardize"]))
    told = place.manifest["chosen"]["log_likelihood_per_row"]
    assert f"{told:.4f}/row" in answer.err
    last = [event for event in place.events() if event["event"] == "pass"][-1]
    assert last["best"] == pytest.approx(told, abs=1e-4)
    plain = place.call("run", "fit.yaml", "--set", "transform=[]", "--set", "run.name=plain")
    assert plain.code == 0
    # full covariances do not mind the scale; both stopped at their own tolerance
    other = _manifest(place, "plain")["chosen"]["bic"]
    assert place.manifest["chosen"]["bic"] == pytest.approx(other, abs=0.05)


def _manifest(place: Workplace, name: str) -> dict:
    import json

    return json.loads((place.path / "runs" / name / "run.json").read_text())
