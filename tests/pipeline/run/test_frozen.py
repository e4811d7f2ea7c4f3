"""`model.start_from`, `model.frozen` and `model.assignment` from the file to the fit."""

from __future__ import annotations

import numpy as np
import yaml

from gmm_dask import GaussianMixture
from tests.pipeline.run.helpers import Workplace

QUIET = {"report": False, "output": False}


def earlier(place: Workplace, **sections) -> GaussianMixture:
    """Run two components into ``runs/field``; return the model."""
    name = place.config(model={"n_components": 2}, run={"dir": "runs/field"}, **QUIET, **sections)
    answer = place.call("run", name)
    assert answer.code == 0, answer.err
    return GaussianMixture.load(place.path / "runs" / "field" / "model.zarr")


def frozen(place: Workplace, **model) -> str:
    words = {"n_components": [2, 3], "start_from": "runs/field/model.zarr", "tol": 1e-4}
    return place.config(model={**words, **model}, **QUIET)


def test_what_is_frozen_comes_from_the_earlier_run(place: Workplace) -> None:
    before = earlier(place)
    rng = np.random.default_rng(0)
    rows = (place.path / "rows.csv").read_text()
    more = "\n".join(f"n{i},{x},{y}" for i, (x, y) in enumerate(rng.normal(-9, 0.3, (99, 2))))
    (place.path / "rows.csv").write_text(rows + more + "\n")
    held = {0: ["mean", "covariance"], "1": ["mean"]}
    answer = place.call("run", frozen(place, frozen=held))
    assert answer.code == 0, answer.err
    after = GaussianMixture.load(place.run / "model.zarr")
    assert after.n_components == 3
    np.testing.assert_array_equal(after.means_[:2], before.means_)
    np.testing.assert_array_equal(after.covariances_[0], before.covariances_[0])
    assert (after.covariances_[1] != before.covariances_[1]).any()
    np.testing.assert_allclose(after.means_[2], -9, atol=0.2)
    assert after.n_parameters == 17 - 5 - 2
    again = place.call("run", frozen(place, frozen={0: ["mean"]}))
    assert again.code == 2
    assert "model.frozen" in again.err


def test_a_run_goes_on_from_an_earlier_one(place: Workplace) -> None:
    before = earlier(place)
    answer = place.call("run", frozen(place, n_components=2))
    assert answer.code == 0, answer.err
    after = GaussianMixture.load(place.run / "model.zarr")
    np.testing.assert_allclose(after.means_, before.means_, atol=0.02)
    assert after.n_iter_ < 10


def test_what_makes_no_sense_is_refused(place: Workplace) -> None:
    earlier(place)
    for model, said in (
        ({"start_from": "nowhere"}, "model.start_from: nowhere is no folder"),
        ({"frozen": {"a": ["mean"]}}, "a is no component"),
        ({"frozen": {4: ["mean"]}}, "component 4 is named; there are 2"),
        ({"n_components": 1}, "parameters of 2 components are given"),
        ({"covariance_type": "diag"}, "start_from has full covariances"),
    ):
        answer = place.call("run", frozen(place, **model), "--fresh")
        assert answer.code == 2, answer.out
        assert said in answer.err
    answer = place.call("plan", frozen(place, start_from="nowhere"))
    assert answer.code == 2
    assert "nowhere is no folder" in answer.err


def test_another_transform_or_other_columns_are_refused(place: Workplace) -> None:
    earlier(place)
    name = frozen(place, frozen={0: ["mean"]})
    config = yaml.safe_load((place.path / name).read_text())
    for change, said in (
        ({"transform": ["standardize"]}, "another transform (none)"),
        ({"source": {**config["source"], "columns": ["y", "x"]}}, "of the columns x, y"),
    ):
        (place.path / name).write_text(yaml.safe_dump({**config, **change}))
        answer = place.call("run", name, "--fresh")
        assert answer.code == 2, answer.out
        assert said in answer.err


def test_hard_assignment(place: Workplace) -> None:
    model = {"n_components": 2, "assignment": "hard"}
    answer = place.call("run", place.config(model=model, report=False))
    assert answer.code == 0, answer.err
    fitted = GaussianMixture.load(place.run / "model.zarr")
    share = np.bincount(place.labels()) / 600
    np.testing.assert_allclose(fitted.weights_, share, rtol=1e-12)
    noisy = {"path": "rows.csv", "columns": ["x"], "noise": {"variance": {"x": "y"}}}
    refused = place.call("validate", place.config(model=model, source=noisy))
    assert refused.code == 2
    assert "errors blur the labels" in refused.err
