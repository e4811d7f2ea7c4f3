"""`diagnose`: what a fit means, and whether its model still holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gmm_dask import GaussianMixture, density_levels
from tests.pipeline.run.helpers import Workplace, write_rows

pytestmark = pytest.mark.cluster


@pytest.fixture
def fitted(place: Workplace) -> Workplace:
    """A diagnosed run over the first half of some rows; ``rest.csv`` has the other."""
    write_rows(Path("all.csv"), n=4000)
    rows = pd.read_csv("all.csv")
    rows[:2000].to_csv("rows.csv", index=False)
    rows[2000:].to_csv("rest.csv", index=False)
    output = {"columns": ["label", "probability", "log_density", "ambiguous", "outlier"]}
    model = {"n_components": 2, "n_init": 1, "tol": 1e-5}
    answer = place.call(
        "run", place.config(diagnose={"ambiguous": 0.8}, output=output, model=model)
    )
    assert answer.code == 0, answer.err
    assert "tails " in answer.out
    assert "of the rows (largest probability below 0.8)" in answer.out
    return place


def shifted(by: float) -> str:
    rows = pd.read_csv("rest.csv")
    rows[["x", "y"]] += by
    rows.to_csv("new.csv", index=False)
    return "new.csv"


def test_the_section_is_one_pass_whose_answers_are_the_librarys(fitted: Workplace) -> None:
    from gmm_dask import ambiguity, goodness_of_fit, profile, standard_errors

    found = json.loads((fitted.run / "diagnosis.json").read_text())
    model = GaussianMixture.load("runs/fit/model.zarr")
    X = pd.read_csv("rows.csv")[["x", "y"]]
    assert found["left_out"] == {}
    assert found["ambiguity"] == ambiguity(model, X, threshold=0.8).to_dict()
    assert found["profile"] == profile(model, X).to_dict()
    assert found["tails"]["densities"] == goodness_of_fit(model, X).to_dict()["densities"]
    errors = standard_errors(model, X).to_dict()["weights"]
    assert np.allclose(found["standard_errors"]["weights"]["error"], errors["error"], rtol=1e-9)
    assert fitted.manifest["outputs"]["diagnosis"]["sha256"]
    assert fitted.call("status", "runs/fit", "--require", "finished").code == 0
    flags_follow_the_section_and_the_level()
    a_finished_run_is_asked_again(fitted, found)


def flags_follow_the_section_and_the_level() -> None:
    rows = pq.read_table("runs/fit/assignments").to_pandas()
    mixture = GaussianMixture.load("runs/fit/model.zarr").mixture_
    level = density_levels(mixture, (1e-3,)).log_density[0]
    assert (rows["ambiguous"] == (rows["probability"] < 0.8)).all()
    assert (rows["outlier"] == (rows["log_density"] < level)).all()


def a_finished_run_is_asked_again(fitted: Workplace, first: dict) -> None:
    again = fitted.call("diagnose", "runs/fit", "--json", "--set", "diagnose.ambiguous=0.7")
    assert again.code == 0, again.err
    assert again.json["tails"] == first["tails"]
    assert again.json["ambiguity"]["threshold"] == 0.7
    told = fitted.call("diagnose", "fit.yaml")
    assert "weights     0: " in told.out
    assert not list(fitted.run.glob("*diagnose-*"))


def test_the_verdict_on_new_rows(fitted: Workplace) -> None:
    for by, verdict in ((0.0, "keep"), (0.7, "refit"), (40.0, "alarm")):
        model = ("diagnose", "--model", "runs/fit", shifted(by))
        told = fitted.call(*model, "--fail-on", "refit")
        assert told.code == (0 if verdict == "keep" else 6), told.err
        assert told.out.startswith(f"verdict: {verdict}   log-likelihood per row ")
        answer = fitted.call(*model, "--json", "--fail-on", "alarm")
        assert answer.json["verdict"] == verdict
        assert answer.code == answer.json["exit_code"] == (6 if verdict == "alarm" else 0)
    assert fitted.call(*model).code == 0  # an alarm is an answer, unless it was asked to fail


def test_a_run_that_kept_no_profile_is_judged_by_its_own_rows(place: Workplace) -> None:
    assert place.call("run", place.config()).code == 0
    assert not (place.run / "diagnosis.json").exists()
    told = place.call("diagnose", "--model", "runs/fit", "rows.csv")
    assert told.code == 0, told.err
    assert "of the model's own rows" in told.out


def test_transforms_are_applied(place: Workplace) -> None:
    section = {"source": {"path": "rows.csv", "columns": ["x", "y"]}, "diagnose": {}}
    config = place.config(transform=[{"arcsinh": {"cofactor": 2}}, "standardize"], **section)
    assert place.call("run", config).code == 0
    same = place.call("diagnose", "--model", "runs/fit", "rows.csv", "--json")
    assert same.json["verdict"] == "keep", same.out
    assert same.json["changes"][0]["size"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("diagnose", "runs/fit", "--fail-on", "alarm"), "name its run by --model"),
        (("diagnose", "a", "b"), "diagnose takes one run"),
        (("diagnose", "--model", "runs/fit", "rows.csv", "--fail-on", "keep"), "alarm or refit"),
    ],
)
def test_what_cannot_be_asked(place: Workplace, words: tuple[str, ...], said: str) -> None:
    answer = place.call(*words)
    assert answer.code == 2
    assert said in answer.err
