"""Hard and tempered assignment: k-means as the limit, classification EM, annealed steps."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp, softmax
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import ConfigError, GaussianMixture, KMeans, fit_many
from gmm_dask.blocks import RowLayout
from gmm_dask.families.held import Held
from gmm_dask.fits.em import EM
from gmm_dask.fits.given import Given
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.laws.simple import Equal
from gmm_dask.mixture import m_step
from tests import oracle
from tests.strategies import KINDS, ask, clusters, mixture_near

EVERY = pytest.mark.parametrize("kind", KINDS)


def round_mixture(X: np.ndarray, means: np.ndarray, variance: float, temperature: float):
    """Return equal weights and one spherical covariance, all held: k-means in a mixture's words."""
    K = len(means)
    mixture = replace(mixture_near(X, "spherical", K), law=Equal(), temperature=temperature)
    scale = mixture.frame.scale[0]
    given = Given(
        np.full((1, K), 1.0 / K),
        mixture.frame.forward(means),
        np.full(K, variance / scale**2),
        Held(covariances=tuple(range(K))),
    )
    return given.into(mixture)


def test_k_means_is_the_hard_limit_of_a_mixture():
    X, _ = clusters(600, 3, 5, seed=1, apart=2.0)
    mixture = round_mixture(X, X[:5], 1.0, 0.0)
    for steps in range(1, 9):
        sums = ask(EStep(mixture), X)
        mixture = m_step(mixture, sums)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            theirs = SklearnKMeans(5, init=X[:5], n_init=1, max_iter=steps, tol=0).fit(X)
        np.testing.assert_allclose(mixture.means, theirs.cluster_centers_, rtol=0, atol=1e-12)


def test_soft_assignments_become_k_means_as_the_variance_goes_to_zero():
    """At -2 s^2 l; the soft steps of small variance are those of k-means to exp(-gap / s^2)."""
    X, _ = clusters(400, 2, 4, seed=2, apart=6.0)
    ours = KMeans(4, init=X[:4], tol=0).fit(X)
    for variance, close in ((1e-2, 1e-2), (1e-4, 1e-9)):
        mixture = round_mixture(X, ours.cluster_centers_, variance, 1.0)
        sums = ask(EStep(mixture), X)
        constant = len(X) * (np.log(4) + np.log(2 * np.pi * variance))
        inertia = -2 * variance * (float(sums.log_likelihood) + constant)
        assert inertia == pytest.approx(ours.inertia_, rel=close)
        after = m_step(mixture, sums)
        np.testing.assert_allclose(after.means, ours.cluster_centers_, atol=10 * close)


def densities(mixture, X: np.ndarray) -> np.ndarray:
    return oracle.log_joint(
        oracle.Oracle(mixture.weights[0], mixture.means, mixture.dense_covariances), X
    )


