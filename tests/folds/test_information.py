"""Scores and Hessians against finite differences of a likelihood written again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gmm_dask.blocks import Frame, Observed, RowLayout
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import COVARIANCE_TYPES, Gaussian, GaussianParams
from gmm_dask.folds.information import Information
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture
from tests.strategies import ask

K, D, N = 2, 2, 7
SCALE, SHIFT = np.array([0.5, 4.0]), np.array([10.0, -3.0])


def mixture_of(kind: str, seed: int = 0) -> Mixture:
    """A mixture whose first weight is the smaller one, in a frame that stretches."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(K, D, D))
    full = half @ half.transpose(0, 2, 1) + 0.4 * np.eye(D)
    variances = np.diagonal(full, axis1=1, axis2=2)
    S = {"full": full, "tied": full[0], "diag": variances, "spherical": variances[:, 0]}[kind]
    scale = np.full(D, 2.0) if kind == "spherical" else SCALE
    frame = Frame(SHIFT, scale, np.eye(D), np.zeros(D))
    params = GaussianParams(rng.normal(size=(K, D)), S.copy())
    family = Gaussian(kind, RelativeFloor(np.ones(D)))
    return Mixture(family, params, np.array([[0.3, 0.7]]), frame)


def rows_of(mixture: Mixture, *, holes: bool, noise: str, weighted: bool, n: int = N) -> Observed:
    rng = np.random.default_rng(5)
    scale = mixture.frame.scale
    values = mixture.frame.backward(1.3 * rng.normal(size=(n, D)))
    C = None
    if noise == "diag":
        C = rng.gamma(1.0, size=(n, D)) * scale**2
        C[0] = 0.0
    elif noise == "full":
        half = rng.normal(size=(n, D, D)) * scale[:, None]
        C = half @ half.transpose(0, 2, 1)
    if holes:
        values[2:4, 0] = np.nan
        values[1, 1] = np.nan
        values[4] = np.nan
    return Observed(values, rng.gamma(2.0, size=n) if weighted else None, C)


def share_of(rows: Observed) -> RowShare | None:
    noise = {0: "", 2: "diag", 3: "full"}[0 if rows.noise is None else rows.noise.ndim]
    holes = bool(np.isnan(rows.values).any())
    return RowShare.all_rows(RowLayout(D, rows.sample_weight is not None, noise, holes))


def moved(mixture: Mixture, kind: str, point: np.ndarray):
    """Weights, means and covariances in source units at some coordinates, by their definition."""
    scale, S = mixture.frame.scale, mixture.family.dense(mixture.params)
    logits = np.log(mixture.weights[0]) + np.array([point[0], 0.0])  # the larger one is held
    share = np.exp(logits) / np.exp(logits).sum()
    a, b = point[1 : 1 + K * D].reshape(K, D), point[1 + K * D :]
    means, matrices = [], []
    for k in range(K):
        L = np.linalg.cholesky(S[k])
        own = b if kind == "tied" else b.reshape(K, -1)[k]
        if kind in ("full", "tied"):
            B = np.array([[own[0], own[1]], [own[1], own[2]]])
        else:
            B = np.diag(np.broadcast_to(own, D))
        means.append(SHIFT + scale * (mixture.params.means[k] + L @ a[k]))
        matrices.append(np.outer(scale, scale) * (S[k] + L @ B @ L.T))
    return share, means, matrices


