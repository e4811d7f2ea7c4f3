"""The relative floor is the exact constrained maximiser; the ridge is scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import minimize

from gmm_dask.families.floors import RelativeFloor, Ridge
from tests.strategies import seeds


def objective(S: np.ndarray, W: np.ndarray) -> float:
    """Return -2/n times the expected log-likelihood of scatter W/n under covariance S."""
    return float(np.linalg.slogdet(S)[1] + np.trace(np.linalg.solve(S, W)))


def numerical(W: np.ndarray, variance: np.ndarray, fraction: float, seed: int) -> float:
    """Return the smallest objective found over S = V^(1/2) (f I + L L^T) V^(1/2)."""
    root = np.sqrt(np.outer(variance, variance))

    def value(t: np.ndarray) -> float:
        lower = np.array([[t[0], 0.0], [t[1], t[2]]])
        return objective((fraction * np.eye(2) + lower @ lower.T) * root, W)

    starts = np.random.default_rng(seed).normal(size=(6, 3))
    options = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000}
    return min(minimize(value, t, method="Nelder-Mead", options=options).fun for t in starts)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lowest", [0.0, 1e-3, 0.05])
def test_full_is_the_constrained_maximiser(seed, lowest):
    rng = np.random.default_rng(seed)
    variance = rng.uniform(0.3, 3.0, 2)
    basis, _ = np.linalg.qr(rng.normal(size=(2, 2)))
    scaled = basis @ np.diag([lowest, rng.uniform(0.02, 1.0)]) @ basis.T
    W = scaled * np.sqrt(np.outer(variance, variance))
    floor = RelativeFloor(variance, 0.1)
    S = floor.full(W[None])[0]
    np.testing.assert_array_equal(S, S.T)
    relative = np.linalg.eigvalsh(S / np.sqrt(np.outer(variance, variance)))
    assert relative[0] >= 0.1 * (1 - 1e-12)
    found = numerical(W, variance, 0.1, seed)
    assert objective(S, W) <= found + 1e-9  # never worse than the search
    assert found <= objective(S, W) + 1e-5  # and the search does come there


def test_the_numerical_maximiser_notices_another_rule():
    # clipping in the raw frame instead of the scaled one is worse or breaks the bound
    variance = np.array([1.0, 9.0])
    W = np.array([[0.5, 1.4], [1.4, 4.0]])
    values, vectors = np.linalg.eigh(W)
    raw = (vectors * np.maximum(values, 0.1 * variance.max())) @ vectors.T
    assert objective(raw, W) > numerical(W, variance, 0.1, 0) + 1e-3


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_no_matrix_above_the_floor_is_better(seed):
    rng = np.random.default_rng(seed)
    D = int(rng.integers(1, 5))
    A = rng.normal(size=(D, D)) * rng.choice([1e-3, 0.1, 1.0], D)
    W, variance = A @ A.T, rng.uniform(0.25, 4.0, D)
    root = np.sqrt(np.outer(variance, variance))
    S = RelativeFloor(variance, 0.05).full(W[None])[0]
    best = objective(S, W)
    for _ in range(20):
        B = rng.normal(size=(D, D)) * rng.choice([0.0, 0.1, 1.0])
        other = (0.05 * np.eye(D) + B @ B.T) * root
        t = rng.uniform()
        for trial in (other, t * S + (1 - t) * other):  # the set is convex
            assert best <= objective(trial, W) + 1e-9 * max(1.0, abs(best))


def test_sound_matrices_come_back_bit_for_bit():
    floor = RelativeFloor(np.array([1.0, 2.0]))
    S = np.stack([np.eye(2), np.diag([1.0, 0.0]), [[1.0, 0.5], [0.5, 1.0]]])
    clipped = floor.full(S)
    np.testing.assert_array_equal(clipped[[0, 2]], S[[0, 2]])
    np.testing.assert_allclose(clipped[1], np.diag([1.0, 2e-6]), rtol=1e-12)
    assert floor.full(S[[0, 2]]) is not None
    np.testing.assert_array_equal(floor.full(S[[0, 2]]), S[[0, 2]])


def test_diag_and_spherical_are_clipped():
    floor = RelativeFloor(np.array([1.0, 3.0]), 0.1)
    np.testing.assert_allclose(floor.diag(np.array([[0.0, 0.5]])), [[0.1, 0.5]])
    np.testing.assert_allclose(floor.spherical(np.array([0.0, 0.5])), [0.2, 0.5])


def test_touches_is_one_on_the_floor():
    floor = RelativeFloor(np.array([1.0, 4.0]), 1e-3)
    S = np.stack([np.diag([1e-3, 1.0]), np.diag([1.0, 8e-3])])
    np.testing.assert_allclose(floor.touches(S), [1.0, 2.0], rtol=1e-10)


def test_ridge_adds_to_every_diagonal():
    ridge = Ridge(np.array([0.1, 0.2]), np.ones(2))
    np.testing.assert_allclose(
        ridge.full(np.ones((1, 2, 2))), [[[1.1, 1.0], [1.0, 1.2]]], rtol=1e-15
    )
    np.testing.assert_allclose(ridge.diag(np.ones((1, 2))), [[1.1, 1.2]])
    np.testing.assert_allclose(ridge.spherical(np.ones(1)), [1.15])
    assert ridge.touches(np.diag([0.1, 5.0])[None]) == pytest.approx([1.0])


def test_ridge_of_zero_still_notices_singularity():
    ridge = Ridge(np.zeros(2), np.array([1.0, 1.0]))
    assert ridge.touches(np.diag([1.0, 0.0])[None])[0] < 1.01
    assert ridge.touches(np.eye(2)[None])[0] > 1.01
