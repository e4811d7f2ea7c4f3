"""Bhattacharyya coefficients against quadrature and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from gmm_dask import bhattacharyya


def covariance(D: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(D, D))
    return root @ root.T + 0.2 * np.eye(D)


def test_one_dimension_is_the_integral_of_the_root_of_the_product() -> None:
    means, variances = np.array([[0.0], [1.3], [-4.0]]), np.array([[[1.0]], [[0.3]], [[6.0]]])
    found = bhattacharyya(means, variances)
    for a in range(3):
        for b in range(3):
            p, q = (norm(means[i, 0], variances[i, 0, 0] ** 0.5).pdf for i in (a, b))
            integral = quad(lambda x, p=p, q=q: np.sqrt(p(x) * q(x)), -40, 40, limit=400)[0]
            assert found[a, b] == pytest.approx(integral, abs=1e-8)


def test_several_dimensions_by_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(2, 3))
    covariances = np.stack([covariance(3, 1), covariance(3, 2)])
    from scipy.stats import multivariate_normal as normal

    first, second = (normal(m, S) for m, S in zip(means, covariances, strict=True))
    rows = first.rvs(200_000, random_state=rng)
    ratio = np.exp(0.5 * (second.logpdf(rows) - first.logpdf(rows)))
    error = ratio.std() / np.sqrt(len(rows))
    told = bhattacharyya(means, covariances)[0, 1]
    assert told == pytest.approx(ratio.mean(), abs=5 * error)
    assert 0.05 < told < 0.95


def test_laws() -> None:
    means = np.random.default_rng(4).normal(0, 2, (6, 4))
    covariances = np.stack([covariance(4, seed) for seed in range(6)])
    found = bhattacharyya(means, covariances)
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diagonal(found), np.ones(6))
    assert ((found >= 0) & (found <= 1)).all()
    # an invertible affine map changes nothing
    A = np.random.default_rng(5).normal(size=(4, 4))
    moved = bhattacharyya(means @ A.T + 7, A @ covariances @ A.T)
    assert np.allclose(moved, found, atol=1e-12)


def test_equal_components_overlap_wholly_and_distant_ones_not_at_all() -> None:
    same = np.zeros((2, 2))
    unit = np.repeat(np.eye(2)[None], 2, axis=0)
    assert bhattacharyya(same, unit)[0, 1] == 1.0
    assert bhattacharyya(np.array([[0.0, 0.0], [1e6, 0.0]]), unit)[0, 1] == 0.0


def test_one_component() -> None:
    assert np.array_equal(bhattacharyya(np.zeros((1, 2)), np.eye(2)[None]), [[1.0]])
