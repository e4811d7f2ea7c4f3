"""`GaussianMixture` and `fit_many` with angles and a background: words, outputs, files, passes."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from gmm_dask import ConfigError, DataError, GaussianMixture, fit_many
from tests.compound import PERIODS, mixed

QUICK = {"random_state": 0, "tol": 1e-4}


def table(n=300):
    X, _ = mixed(n)
    X[::8, [0, 2]] = np.random.default_rng(1).uniform(-15, 15, (len(X[::8]), 2))
    return pd.DataFrame(X, columns=["x", "degrees", "y", "hours"])


def fitted(**words):
    X = table()
    words = {"circular": {"degrees": 360, "hours": 24}, "background": "uniform", **words}
    return GaussianMixture(3, **QUICK, **words).fit(X), X


def test_outputs_have_the_background_last():
    model, X = fitted()
    assert model.weights_.shape == (4,)
    assert model.means_.shape == (3, 4)
    assert model.covariances_.shape == (3, 2, 2)
    assert model.kappa_.shape == (3, 2)
    resp = model.predict_proba(X)
    assert resp.shape == (300, 4)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), resp.argmax(axis=1))
    assert model.candidate_.n_components == 3
    rows, labels = model.sample(2000)
    assert set(labels) == {0, 1, 2, 3}
    low, high = X.min().to_numpy(), X.max().to_numpy()
    low[[1, 3]], high[[1, 3]] = 0.0, [360.0, 24.0]
    uniform = rows[labels == 3]
    assert ((uniform >= low - 1e-9) & (uniform <= high + 1e-9)).all()
    assert ((rows[:, [1, 3]] >= 0) & (rows[:, [1, 3]] < [360.0, 24.0])).all()


@pytest.mark.parametrize(
    "words", [{}, {"background": None}, {"circular": None}, {"background": {"x": [-30, 30]}}]
)
def test_saved_and_loaded(tmp_path, words):
    model, X = fitted(**words)
    model.save(tmp_path / "model.zarr")
    again = GaussianMixture.load(tmp_path / "model.zarr")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(again.means_, model.means_)
    assert again.circular == model.circular
    if not isinstance(words.get("background"), dict):
        assert again.background == model.background
    else:  # the other side of the box was the range of the data
        assert again.background["x"] == (-30.0, 30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refitted = GaussianMixture(**again.get_params()).fit(X)
    np.testing.assert_allclose(refitted.weights_, model.weights_, atol=1e-9)


def test_columns_by_name_and_by_position_are_the_same():
    model, X = fitted()
    other = GaussianMixture(3, circular=PERIODS, background="uniform", **QUICK).fit(X.to_numpy())
    np.testing.assert_array_equal(other.weights_, model.weights_)


@pytest.mark.parametrize(
    "init", ["kmeans", "k-means||", "k-means++", "random", "random_from_data", "auto"]
)
def test_every_start_begins(init):
    X = table(200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianMixture(
            2, circular={"degrees": 360}, init_params=init, max_iter=5, **QUICK
        ).fit(X)
    assert np.isfinite(model.score(X))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"circular": {"hour": 24}}, "no column 'hour'"),
        ({"circular": {9: 24}}, "no column 9"),
        ({"circular": {"hours": 0}}, "a positive number"),
        ({"circular": ["hours"]}, "a mapping from columns to periods"),
        ({"background": "box"}, "a mapping from columns to limits"),
        ({"background": {"x": [2, 1]}}, "the smaller first"),
        ({"background": {"degrees": [0, 90]}}, "whose box is its period"),
        ({"compute_dtype": "float32"}, "float32"),
        ({"precisions_init": np.tile(np.eye(4), (3, 1, 1))}, "precisions_init does not go"),
        ({"weights_init": np.full(3, 1 / 3)}, "weights_init does not go"),
    ],
)
def test_words_are_refused_before_any_pass(words, message):
    with pytest.raises(ConfigError, match=message):
        fitted(**words)


def test_what_does_not_go_with_angles_is_refused():
    model, X = fitted()
    for call in (
        lambda: model.impute(X),
        lambda: model.deconvolve(X, np.ones(X.shape)),
        model.to_sklearn,
        lambda: model.set_params(warm_start=True).fit(X),
    ):
        with pytest.raises(ConfigError):
            call()


def test_bad_values_of_angles_are_refused():
    X = table()
    X.loc[3, "hours"] = np.inf
    with pytest.raises(DataError, match="hours"):
        GaussianMixture(2, circular={"hours": 24}).fit(X)
    X.loc[3, "hours"] = np.nan
    with pytest.raises(DataError, match="hours"):
        GaussianMixture(2, circular={"hours": 24}).fit(X)
    model = GaussianMixture(2, circular={"hours": 24}, missing="marginalize", **QUICK).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    X["hours"] = np.where(np.arange(300) % 2, 0.0, 24.0)
    with pytest.raises(DataError, match="in all rows"):
        GaussianMixture(2, circular={"hours": 24}).fit(X)
    noise = np.ones((300, 4))
    with pytest.raises(DataError, match="is an angle"):
        GaussianMixture(2, circular={"degrees": 360}).fit(table(), noise=noise)


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    X = table().to_numpy()
    words = {"circular": PERIODS, "background": "uniform", "random_state": 0, "tol": 1e-6}
    whole = GaussianMixture(3, **words, max_iter=30).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        GaussianMixture(3, **words, max_iter=4).fit(X, checkpoint=tmp_path)
        again = GaussianMixture(3, **words, max_iter=30).fit(X, checkpoint=tmp_path)
    np.testing.assert_array_equal(again.means_, whole.means_)
    with pytest.raises(Exception, match="shape"):
        GaussianMixture(3, **{**words, "background": None}).fit(X, checkpoint=tmp_path)


def test_a_grid_with_held_out_rows_and_stability():
    X = table(400)
    words = {"circular": {"degrees": 360, "hours": 24}, "background": "uniform", "random_state": 0}
    held = fit_many(X, [2, 3], ["full", "diag"], criterion="held_out", tol=1e-3, **words)
    assert all(np.isfinite(row["held_out"]) for row in held.table())
    stable = fit_many(X, [2, 3], n_init=2, criterion="stability", tol=1e-3, **words)
    assert stable.best.n_components in (2, 3)


def test_lazy_rows_and_stored_samples():
    dask = pytest.importorskip("dask.array")
    model, X = fitted()
    lazy = dask.from_array(X.to_numpy(), chunks=(70, 4))
    model = GaussianMixture(3, circular=PERIODS, background="uniform", **QUICK).fit(lazy)
    found = model.predict(lazy).compute(scheduler="synchronous")
    np.testing.assert_array_equal(found, model.predict(X.to_numpy()))


def test_restarts_compete_on_samples():
    X, _ = mixed(70000)
    found = fit_many(X[:, :2], 3, n_init=4, circular={1: 360}, random_state=0, tol=1e-3)
    assert len(found.result.candidates[0].restarts) == 4
    assert any(restart.dropped for restart in found.result.candidates[0].restarts)


@pytest.mark.parametrize("words", [{}, {"background": "uniform"}])
def test_a_fit_begins_at_given_means(words):
    X, _ = mixed(300, K=2)
    at = np.array([[0.0, 10.0], [0.0, 120.0 + 360.0]])  # a turn more is the same angle
    words = {**words, "circular": {1: 360}, "means_init": at, **QUICK}
    model = GaussianMixture(2, **words).fit(X[:, :2])
    assert ((model.means_[:, 1] >= 0) & (model.means_[:, 1] < 360)).all()
    one = GaussianMixture(2, **{**words, "max_iter": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one.fit(X[:, :2])
    # the clusters lie at 0 and 133 degrees, 17 wide
    away = np.abs((one.means_[:, 1, None] - [0.0, 133.2] + 180) % 360 - 180)
    assert (away.min(axis=0) < 10).all()
