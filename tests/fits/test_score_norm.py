"""The score norm against gradients and information taken by differences, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gmm_dask.blocks import Frame
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.fits.coordinates import Coordinates
from gmm_dask.fits.score_norm import score_norm
from gmm_dask.folds.e_step import EStep
from gmm_dask.mixture import Mixture, m_step
from tests.strategies import KINDS, ask, clusters, mixture_near

EVERY = pytest.mark.parametrize("kind", KINDS)
X, _ = clusters(400, 2, 2, seed=6, apart=3.0)


def without_floor(mixture: Mixture) -> Mixture:
    """Return the mixture in source units, with a floor that nothing touches."""
    D = mixture.n_columns
    frame = Frame.identity(D)
    params = GaussianParams(mixture.means, mixture.covariances)
    kind = mixture.family.covariance_type
    return Mixture(Gaussian(kind, RelativeFloor(np.ones(D), 1e-12)), params, mixture.weights, frame)


def step(mixture: Mixture, rows: np.ndarray = X) -> Mixture:
    return m_step(mixture, ask(EStep(mixture), rows))


def packed(mixture: Mixture) -> np.ndarray:
    """Return the free parameters: all weights but the last, means, covariances (lower parts)."""
    S, kind = mixture.params.covariances, mixture.family.covariance_type
    low = np.tril_indices(mixture.n_columns)
    shape = {"full": lambda: S[:, *low], "tied": lambda: S[low]}.get(kind, lambda: S)()
    return np.concatenate([mixture.weights[0, :-1], mixture.params.means.ravel(), np.ravel(shape)])


def unpacked(kind: str, theta: np.ndarray, K: int, D: int) -> tuple[np.ndarray, ...]:
    """Return weights (K,), means (K, D) and covariance matrices (K, D, D)."""
    first, means, rest = np.split(theta, [K - 1, K - 1 + K * D])
    weights = np.append(first, 1 - first.sum())
    if kind in ("full", "tied"):
        low, full = np.tril_indices(D), rest.reshape(K if kind == "full" else 1, -1)
        S = np.zeros((len(full), D, D))
        S[:, low[0], low[1]] = full
        S[:, low[1], low[0]] = full
        S = np.broadcast_to(S, (K, D, D))
    else:
        variances = rest.reshape(K, -1) * np.ones(D)
        S = variances[:, :, None] * np.eye(D)
    return weights, means.reshape(K, D), S


def log_likelihood(kind: str, theta: np.ndarray) -> float:
    """Return the log-likelihood per row of X, by scipy."""
    weights, means, S = unpacked(kind, theta, 2, 2)
    density = sum(
        w * multivariate_normal(m, s).pdf(X) for w, m, s in zip(weights, means, S, strict=True)
    )
    return float(np.log(density).mean())


def divergence(kind: str, theta: np.ndarray, other: np.ndarray) -> float:
    """Return Kullback and Leibler's divergence of labelled rows: half its curvature is I_c / N."""
    w, m, S = unpacked(kind, theta, 2, 2)
    v, n, T = unpacked(kind, other, 2, 2)
    total = float((w * np.log(w / v)).sum())
    for k in range(2):
        inverse, away = np.linalg.inv(T[k]), n[k] - m[k]
        shape = np.trace(inverse @ S[k]) - 2 + np.linalg.slogdet(T[k])[1]
        total += w[k] * 0.5 * (shape - np.linalg.slogdet(S[k])[1] + away @ inverse @ away)
    return total


def curvature(function: Callable[[np.ndarray], float], at: np.ndarray, h: float) -> np.ndarray:
    """Return second derivatives by central differences."""
    moves = h * np.eye(len(at))
    return np.array(
        [
            [
                function(at + a + b) - function(at + a - b)
                - function(at - a + b) + function(at - a - b)
                for b in moves
            ]
            for a in moves
        ]
    ) / (4 * h * h)  # fmt: skip


