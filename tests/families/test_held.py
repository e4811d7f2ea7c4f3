"""Constraints on families and weights, apart from any fit."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask import ConfigError, fit_many
from gmm_dask.families.held import Held, check_held
from gmm_dask.laws.held import HeldWeights
from tests.strategies import clusters


@pytest.mark.parametrize("groups", [1, 3])
def test_held_weights_maximise_what_is_left(groups):
    rng = np.random.default_rng(0)
    count = rng.uniform(1, 50, (groups, 5))
    law = HeldWeights((1, 3), (0.125, 0.3))
    weights = law.weights(count)
    np.testing.assert_array_equal(weights[:, [1, 3]], [[0.125, 0.3]] * groups)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-15)
    best = (count * np.log(weights)).sum(axis=1)
    for _ in range(50):
        other = law.weights(count * rng.uniform(0.5, 2.0, count.shape))
        assert ((count * np.log(other)).sum(axis=1) <= best + 1e-12).all()
    assert law.n_free(5) == 2
    np.testing.assert_array_equal(law.project(weights)[:, [1, 3]], weights[:, [1, 3]])


def test_weights_without_rows_and_without_freedom():
    law = HeldWeights((0,), (0.5,))
    np.testing.assert_allclose(law.weights(np.array([[7.0, 0, 0]])), [[0.5, 0.25, 0.25]])
    assert HeldWeights((0,), (0.5,)).n_free(2) == 0
    assert HeldWeights((0, 1), (0.5, 0.5)).n_free(2) == 0
    with pytest.raises(ConfigError, match=r"their sum is 0\.7"):
        HeldWeights((0, 1), (0.5, 0.2)).n_free(2)
    with pytest.raises(ConfigError, match="at most 1"):
        HeldWeights((0, 1), (0.5, 0.8))
    with pytest.raises(ConfigError, match="component 4"):
        HeldWeights((4,), (0.5,)).n_free(2)


def test_constraints_are_checked_against_the_mixture():
    check_held(Held(covariances=(0, 1, 2)), 3, "tied")
    for held, kind, match in (
        (Held(covariances=(0,)), "tied", "for all of them or for none"),
        (Held(means=(3,)), "full", "component 3 is named; there are 3"),
        (Held(covariances=(0,), equal_covariances=((0, 1),)), "full", "constrained twice"),
    ):
        with pytest.raises(ConfigError, match=match):
            check_held(held, 3, kind)


def test_a_prior_goes_with_held_covariances_and_not_with_held_means():
    X, _ = clusters(300, 2, 2, seed=1)
    start = fit_many(X, 2, covariance_prior=True, random_state=0).best
    words = {"start_from": start, "covariance_prior": True, "random_state": 0}
    held = fit_many(X, [2, 3], frozen={0: ["covariance", "weight"]}, **words)
    for model in held.models:
        np.testing.assert_array_equal(model.covariances_[0], start.covariances_[0])
        assert model.weights_[0] == start.weights_[0]
        assert (np.diff(model.lower_bounds_) > -1e-10).all()
    with pytest.raises(ConfigError, match="covariance_prior draws means"):
        fit_many(X, 2, frozen={0: ["mean"]}, **words)