def log_density(rows: Observed, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Log density of what was observed of each row: the first column, then the second given it."""
    T = np.broadcast_to(covariance, (len(rows.values), D, D)).copy()
    if rows.noise is not None:
        T += rows.noise[:, :, None] * np.eye(D) if rows.noise.ndim == 2 else rows.noise
    away = rows.values - mean
    seen = ~np.isnan(away)
    found = np.where(seen[:, 0], normal(away[:, 0], T[:, 0, 0]), 0.0)
    slope = np.where(seen[:, 0], T[:, 0, 1] / T[:, 0, 0], 0.0)
    rest = away[:, 1] - slope * np.nan_to_num(away[:, 0])
    given = normal(rest, T[:, 1, 1] - slope * T[:, 0, 1])
    return found + np.where(seen[:, 1], given, 0.0)


def normal(away: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return -0.5 * (away**2 / variance + np.log(2 * np.pi * variance))


def log_likelihoods(parameters, rows: Observed) -> np.ndarray:
    """Log density of each row, (n,); 0 of a row without any value."""
    parts = [np.log(w) + log_density(rows, m, S) for w, m, S in zip(*parameters, strict=True)]
    return np.logaddexp(*parts)


def test_the_densities_above_are_those_of_scipy():
    rows = rows_of(mixture_of("full"), holes=True, noise="full", weighted=False)
    mean, S = np.array([9.0, -2.0]), np.array([[2.0, 0.7], [0.7, 5.0]])
    for i, found in enumerate(log_density(rows, mean, S)):
        seen = np.flatnonzero(~np.isnan(rows.values[i]))
        T = (S + rows.noise[i])[np.ix_(seen, seen)]
        expected = (
            multivariate_normal.logpdf(rows.values[i, seen], mean[seen], T) if len(seen) else 0
        )
        assert found == pytest.approx(expected, abs=1e-12)


def differences(function, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian of a vector of values by central differences, extrapolated once."""

    def at(h: float):
        e = np.eye(size) * h
        plus, minus = [function(x) for x in e], [function(-x) for x in e]
        middle = function(np.zeros(size))
        gradient = np.array([(p - m) / (2 * h) for p, m in zip(plus, minus, strict=True)])
        hessian = np.empty((size, size, *middle.shape))
        for i in range(size):
            hessian[i, i] = (plus[i] + minus[i] - 2 * middle) / h**2
            for j in range(i):
                both = function(e[i] + e[j]) + function(-e[i] - e[j])
                apart = function(e[i] - e[j]) + function(e[j] - e[i])
                hessian[i, j] = hessian[j, i] = (both - apart) / (4 * h**2)
        return gradient, hessian

    coarse, fine = at(2e-3), at(1e-3)
    return tuple((4 * f - c) / 3 for f, c in zip(fine, coarse, strict=True))


CASES = {
    "complete": {"holes": False, "noise": "", "weighted": False},
    "weights": {"holes": False, "noise": "", "weighted": True},
    "holes": {"holes": True, "noise": "", "weighted": True},
    "variances": {"holes": False, "noise": "diag", "weighted": False},
    "all at once": {"holes": True, "noise": "full", "weighted": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_derivatives_are_those_of_the_likelihood(kind, case):
    """Truncation of the stencil is h^4, rounding eps / h^2: 1e-9 of sums near 30."""
    mixture = mixture_of(kind)
    rows = rows_of(mixture, **CASES[case])
    share = share_of(rows)
    numbers = rows.values if share is None else share.layout.join(rows)
    found = ask(Information(mixture, share), numbers, cuts=[3, 4])
    weight = np.ones(N) if rows.sample_weight is None else rows.sample_weight

    def by_row(point):
        return log_likelihoods(moved(mixture, kind, point), rows)

    gradient, hessian = differences(by_row, len(found.score))
    assert found.n_rows == pytest.approx(weight[~np.isnan(rows.values).all(axis=1)].sum())
    np.testing.assert_allclose(found.score, gradient @ weight, atol=1e-7)
    np.testing.assert_allclose(found.outer, (gradient * weight) @ gradient.T, atol=1e-7)
    np.testing.assert_allclose(found.observed, -hessian @ weight, atol=1e-6)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_rows_that_know_their_component_lose_nothing(kind):
    """Components without overlap: observed and complete information are the same."""
    mixture = mixture_of(kind)
    far = mixture.params._replace(means=np.array([[-300.0, 0.0], [300.0, 50.0]]))
    mixture = Mixture(mixture.family, far, mixture.weights, mixture.frame)
    rng = np.random.default_rng(1)
    y = far.means[rng.integers(0, 2, 50)] + rng.normal(size=(50, D))
    found = ask(Information(mixture), mixture.frame.backward(y))
    np.testing.assert_allclose(found.observed, found.complete, atol=1e-9)


def test_a_row_of_weight_two_is_two_rows():
    mixture = mixture_of("full")
    rows = rows_of(mixture, holes=True, noise="", weighted=False)
    twice = Observed(np.repeat(rows.values, 2, axis=0))
    weighted = Observed(rows.values, np.full(N, 2.0))
    one = ask(Information(mixture, share_of(twice)), twice.values)
    two = ask(Information(mixture, share_of(weighted)), share_of(weighted).layout.join(weighted))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
