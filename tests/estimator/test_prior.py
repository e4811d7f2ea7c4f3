"""`covariance_prior` in the constructor: mclust's default prior in a fit of one mixture."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask import ConfigError, GaussianMixture, fit_many
from tests.strategies import KINDS, clusters

EVERY = pytest.mark.parametrize("kind", KINDS)
WORDS = {"tol": 1e-9, "max_iter": 2000, "random_state": 3, "init_params": "k-means||"}


@EVERY
def test_the_estimator_finds_what_fit_many_finds(kind):
    X, _ = clusters(300, 3, 3, seed=2)
    plain = {"accelerate": False, "race": False}
    held = fit_many(X, 3, kind, covariance_prior=True, **plain, **WORDS).best
    model = GaussianMixture(3, covariance_type=kind, covariance_prior=True, **WORDS).fit(X)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(model, name), getattr(held, name), rtol=1e-12)
    assert held.covariance_prior
    there = {"means_init": model.means_, "precisions_init": model.precisions_}
    free = GaussianMixture(3, covariance_type=kind, weights_init=model.weights_, **there, **WORDS)
    free.fit(X)  # without the prior the likelihood rises from the same place
    assert free.score(X) > model.score(X)


def test_one_component_is_the_posterior_mode():
    """Fraley and Raftery 2007, equations 14 and 18, with K = 1 and no distance of the means."""
    X, _ = clusters(50, 2, 2, seed=1)
    n, D = X.shape
    model = GaussianMixture(1, covariance_prior=True).fit(X)
    scatter = (X - X.mean(axis=0)).T @ (X - X.mean(axis=0))
    wanted = (scatter / n + scatter) / (D + 2 + D + n + 2)
    np.testing.assert_allclose(model.covariances_[0], wanted, rtol=1e-10)


def test_duplicated_rows_do_not_collapse_a_component():
    X, _ = clusters(300, 2, 1)
    X[:100] = [30.0, 30.0]
    model = GaussianMixture(2, covariance_prior=True, random_state=0).fit(X)
    assert not model.candidate_.degenerate
    assert np.linalg.eigvalsh(model.covariances_).min() > 1e-3


def test_a_stored_model_remembers_its_prior(tmp_path):
    X, _ = clusters(100, 2, 2)
    model = GaussianMixture(2, covariance_prior=True, random_state=0, tol=1e-2).fit(X)
    model.save(tmp_path / "model")
    again = GaussianMixture.load(tmp_path / "model")
    assert again.covariance_prior is True
    np.testing.assert_array_equal(again.covariances_, model.covariances_)


def test_a_prior_and_a_floor_in_numbers_exclude_each_other():
    X, _ = clusters(100, 2, 2)
    with pytest.raises(ConfigError, match="covariance_prior and reg_covar"):
        GaussianMixture(2, covariance_prior=True, reg_covar=1e-3).fit(X)
    with pytest.raises(ConfigError, match="covariance_prior is 'yes'; one of True, False"):
        GaussianMixture(2, covariance_prior="yes").fit(X)
