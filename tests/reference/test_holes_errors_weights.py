"""Whole fits of rows with holes, errors and weights: closed forms and direct maximisation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from gmm_dask import ArraySource, Grid, LocalEngine, run_grid
from gmm_dask.blocks import Observed, RowLayout
from gmm_dask.folds.rows import RowShare


def fitted(rows: Observed, K: int, kind: str = "full", start: int = 0, **changes):
    """Fit without a floor that could be felt."""
    D = rows.values.shape[1]
    noise = {0: "", 2: "diag", 3: "full"}[0 if rows.noise is None else rows.noise.ndim]
    layout = RowLayout(D, rows.sample_weight is not None, noise, missing=True)
    options = {"init_params": "kmeans", "tol": 1e-11, "max_iter": 3000, "accelerate": True}
    grid = Grid((K,), (kind,), seed=start, rows=RowShare.all_rows(layout), **(options | changes))
    return run_grid(ArraySource(layout.join(rows)), grid, LocalEngine(2)).candidates[0]


def test_monotone_holes_have_a_closed_form():
    """One Gaussian, second column missing by rows: regression from the complete rows.

    Anderson 1957, J. Am. Stat. Assoc. 52:200.
    """
    rng = np.random.default_rng(1)
    x = rng.normal(size=400) * 2 + 5
    y = 1.0 + 0.7 * x + rng.normal(size=400)
    seen = rng.random(400) < 1 / (1 + np.exp(x - 5))  # missing at random, given x
    rows = np.column_stack([x, np.where(seen, y, np.nan)])
    found = fitted(Observed(rows), 1).mixture
    slope, origin = np.polyfit(x[seen], y[seen], 1)
    rest = np.mean((y[seen] - origin - slope * x[seen]) ** 2)
    variance = x.var()
    mean = [x.mean(), origin + slope * x.mean()]
    covariance = [[variance, slope * variance], [slope * variance, rest + slope**2 * variance]]
    assert np.allclose(found.means[0], mean, rtol=1e-6)
    assert np.allclose(found.covariances[0], covariance, rtol=1e-5)


def test_one_width_under_unequal_errors():
    """One Gaussian under known errors: the score equations solved by scipy."""
    rng = np.random.default_rng(2)
    variance = rng.gamma(2.0, 1.0, size=500)
    w = 3.0 + rng.normal(size=500) * np.sqrt(1.5 + variance)

    def loss(theta):
        total = np.exp(theta[1]) + variance
        return 0.5 * np.sum((w - theta[0]) ** 2 / total + np.log(total))

    best = minimize(loss, [0.0, 0.0], method="BFGS", options={"gtol": 1e-9})
    found = fitted(Observed(w[:, None], None, variance[:, None]), 1).mixture
    assert found.means[0, 0] == pytest.approx(best.x[0], abs=1e-5)
    assert found.covariances[0, 0, 0] == pytest.approx(np.exp(best.x[1]), rel=1e-5)


def log_likelihood(rows: Observed, weights, means, covariances) -> float:
    """Mean log-likelihood, weighted, of rows with two columns and errors."""
    x, y = rows.values.T
    parts = []
    for pi, m, S in zip(weights, means, covariances, strict=True):
        a, b = (S[[0, 1], [0, 1]] + rows.noise).T
        c, u, v = S[0, 1], x - m[0], y - m[1]
        det = a * b - c * c
        both = -np.log(2 * np.pi) - 0.5 * np.log(det)
        both -= 0.5 * (b * u * u - 2 * c * u * v + a * v * v) / det
        first, second = norm.logpdf(u, scale=np.sqrt(a)), norm.logpdf(v, scale=np.sqrt(b))
        density = np.where(np.isnan(y), first, np.where(np.isnan(x), second, both))
        parts.append(np.log(pi) + density)
    return np.average(np.logaddexp(*parts), weights=rows.sample_weight)


def all_at_once(n: int, seed: int) -> Observed:
    """Two overlapping clusters with holes, errors and weights."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.4
    true = np.where(labels[:, None], [0.0, 0.0], [2.5, 1.0])
    true = true + rng.normal(size=(n, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    noise = rng.gamma(2.0, 0.2, size=(n, 2))
    values = true + np.sqrt(noise) * rng.normal(size=(n, 2))
    holes = rng.random((n, 2)) < 0.2
    holes[holes.all(axis=1)] = False
    return Observed(np.where(holes, np.nan, values), rng.gamma(3.0, 1.0, size=n), noise)


def test_all_at_once_is_the_maximum_of_the_likelihood():
    """scipy, from many starts around and away from where EM ended, finds nothing better."""
    rows = all_at_once(150, 3)
    best = max(
        (fitted(rows, 2, start=seed) for seed in range(3)),
        key=lambda candidate: candidate.log_likelihood_per_row,
    )
    m = best.mixture
    assert best.log_likelihood_per_row == pytest.approx(
        log_likelihood(rows, m.weights[0], m.means, m.covariances), abs=1e-10
    )

    def unpack(theta):
        pi = 1 / (1 + np.exp(-theta[0]))
        lower = np.zeros((2, 2, 2))
        lower[:, 0, 0], lower[:, 1, 1] = np.exp(theta[5:7]), np.exp(theta[7:9])
        lower[:, 1, 0] = theta[9:11]
        return (pi, 1 - pi), theta[1:5].reshape(2, 2), lower @ lower.transpose(0, 2, 1)

    def loss(theta):
        return -log_likelihood(rows, *unpack(theta))

    L = np.linalg.cholesky(m.covariances)
    here = np.concatenate(
        [
            [np.log(m.weights[0, 0] / m.weights[0, 1])],
            m.means.ravel(),
            np.log(L[:, 0, 0]),
            np.log(L[:, 1, 1]),
            L[:, 1, 0],
        ]
    )
    assert -loss(here) == pytest.approx(best.log_likelihood_per_row, abs=1e-9)
    rng = np.random.default_rng(0)
    starts = [here, *(here + rng.normal(size=11) for _ in range(10))]
    reached = max(
        -minimize(loss, start, method="L-BFGS-B", options={"maxiter": 500}).fun for start in starts
    )
    assert reached <= best.log_likelihood_per_row + 1e-6


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_integer_weights_are_repeated_rows(kind):
    rng = np.random.default_rng(4)
    rows = np.concatenate([rng.normal(size=(300, 2)), rng.normal(size=(200, 2)) + 4])
    times = rng.integers(0, 4, size=500)
    start = {"means": np.array([[0.0, 0.0], [4.0, 4.0]]), "weights": np.array([0.5, 0.5])}
    start["covariances"] = {
        "full": np.repeat(np.eye(2)[None], 2, axis=0),
        "tied": np.eye(2),
        "diag": np.ones((2, 2)),
        "spherical": np.ones(2),
    }[kind]
    layout = RowLayout(2, sample_weight=True)
    grid = Grid((2,), (kind,), tol=0.0, max_iter=15, reg_covar=1e-9)
    weighted = layout.join(Observed(rows, times.astype(float)))
    with_weights = replace(grid, rows=RowShare.all_rows(layout))
    a = run_grid(ArraySource(weighted), with_weights, LocalEngine(), given=start).candidates[0]
    repeated = ArraySource(np.repeat(rows, times, axis=0))
    b = run_grid(repeated, grid, LocalEngine(), given=start).candidates[0]
    assert a.n_rows == b.n_rows == times.sum()
    assert np.allclose(a.mixture.means, b.mixture.means, rtol=0, atol=1e-10)
    assert np.allclose(a.mixture.covariances, b.mixture.covariances, rtol=0, atol=1e-10)
    assert a.bic == pytest.approx(b.bic, rel=1e-12)
    assert a.icl == pytest.approx(b.icl, rel=1e-11)


def test_a_histogram_is_its_events():
    """Counts in two-dimensional bins, against one row for each event at its bin's centre."""
    rng = np.random.default_rng(5)
    events = np.concatenate([rng.normal(size=(3000, 2)), 0.5 * rng.normal(size=(1000, 2)) + 3])
    counts, x, y = np.histogram2d(*events.T, bins=40)
    centres = np.stack(np.meshgrid((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, indexing="ij"), -1)
    bins = Observed(centres.reshape(-1, 2), counts.ravel())
    whole = np.repeat(bins.values, counts.ravel().astype(int), axis=0)
    a = fitted(bins, 2)
    b = fitted(Observed(whole), 2)
    assert a.log_likelihood_per_row == pytest.approx(b.log_likelihood_per_row, abs=1e-7)
    assert np.allclose(a.mixture.means, b.mixture.means, atol=1e-4)


def test_likelihood_never_falls():
    rows = all_at_once(2000, 7)
    bounds = fitted(rows, 4, tol=1e-9, max_iter=200, accelerate=False).lower_bounds
    assert len(bounds) > 20
    assert np.diff(bounds).min() > -1e-12


def test_more_holes_than_values():
    """Every row has one of five columns: means and variances are those of the columns."""
    rng = np.random.default_rng(8)
    values = np.full((2000, 5), np.nan)
    which = rng.integers(5, size=2000)
    values[np.arange(2000), which] = rng.normal(size=2000) * 3 + which
    found = fitted(Observed(values), 1, "diag").mixture
    assert np.allclose(found.means[0], np.nanmean(values, axis=0), atol=1e-6)
    assert np.allclose(found.covariances[0], np.nanvar(values, axis=0), rtol=1e-5)