@EVERY
@pytest.mark.parametrize("temperature", [0.0, 0.1, 0.5, 1.0])
def test_steps_at_a_temperature_against_the_textbook(kind, temperature):
    X, _ = clusters(200, 3, 4, seed=3, apart=1.5)
    mixture = replace(mixture_near(X, kind, 4), temperature=temperature)
    sums = ask(EStep(mixture), X, cuts=(1, 77))
    g = densities(mixture, X)
    if temperature:
        resp = softmax(g / temperature, axis=1)
        objective = temperature * logsumexp(g / temperature, axis=1).sum()
    else:
        resp = (g == g.max(axis=1, keepdims=True)).astype(float)
        objective = g.max(axis=1).sum()
    assert float(sums.log_likelihood) == pytest.approx(objective, rel=1e-11)
    np.testing.assert_allclose(sums.count[0], resp.sum(axis=0), rtol=1e-11)
    after, expected = m_step(mixture, sums), oracle.m_step(kind, X, resp)
    np.testing.assert_allclose(after.means, expected.means, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(after.dense_covariances, expected.matrices, atol=1e-9)


@EVERY
@pytest.mark.parametrize("temperature", [0.0, 0.3])
@pytest.mark.parametrize("missing", [False, True])
def test_each_step_raises_what_it_maximises(kind, temperature, missing):
    X, _ = clusters(400, 2, 4, seed=4, apart=2.0)
    rows = None
    if missing:
        X = X.copy()
        X[::4, 1] = np.nan
        X = np.column_stack([X, np.random.default_rng(0).integers(1, 4, len(X))])
        rows = RowShare.all_rows(RowLayout(2, sample_weight=True, missing=True))
    complete = X[~np.isnan(X).any(axis=1), :2]
    mixture = replace(mixture_near(complete, kind, 4), temperature=temperature)
    fit = EM(mixture, 1e-10, 300, rows)
    while fit.outcome is None:
        fit = fit.tell(ask(fit.ask(), X))
    assert (np.diff(fit.lower_bounds) > -1e-12).all()
    assert len(fit.lower_bounds) > 3


@EVERY
def test_hard_fits_end_at_a_partition(kind):
    """Labels, parameters and objective agree with each other, as one loop over rows finds them."""
    X, _ = clusters(500, 2, 3, seed=5, apart=3.0)
    model = GaussianMixture(
        3, covariance_type=kind, assignment="hard", random_state=0, tol=1e-9, max_iter=500
    ).fit(X)
    assert model.converged_
    label = model.predict(X)
    np.testing.assert_allclose(model.weights_, np.bincount(label) / len(X), rtol=1e-12)
    for k in range(3):
        np.testing.assert_allclose(model.means_[k], X[label == k].mean(axis=0), rtol=1e-10)
    g = densities(model.mixture_, X)
    assert model.lower_bound_ == pytest.approx(g.max(axis=1).mean(), rel=1e-10)
    # criteria are those of the mixture at these parameters
    assert model.score(X) == pytest.approx(logsumexp(g, axis=1).mean(), rel=1e-10)
    assert model.lower_bound_ < model.score(X)


def test_integer_weights_are_repeated_rows():
    X, _ = clusters(200, 2, 3, seed=6, apart=3.0)
    weight = np.random.default_rng(1).integers(0, 4, len(X))
    words = {"assignment": "hard", "means_init": X[:3], "weights_init": np.full(3, 1 / 3)}
    words |= {"precisions_init": np.repeat(np.eye(2)[None], 3, axis=0), "max_iter": 200}
    one = GaussianMixture(3, **words).fit(X, sample_weight=weight.astype(float))
    two = GaussianMixture(3, **words).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(one.means_, two.means_, rtol=1e-10)
    assert one.lower_bound_ == pytest.approx(two.lower_bound_, rel=1e-11)


def test_hard_goes_with_a_grid_and_with_what_is_held():
    X, _ = clusters(600, 2, 3, seed=7, apart=9.0)
    found = fit_many(X, [2, 3], assignment="hard", accelerate=False, n_init=3, random_state=0)
    assert found.best.n_components == 3
    assert found.best.assignment == "hard"
    held = fit_many(
        X,
        3,
        assignment="hard",
        accelerate=False,
        random_state=0,
        start_from=found.best,
        frozen={1: ["mean"]},
    )
    np.testing.assert_array_equal(held.best.means_[1], found.best.means_[1])


def test_a_saved_model_stays_hard(tmp_path):
    X, _ = clusters(200, 2, 2, seed=8)
    model = GaussianMixture(2, assignment="hard", random_state=0).fit(X)
    model.save(tmp_path / "m.zarr")
    loaded = GaussianMixture.load(tmp_path / "m.zarr")
    assert loaded.assignment == "hard"
    assert loaded.mixture_.temperature == 0.0


def test_what_makes_no_sense_is_refused():
    X, _ = clusters(100, 2, 2)
    with pytest.raises(ConfigError, match="errors of their own"):
        GaussianMixture(2, assignment="hard").fit(X, noise=np.full(X.shape, 0.1))
    with pytest.raises(ConfigError, match="labels jump"):
        fit_many(X, 2, assignment="hard")
    with pytest.raises(ConfigError, match="one of soft, hard"):
        GaussianMixture(2, assignment="firm").fit(X)
    with pytest.raises(ConfigError, match="temperature is 2"):
        replace(mixture_near(X, "full", 2), temperature=2.0)
