"""Data that break careless EM: the likelihood stays monotone, finite, and says what is wrong."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import DataError, DataWarning, DegenerateWarning, GaussianMixture
from tests.strategies import KINDS, clusters, kinds, seeds

EVERY = pytest.mark.parametrize("kind", KINDS)


def fit(X: np.ndarray, K: int, kind: str = "full", **words) -> GaussianMixture:
    words = {"random_state": 0, "tol": 1e-6, "max_iter": 60, **words}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(K, covariance_type=kind, **words).fit(X)


def sound(model: GaussianMixture, X: np.ndarray) -> None:
    """Assert finite parameters, proper weights and outputs without NaN."""
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        assert np.isfinite(getattr(model, name)).all(), name
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-12)
    assert (model.weights_ >= 0).all()
    resp = model.predict_proba(X)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-9)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.lower_bounds_).all()


def monotone(bounds: list[float]) -> None:
    falls = -np.diff(bounds)
    size = np.maximum(1.0, np.abs(bounds[1:]))
    assert (falls <= 1e-9 * size).all(), f"fell by {falls.max():.3g} at {falls.argmax()}"


def hard_rows(seed: int, trouble: str) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n, D = int(rng.integers(12, 60)), int(rng.integers(1, 4))
    X = rng.normal(size=(n, D)) * 10.0 ** rng.integers(-6, 7, D)
    if trouble == "duplicates":
        X[: n // 2] = X[0]
    elif trouble == "flat":
        X[: n // 2, -1] = X[0, -1]
    elif trouble == "outlier":
        X[0] *= 1e8
    elif trouble == "integers":
        X = np.round(X / np.abs(X).max(axis=0) * 3)
        X[0], X[1] = 3.0, -3.0
    elif trouble == "line":
        X[:, -1] = X[:, 0] * 2.0 if D > 1 else X[:, 0]
    return X


@settings(max_examples=60, deadline=None)
@given(
    kind=kinds,
    seed=seeds,
    K=st.integers(1, 6),
    trouble=st.sampled_from(["none", "duplicates", "flat", "outlier", "integers", "line"]),
    init=st.sampled_from(["kmeans", "random_from_data", "k-means||", "random", "k-means++"]),
)
def test_monotone_and_finite_on_hard_data(kind, seed, K, trouble, init):
    X = hard_rows(seed, trouble)
    if init == "random_from_data" and len(np.unique(X, axis=0)) < K:
        return
    if len(np.unique(X, axis=0)) < 2 or (np.ptp(X, axis=0) == 0).any():
        return
    model = fit(X, K, kind, init_params=init)
    sound(model, X)
    monotone(model.lower_bounds_)


@EVERY
def test_duplicated_rows_do_not_explode(kind):
    X, _ = clusters(200, 2, 2)
    X[:60] = [3.0, 4.0]
    model = fit(X, 3, kind)
    sound(model, X)
    monotone(model.lower_bounds_)


def test_a_flat_component_is_named():
    X, _ = clusters(300, 2, 1)
    X[:100] = [30.0, 30.0]
    with pytest.warns(DegenerateWarning, match=r"component 1 is flat"):
        model = GaussianMixture(2, random_state=0).fit(X)
    assert model.candidate_.degenerate


def test_a_sound_restart_beats_a_degenerate_one():
    # a spike of duplicated rows draws an unbounded likelihood; the other optimum is sound
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 1))
    X[:3] = 0.123
    model = GaussianMixture(2, n_init=10, init_params="random_from_data", random_state=0, tol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    broken = [r for r in model.candidate_.restarts if r.problems]
    assert not model.candidate_.best.problems
    assert all(
        r.problems
        for r in model.candidate_.restarts[len(model.candidate_.restarts) - len(broken) :]
    )


@EVERY
@pytest.mark.parametrize("size", [1e8, 1e150])
def test_one_distant_row(kind, size):
    X, _ = clusters(300, 2, 2)
    X[17] = size
    model = fit(X, 3, kind)
    sound_without_units = model.predict_proba(X)
    assert np.isfinite(sound_without_units).all()
    assert np.isfinite(model.means_).all()
    monotone(model.lower_bounds_)
    # the row stands alone
    assert (model.predict(X) == model.predict(X)[17]).sum() == 1


@EVERY
def test_a_component_on_one_distant_row_is_reported(kind):
    X, _ = clusters(300, 2, 2)
    X[17] = 1e8
    if kind == "tied":
        return  # one covariance for all: nothing is flat
    with pytest.warns(DegenerateWarning, match="flat"):
        GaussianMixture(3, covariance_type=kind, random_state=0, max_iter=500).fit(X)


@EVERY
def test_as_many_components_as_rows(kind):
    X = np.random.default_rng(1).normal(size=(6, 2))
    model = fit(X, 6, kind)
    sound(model, X)
    monotone(model.lower_bounds_)


@EVERY
def test_more_components_than_distinct_rows(kind):
    X = np.repeat(np.random.default_rng(1).normal(size=(3, 2)), 20, axis=0)
    model = fit(X, 5, kind)
    sound(model, X)


@EVERY
def test_one_component_is_the_sample_covariance(kind):
    X, _ = clusters(500, 3, 3)
    model = fit(X, 1, kind)
    S = np.cov(X.T, bias=True)
    wanted = {"full": S[None], "tied": S, "diag": np.diag(S)[None], "spherical": [np.trace(S) / 3]}
    np.testing.assert_allclose(model.covariances_, wanted[kind], rtol=1e-12)
    np.testing.assert_allclose(model.means_[0], X.mean(axis=0), rtol=1e-12)
    assert model.converged_
    assert model.n_iter_ <= 3


@EVERY
@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_extreme_units(kind, unit):
    X, _ = clusters(300, 2, 2)
    plain, scaled = fit(X, 2, kind), fit(X * unit, 2, kind)
    np.testing.assert_allclose(scaled.weights_, plain.weights_, rtol=1e-9)
    np.testing.assert_allclose(scaled.means_ / unit, plain.means_, rtol=1e-9)
    np.testing.assert_array_equal(scaled.predict(X * unit), plain.predict(X))
    lost = 2 * np.log(unit)
    assert scaled.lower_bound_ + lost == pytest.approx(plain.lower_bound_, rel=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_units_whose_squares_do_not_exist_are_refused(unit):
    X, _ = clusters(300, 2, 2)
    with pytest.raises(DataError, match=r"float64 cannot hold: x1 from .* Give the column another"):
        GaussianMixture(2).fit(X * np.array([1.0, unit]))


def test_a_constant_column_is_named():
    X, _ = clusters(100, 3, 2)
    X[:, 1] = 4.25
    with pytest.raises(DataError, match=r"1 of 3 columns are constant: x1 \(always 4\.25\)"):
        GaussianMixture(2).fit(X)
    with pytest.warns(DataWarning, match="x1"):
        assert fit(X, 2, reg_covar=1e-6).n_features_in_ == 3
    X[:, 0] = -1.0
    with pytest.raises(DataError, match=r"2 of 3 columns are constant: x0 .*, x1 "):
        GaussianMixture(2).fit(X)


@pytest.mark.parametrize("warm", [False, True])
def test_bad_values_are_counted_with_their_first_row(warm):
    X, _ = clusters(100, 3, 2)
    model = GaussianMixture(2, warm_start=warm, random_state=0).fit(X)
    X[[7, 9, 50], 1] = np.nan
    X[3, 2] = -np.inf
    with pytest.raises(DataError) as raised:
        model.fit(X)
    message = str(raised.value)
    assert "3 of 100 rows have no x1" in message
    assert "first: row 7" in message
    assert "1 of 100 rows have infinite x2" in message
    assert "first: row 3" in message


def test_fewer_rows_than_components():
    with pytest.raises(DataError, match="n_components = 5, n_samples = 4"):
        GaussianMixture(5).fit(np.random.default_rng(0).normal(size=(4, 2)))


def test_equal_given_means_do_not_stay_equal_for_ever():
    """Two components with equal means and precisions: a stationary point, not an optimum."""
    X, _ = clusters(400, 1, 2, apart=20.0)
    model = GaussianMixture(
        2,
        means_init=np.repeat(X.mean(axis=0)[None], 2, axis=0),
        precisions_init=np.full((2, 1, 1), 1 / X.var()),
        weights_init=[0.5, 0.5],
        max_iter=500,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    alone = GaussianMixture(1).fit(X)
    escaped = model.lower_bound_ > alone.lower_bound_ + 0.1
    assert escaped or caught  # it may stay there, but not without a word
