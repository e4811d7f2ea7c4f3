"""Distances, probability integrals and density levels against scipy, quadrature and simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import binom, chi2, multivariate_normal, norm

from gmm_dask import GaussianMixture, density_levels, goodness_of_fit
from gmm_dask.blocks import RowLayout
from gmm_dask.diagnostics.shapes import component_shape
from gmm_dask.diagnostics.shares import tail_share
from gmm_dask.errors import ConfigError
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.tails import BEYOND, PIT_BINS, Tails
from tests.diagnostics.models import model_of
from tests.strategies import ask

W = np.array([0.3, 0.7])
M = np.array([[0.0, 0.0], [2.5, -1.0]])
S = np.array([[[1.0, 0.6], [0.6, 2.0]], [[0.5, -0.2], [-0.2, 0.4]]])
MODEL = model_of(W, M, S)


def draws(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < W[1]).astype(int)
    return M[label] + np.einsum("nij,nj->ni", np.linalg.cholesky(S)[label], rng.normal(size=(n, 2)))


@pytest.mark.parametrize("D", [1, 6, 20])
def test_levels_of_one_gaussian_are_those_of_chi_square(D):
    model = model_of([1.0], np.zeros((1, D)), np.eye(D)[None])
    levels = density_levels(model.mixture_)
    share = chi2.sf(-2 * levels.log_density - D * np.log(2 * np.pi), D)
    off = (share / levels.share - 1) / levels.relative_error
    assert np.abs(off).max() < 4, off
    assert levels.relative_error.max() < 0.06


def test_levels_of_a_mixture_against_quadrature():
    """A light, wide component holds nearly all rows of low density."""
    w, m, v = np.array([0.997, 0.003]), np.array([0.0, 1.0]), np.array([1.0, 400.0])

    def density(x: float) -> float:
        return float(w @ norm.pdf(x, m, np.sqrt(v)))

    def below(log_level: float) -> float:
        ends = [
            brentq(lambda x: np.log(density(x)) - log_level, *sorted((0.0, side)))
            for side in (-300.0, 300.0)
        ]
        return 1 - quad(density, *ends, points=[-4, 0, 4], limit=500, epsabs=1e-13)[0]

    levels = density_levels(model_of(w, m, v).mixture_)
    found = np.array([below(level) for level in levels.log_density])
    assert np.abs((found / levels.share - 1) / levels.relative_error).max() < 4


def test_sums_against_scipy_row_by_row():
    rng = np.random.default_rng(3)
    X = draws(300, 3)
    C = rng.gamma(1.0, 0.3, (300, 2))
    X[rng.random((300, 2)) < 0.25] = np.nan
    a = rng.gamma(2.0, size=300)
    layout = RowLayout(2, True, "diag", True)
    packed = np.column_stack([X, a, np.where(np.isnan(X), 0.0, C)])
    sums = ask(Tails(MODEL.mixture_, (), RowShare.all_rows(layout)), packed, [100])
    mass, pit, total = np.zeros_like(sums.mass), np.zeros((2, PIT_BINS)), 0.0
    for x, c, weight in zip(X, C, a, strict=True):
        seen = np.flatnonzero(~np.isnan(x))
        if not len(seen):
            continue
        inside = np.ix_(seen, seen)
        wide = [S[k][inside] + np.diag(c[seen]) for k in (0, 1)]
        dens = np.array([multivariate_normal(M[k][seen], wide[k]).pdf(x[seen]) for k in (0, 1)])
        resp = W * dens / (W @ dens)
        total += weight * np.log(W @ dens)
        for k in (0, 1):
            y = x[seen] - M[k][seen]
            tail = chi2.sf(y @ np.linalg.solve(wide[k], y), len(seen))
            mass[k, np.sum(tail <= np.array(BEYOND))] += weight * resp[k]
        for place, j in enumerate(seen):
            before, joint = seen[:place], W.copy()
            cdf = np.empty(2)
            for k in (0, 1):
                T = S[k] + np.diag(c)
                m, v = M[k][j], T[j, j]
                if place:
                    gain = T[j, before] / T[before[0], before[0]]
                    m, v = (
                        m + float(gain @ (x[before] - M[k][before])),
                        v - float(gain @ T[before, j]),
                    )
                    sd = np.sqrt(T[before[0], before[0]])
                    joint[k] *= norm.pdf(x[before[0]], M[k][before[0]], sd)
                cdf[k] = norm.cdf(x[j], m, np.sqrt(v))
            u = joint @ cdf / joint.sum()
            pit[j, min(int(u * PIT_BINS), PIT_BINS - 1)] += weight
    assert np.allclose(sums.mass, mass, rtol=1e-9)
    assert np.allclose(sums.pit, pit, rtol=1e-9)
    assert np.isclose(sums.log_likelihood, total, rtol=1e-12)
    assert sums.n_complete == 0


def p_values(sets: int, n: int, *, fit: bool) -> np.ndarray:
    found = []
    for seed in range(sets):
        X = draws(n, 1000 + seed)
        mixture = MODEL.mixture_
        if fit:
            start = {"weights_init": W, "means_init": M, "precisions_init": np.linalg.inv(S)}
            mixture = GaussianMixture(2, tol=1e-5, **start).fit(X).mixture_
        sums = ask(Tails(mixture, pit_share=1e-9), X)
        shapes = [
            component_shape(k, n, mixture.weights[0, k], sums.mass[k], sums.squares[k], 0.95, fit)
            for k in (0, 1)
        ]
        found.append([shape.p_value for shape in shapes])
    return np.array(found)


def test_size_of_the_chi_square_is_five_per_cent():
    p = p_values(200, 2000, fit=False)
    low, high = binom.ppf([0.0005, 0.9995], 200, 0.05)
    for k in (0, 1):  # 99.9 % band of 200 sets
        assert low <= (p[:, k] < 0.05).sum() <= high
    assert abs(p.mean() - 0.5) < 0.05


def test_with_fitted_parameters_it_is_conservative():
    p = p_values(40, 2000, fit=True)
    assert (p < 0.05).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 80)


def test_true_rows_have_no_findings_and_everything_is_json():
    found = goodness_of_fit(MODEL, draws(20000, 0), same_rows=False)
    assert found.findings == ()
    for share in found.densities:
        assert share.low <= 1 <= share.high or share.share < 1e-3
    assert [c.distance < 2 * c.noise for c in found.columns] == [True, True]
    json.dumps(found.to_dict(), allow_nan=False)


def test_heavy_tails_are_told_with_their_size():
    rng = np.random.default_rng(0)
    X = rng.standard_t(3, size=(20000, 2))
    model = GaussianMixture(1).fit(X)
    found = goodness_of_fit(model, X)
    assert found.findings[0].startswith("The tails are heavier than Gaussian: ")
    worst = found.densities[2]
    level = density_levels(model.mixture_).log_density[2]
    assert worst.found == (model.score_samples(X) < level).sum()
    assert worst.low > 10


def test_a_noise_state_is_told():
    model = model_of([0.9, 0.1], [0.0, 0.1], [1.0, 100.0])
    X, _ = model.sample(5000)
    (sentence,) = goodness_of_fit(model, X).findings
    assert sentence.startswith("Component 1 lies about the mean of 0, several times wider")


def test_weights_count_rows():
    X = draws(2000, 5)
    twice = goodness_of_fit(MODEL, np.concatenate([X, X]))
    heavy = goodness_of_fit(MODEL, X, sample_weight=np.full(2000, 2.0))
    assert heavy.n_rows == twice.n_rows == 4000
    assert np.isclose(heavy.components[0].statistic, twice.components[0].statistic)
    assert heavy.distances[0] == pytest.approx(twice.distances[0])


def test_intervals_of_counts():
    # Garwood's table: 10 counts, 4.795 to 18.39
    share = tail_share(0.001, 10000, 10)
    assert (share.low * 10, share.high * 10) == pytest.approx((4.7954, 18.3904), abs=1e-3)
    wider = tail_share(0.001, 10000, 10, relative_error=0.2)
    assert wider.low < share.low < share.high < wider.high
    assert tail_share(0.001, 10000, 0).low == 0


def test_refusals():
    with pytest.raises(ConfigError, match="level is 2"):
        goodness_of_fit(MODEL, draws(10, 0), level=2)