@EVERY
def test_it_is_the_score_in_the_metric_of_the_complete_data(kind):
    mixture = without_floor(mixture_near(X, kind, 2, seed=4))
    theta = packed(mixture)
    moves = 1e-5 * np.eye(len(theta))
    score = [
        (log_likelihood(kind, theta + a) - log_likelihood(kind, theta - a)) / 2e-5 for a in moves
    ]
    information = curvature(lambda other: divergence(kind, theta, other), theta, 1e-3)
    expected = score @ np.linalg.solve(information, score)
    # differences of 1e-3 in parameters of order one: 1e-6 of the curvature, times its 4th order
    assert score_norm(mixture, step(mixture)) == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01  # far from the optimum: the formula is exact, not a first order


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_affine_maps_change_nothing(kind):
    rng = np.random.default_rng(0)
    A = {
        "full": rng.normal(size=(2, 2)) * [[3.0], [1e-3]],
        "tied": rng.normal(size=(2, 2)) * [[3.0], [1e-3]],
        "diag": np.diag([1e-3, 50.0]),
        "spherical": 7.0 * np.linalg.qr(rng.normal(size=(2, 2)))[0],
    }[kind]

    def mapped(mixture: Mixture) -> Mixture:
        S = mixture.params.covariances
        new = {
            "full": lambda: A @ S @ A.T,
            "tied": lambda: A @ S @ A.T,
            "diag": lambda: S * np.diagonal(A) ** 2,
            "spherical": lambda: S * 49.0,
        }[kind]()
        return replace(mixture, params=GaussianParams(mixture.params.means @ A.T + 5.0, new))

    mixture = without_floor(mixture_near(X, kind, 2, seed=4))
    after = step(mixture)
    # a determinant of 1e-3 to 1e-2 costs some digits of the whitening
    assert score_norm(mapped(mixture), mapped(after)) == pytest.approx(
        score_norm(mixture, after), rel=1e-7
    )


@EVERY
def test_one_step_gains_between_half_of_it_and_all_of_it(kind):
    """And half of it is never more than the gap to the optimum."""
    rows, _ = clusters(800, 2, 3, seed=3, apart=3.0)
    mixture = mixture_near(rows, kind, 3)
    bounds, norms = [], []
    for _ in range(400):
        sums = ask(EStep(mixture), rows)
        following = m_step(mixture, sums)
        bounds.append(float(sums.log_likelihood) / len(rows))
        norms.append(score_norm(mixture, following))
        mixture = following
    gains = np.diff(bounds)
    near = (gains < 1e-4) & (gains > 1e-9)  # steps of 1e-2 deviations and less: third order 1 %
    assert near.sum() > 5
    ratio = gains[near] / np.array(norms[:-1])[near]
    assert ratio.min() > 0.5 * 0.98
    assert ratio.max() < 1.02
    gap = bounds[-1] - np.array(bounds)
    assert (gap[:-1][near] > 0.49 * np.array(norms[:-1])[near]).all()


@EVERY
def test_it_is_the_squared_step_in_the_coordinates_of_extrapolations(kind):
    rows, _ = clusters(800, 2, 3, seed=3, apart=3.0)
    mixture = mixture_near(rows, kind, 3)
    for _ in range(30):
        mixture = step(mixture, rows)
    coordinates = Coordinates(mixture)
    after = step(mixture, rows)
    length = np.linalg.norm(coordinates.pack(after) - coordinates.pack(mixture))
    # equal to first order of the step
    assert length**2 == pytest.approx(score_norm(mixture, after), rel=10 * length + 1e-9)


@EVERY
def test_a_component_without_rows_adds_nothing(kind):
    mixture = mixture_near(X, kind, 3)
    empty = replace(mixture, weights=np.array([[0.5, 0.5, 0.0]]))
    assert score_norm(empty, empty) == pytest.approx(0.0, abs=1e-25)
    moved = empty.params.means.copy()
    moved[2] += 3.0
    after = replace(empty, params=empty.params._replace(means=moved))
    assert score_norm(empty, after) == pytest.approx(0.0, abs=1e-25)
