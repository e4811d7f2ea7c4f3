"""`GaussianMixture` as a scikit-learn estimator."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from gmm_dask import ConfigError, DataError, GaussianMixture
from tests.strategies import KINDS, clusters

X, LABELS = clusters(300, 2, 3, apart=9.0)
EVERY = pytest.mark.parametrize("kind", KINDS)


def name(value) -> str:
    function = getattr(value, "func", value)
    return getattr(function, "__name__", type(value).__name__)


def checks() -> list:
    models = [
        GaussianMixture(),
        GaussianMixture(covariance_type="tied", reg_covar=1e-6),
        GaussianMixture(missing="marginalize"),
    ]
    pairs = [pair for model in models for pair in estimator_checks_generator(model)]
    # array API input is for estimators that say they take it, in an environment made for it
    return [pair for pair in pairs if name(pair[1]) != "check_array_api_input"]


@pytest.mark.parametrize(("model", "check"), checks(), ids=name)
def test_check_estimator(model, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(model)


def fitted(kind: str = "full", **words) -> GaussianMixture:
    return GaussianMixture(3, covariance_type=kind, random_state=0, **words).fit(X)


@EVERY
def test_shapes_and_identities(kind):
    model = fitted(kind)
    theirs = SklearnMixture(3, covariance_type=kind, random_state=0).fit(X)
    for attribute in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert getattr(model, attribute).shape == getattr(theirs, attribute).shape
        assert getattr(model, attribute).dtype == np.float64
    assert (np.diff(model.weights_) <= 0).all()
    if kind in ("full", "tied"):
        S, P, C = model.covariances_, model.precisions_, model.precisions_cholesky_
        eye = np.broadcast_to(np.eye(2), S.shape)
        np.testing.assert_allclose(S @ P, eye, atol=1e-9)
        np.testing.assert_allclose(C @ np.swapaxes(C, -1, -2), P, rtol=1e-9)
        np.testing.assert_allclose(C, np.triu(C))
    else:
        np.testing.assert_allclose(model.covariances_ * model.precisions_, 1.0, rtol=1e-12)
        np.testing.assert_allclose(model.precisions_cholesky_**2, model.precisions_, rtol=1e-12)
    assert isinstance(model.converged_, bool)
    assert isinstance(model.n_iter_, int)
    assert isinstance(model.lower_bound_, float)
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert len(model.lower_bounds_) == model.n_iter_
    assert model.n_features_in_ == 2


@EVERY
def test_to_sklearn_agrees(kind):
    model = fitted(kind)
    twin = model.to_sklearn()
    assert isinstance(twin, SklearnMixture)
    np.testing.assert_allclose(twin.predict_proba(X), model.predict_proba(X), atol=1e-10)
    np.testing.assert_allclose(twin.score_samples(X), model.score_samples(X), rtol=1e-10)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert twin.bic(X) == pytest.approx(model.bic(X), rel=1e-10)
    assert twin.aic(X) == pytest.approx(model.aic(X), rel=1e-10)
    assert twin.score(X) == pytest.approx(model.score(X), rel=1e-10)
    assert twin._n_parameters() == model.n_parameters
    assert twin.sample(5)[0].shape == (5, 2)


def test_outputs_are_consistent():
    model = fitted()
    resp, label = model.predict_proba(X), model.predict(X)
    np.testing.assert_array_equal(resp.argmax(axis=1), label)
    assert label.dtype == np.int64
    assert model.score(X) == pytest.approx(model.score_samples(X).mean(), rel=1e-12)
    for method in (model.score, model.bic, model.aic, model.icl):
        assert isinstance(method(X), float)
    entropy = -(resp * np.log(np.where(resp > 0, resp, 1))).sum()
    assert model.icl(X) == pytest.approx(model.bic(X) + 2 * entropy, rel=1e-10)


@EVERY
def test_fit_predict_is_fit_then_predict(kind):
    model = GaussianMixture(3, covariance_type=kind, random_state=0)
    np.testing.assert_array_equal(model.fit_predict(X), fitted(kind).predict(X))
    np.testing.assert_array_equal(model.predict(X), fitted(kind).predict(X))


def test_clone_pickle_and_parameters():
    model = fitted(tol=1e-5)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        copy.predict(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert set(GaussianMixture().get_params()) == {
        *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init"),
        *("init_params", "weights_init", "means_init", "precisions_init", "random_state"),
        *("warm_start", "verbose", "verbose_interval", "missing", "compute_dtype"),
        *("weights", "frozen", "shared", "assignment", "circular", "background"),
        "covariance_prior",
    }
    assert GaussianMixture().set_params(n_components=7).n_components == 7
    ours, theirs = GaussianMixture().get_params(), SklearnMixture().get_params()
    assert {k: v for k, v in theirs.items() if ours[k] != v} == {"reg_covar": 1e-6}


def test_words_stay_as_they_were_given():
    words = {"n_components": np.int64(2), "means_init": [[0.0, 0.0], [1.0, 1.0]], "tol": 1}
    model = GaussianMixture(**words, reg_covar=1e-3).fit(X)
    for key, value in words.items():
        assert getattr(model, key) is value


def test_pipelines_and_pandas():
    frame = pd.DataFrame(X.copy(), columns=["mass", "size"])
    model = GaussianMixture(3, random_state=0).fit(frame)
    np.testing.assert_array_equal(model.feature_names_in_, ["mass", "size"])
    np.testing.assert_array_equal(model.predict(frame), fitted().predict(X))
    steps = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0)).fit(frame)
    assert len(steps.predict(frame)) == 300
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["size", "mass"]])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"mass": "m"}))
    with pytest.raises(ValueError, match=r"X has 3 features, but .* 2 features"):
        fitted().predict(np.ones((4, 3)))
    model.fit(X)
    assert not hasattr(model, "feature_names_in_")


def test_bad_values_of_a_dataframe_are_named_by_its_columns():
    frame = pd.DataFrame(X.copy(), columns=["mass", "size"])
    frame.loc[5, "size"] = np.nan
    with pytest.raises(DataError, match=r"1 of 300 rows have no size \(first: row 5\)"):
        GaussianMixture(2).fit(frame)
    frame["size"] = 2.0
    with pytest.raises(DataError, match=r"constant: size"):
        GaussianMixture(2).fit(frame)


def test_bad_values_at_predict_are_refused():
    rows = X.copy()
    rows[3, 1] = np.nan
    model = fitted()
    for method in (model.predict, model.predict_proba, model.score_samples, model.score, model.bic):
        with pytest.raises(ValueError, match="NaN"):
            method(rows)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("n_components", 0),
        ("n_components", 2.0),
        ("n_components", True),
        ("n_init", 0),
        ("max_iter", -1),
        ("tol", -1e-3),
        ("tol", float("nan")),
        ("tol", "small"),
        ("reg_covar", -1e-6),
        ("reg_covar", float("inf")),
        ("covariance_type", "fulll"),
        ("init_params", "k-means"),
        ("random_state", -1),
    ],
)
def test_words_out_of_range_are_refused(word, value):
    with pytest.raises(ConfigError, match=f"{word}.*{value!r}"):
        GaussianMixture(**{word: value}).fit(X)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"weights_init": [0.5, 0.6]}, "sum"),
        ({"weights_init": [1.5, -0.5]}, "at least 0"),
        ({"weights_init": [1.0]}, r"weights_init has shape \(1,\)"),
        ({"means_init": [[0.0, 1.0]]}, r"means_init has shape \(1, 2\).*\(2, 2\)"),
        ({"means_init": [[0.0, 1.0], [np.nan, 0.0]]}, "means_init"),
        ({"precisions_init": np.eye(2)}, r"precisions_init has shape \(2, 2\).*\(2, 2, 2\)"),
        ({"precisions_init": [np.eye(2), -np.eye(2)]}, "positive definite"),
        ({"precisions_init": [np.eye(2), [[1.0, 0.9], [0.0, 1.0]]]}, "symmetric"),
        ({"precisions_init": [0.0, 1.0], "covariance_type": "spherical"}, "positive"),
    ],
)
def test_given_starts_out_of_range_are_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        GaussianMixture(2, **words).fit(X)


@pytest.mark.parametrize("seed", [0, 5, np.int64(5), np.random.RandomState(1)])
def test_random_states(seed):
    words = {"init_params": "random_from_data", "max_iter": 500}
    model = GaussianMixture(3, random_state=seed, **words).fit(X)
    again = GaussianMixture(3, random_state=model.seed_, **words).fit(X)
    np.testing.assert_array_equal(model.means_, again.means_)


def test_no_seed_draws_one_and_keeps_it():
    words = {"init_params": "random_from_data", "max_iter": 500}
    model = GaussianMixture(3, **words).fit(X)
    again = GaussianMixture(3, random_state=model.seed_, **words).fit(X)
    np.testing.assert_array_equal(model.means_, again.means_)


def test_max_iter_warns():
    near, _ = clusters(300, 2, 3, apart=1.0)
    with pytest.warns(ConvergenceWarning, match=r"max_iter was reached first.*raise max_iter"):
        model = GaussianMixture(3, max_iter=2, tol=0.0, random_state=0).fit(near)
    assert not model.converged_
    assert model.n_iter_ == 2
