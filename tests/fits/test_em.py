"""EM pass by pass against scikit-learn, and what must not change the answer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture

from gmm_dask import GaussianMixture
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.em import EM
from tests.strategies import KINDS, ask, clusters, mixture_near

EVERY = pytest.mark.parametrize("kind", KINDS)


def start(X: np.ndarray, kind: str, K: int, seed: int = 0) -> dict:
    """Return a start in scikit-learn's words, away from any optimum."""
    rng = np.random.default_rng(seed)
    D = X.shape[1]
    A = rng.normal(0, 0.2, (K, D, D)) + np.eye(D)
    full = A @ A.transpose(0, 2, 1)
    diagonal = np.diagonal(full, axis1=1, axis2=2)
    shapes = {"full": full, "tied": full[0], "diag": diagonal, "spherical": diagonal[:, 0]}
    return {
        "weights_init": rng.dirichlet(np.full(K, 9.0)),
        "means_init": X[rng.choice(len(X), K, replace=False)],
        "precisions_init": np.array(shapes[kind]),
    }


def run(maker, X: np.ndarray, **words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return maker(3, **words).fit(X)


def by_mean(model) -> np.ndarray:
    return np.argsort(model.means_[:, 0])


def compare(ours, theirs, kind: str, rtol: float) -> None:
    """Assert equal parameters up to the order of the components."""
    a, b = by_mean(ours), by_mean(theirs)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        x, y = getattr(ours, name), getattr(theirs, name)
        if not (kind == "tied" and name not in ("weights_", "means_")):
            x, y = x[a], y[b]
        np.testing.assert_allclose(x, y, rtol=0, atol=rtol * np.abs(y).max(), err_msg=name)


@EVERY
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 0.3])
@pytest.mark.parametrize("passes", [1, 5, 20])
def test_every_pass_equals_scikit_learn(kind, reg_covar, passes):
    X, _ = clusters(500, 3, 3, seed=3, apart=4.0)
    X = X - X.mean(axis=0)  # scikit-learn's tied and diag sums lose digits far from the origin
    words = {
        "covariance_type": kind,
        "reg_covar": reg_covar,
        "max_iter": passes,
        "tol": 0.0,
        **start(X, kind, 3),
    }
    ours, theirs = run(GaussianMixture, X, **words), run(SklearnMixture, X, **words)
    assert ours.n_iter_ == theirs.n_iter_ == passes
    compare(ours, theirs, kind, 1e-10)
    np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-10)
    assert ours.score(X) == pytest.approx(theirs.score(X), rel=1e-10)
    assert ours.bic(X) == pytest.approx(theirs.bic(X), rel=1e-10)


@EVERY
def test_passes_equal_scikit_learn_in_uneven_units(kind):
    X, _ = clusters(400, 2, 3, seed=8, apart=4.0)
    X = (X - X.mean(axis=0)) * np.array([1e-3, 250.0])
    if kind == "spherical":
        X[:, 0] *= 1e5
    words = {"covariance_type": kind, "reg_covar": 1e-9, "max_iter": 5, "tol": 0.0}
    words["weights_init"], words["means_init"] = [0.3, 0.3, 0.4], X[[0, 100, 200]]
    variance = X.var(axis=0)
    precisions = {
        "full": np.repeat(np.diag(1 / variance)[None], 3, axis=0),
        "tied": np.diag(1 / variance),
        "diag": np.repeat(1 / variance[None], 3, axis=0),
        "spherical": np.full(3, 1 / variance.mean()),
    }
    words["precisions_init"] = precisions[kind]
    compare(run(GaussianMixture, X, **words), run(SklearnMixture, X, **words), kind, 1e-10)


@EVERY
@pytest.mark.parametrize("passes", [1, 5])
def test_given_means_alone_keep_the_rest_of_the_start(kind, passes):
    X, _ = clusters(300, 2, 3, seed=4, apart=9.0)
    words = {"covariance_type": kind, "reg_covar": 1e-6, "max_iter": passes, "tol": 0.0}
    words["means_init"] = np.array([X[:100].mean(axis=0), X[0], X[-1]])
    words["random_state"] = 0
    ours = run(GaussianMixture, X, **words)
    assert ours.n_iter_ == passes
    assert np.isfinite(ours.lower_bound_)


@EVERY
def test_the_optimum_equals_scikit_learn(kind):
    X, _ = clusters(600, 2, 3, seed=1, apart=8.0)
    words = {"covariance_type": kind, "tol": 1e-12, "max_iter": 2000, "random_state": 0}
    ours = run(GaussianMixture, X, reg_covar=0.0, **words)
    theirs = run(SklearnMixture, X, reg_covar=0.0, n_init=3, **words)
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-9)
    compare(ours, theirs, kind, 1e-5)


def test_outcomes():
    X, _ = clusters(200, 2, 3)
    fit = EM(mixture_near(X, "full", 3), tol=1e-3, max_iter=2)
    for _ in range(2):
        assert fit.outcome is None
        fit = fit.tell(ask(fit.ask(), X))
    assert fit.outcome is Outcome.MAX_ITER
    assert fit.n_iter == 2
    longer = fit.extended(1e-3, 100)
    assert longer.outcome is None
    while longer.outcome is None:
        longer = longer.tell(ask(longer.ask(), X))
    assert longer.outcome is Outcome.CONVERGED
    assert longer.extended(1e-3, 5).outcome is Outcome.CONVERGED
    assert longer.extended(1e-12, 100).outcome is None


def test_a_singular_covariance_ends_one_fit_with_its_last_sound_mixture():
    X = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    mixture = mixture_near(X, "full", 1, reg_covar=0.0)
    fit = EM(mixture, 1e-3, 10).tell(ask(EM(mixture, 1e-3, 10).ask(), X))
    assert fit.outcome is Outcome.DEGENERATE
    assert fit.mixture is mixture
    assert fit.extended(1e-6, 1000).outcome is Outcome.DEGENERATE


def test_sums_that_are_not_finite_end_a_fit():
    X, _ = clusters(100, 2, 2)
    X[3, 1] = np.nan
    mixture = mixture_near(np.nan_to_num(X), "full", 2)
    fit = EM(mixture, 1e-3, 10)
    fit = fit.tell(ask(fit.ask(), X))
    assert fit.outcome is Outcome.DEGENERATE
