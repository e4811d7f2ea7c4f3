"""The covariance prior against scipy's densities, and what it must keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import invgamma, invwishart, multivariate_normal

from gmm_dask.errors import ConfigError
from gmm_dask.families.floors import RelativeFloor, Ridge
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.prior import CovariancePrior, default_prior
from gmm_dask.folds.e_step import EStep
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, m_step, objective
from tests.strategies import KINDS, ask, clusters, covariances_like, frame_of, kinds, mixture_near

EVERY = pytest.mark.parametrize("kind", KINDS)
SHRINKAGE = pytest.mark.parametrize("shrinkage", [0.0, 0.01, 3.0])
X, _ = clusters(200, 3, 3, seed=4)


def with_prior(mixture: Mixture, **words) -> Mixture:
    prior = default_prior(mixture.frame, mixture.n_components, **words)
    return replace(mixture, family=replace(mixture.family, prior=prior))


def density(prior: CovariancePrior, kind: str, params: GaussianParams) -> float:
    """Return the log prior by scipy."""
    S, df, kappa = params.covariances, prior.degrees_of_freedom, prior.shrinkage
    own = np.diagonal(prior.scale)
    D = len(own)
    dense = Gaussian(kind, RelativeFloor(np.ones(D))).dense(params)
    total = 0.0
    if kappa:
        total += sum(
            multivariate_normal(prior.mean, s / kappa).logpdf(m)
            for m, s in zip(params.means, dense, strict=True)
        )
    if kind == "full":
        total += sum(invwishart(df, prior.scale).logpdf(s) for s in S)
    elif kind == "tied":
        total += invwishart(df, prior.scale).logpdf(S)
    elif kind == "diag":
        total += sum(invgamma(df / 2, scale=own[d] / 2).logpdf(S[:, d]).sum() for d in range(D))
    else:
        total += invgamma(df / 2, scale=own.mean() / 2).logpdf(S).sum()
    return float(total)


def some_params(kind: str, rng: np.random.Generator) -> GaussianParams:
    A = rng.normal(0, 0.4, (3, 3, 3)) + np.eye(3)
    return GaussianParams(rng.normal(0, 1, (3, 3)), covariances_like(kind, A @ A.swapaxes(1, 2)))


@EVERY
@SHRINKAGE
def test_log_prior_is_the_density_up_to_a_constant(kind, shrinkage):
    prior = default_prior(frame_of(X, kind), 3, shrinkage)
    family = Gaussian(kind, RelativeFloor(np.ones(3)), prior)
    rng = np.random.default_rng(0)
    points = [some_params(kind, rng) for _ in range(5)]
    apart = [family.log_prior(p) - density(prior, kind, p) for p in points]
    np.testing.assert_allclose(apart, apart[0], rtol=1e-10)


@EVERY
@SHRINKAGE
def test_the_m_step_is_the_mode(kind, shrinkage):
    """Scipy's log densities of labelled rows and parameters are level there, and fall off."""
    mixture = with_prior(mixture_near(X, kind, 3), shrinkage=shrinkage)
    rng = np.random.default_rng(1)
    resp = rng.dirichlet(np.ones(3), len(X))
    rows = mixture.frame.forward(X)
    moments = table.moments(mixture.prepare().family, X, resp)
    family = mixture.family
    mode = family.maximize(mixture.params, resp.sum(axis=0), moments)

    def value(params: GaussianParams) -> float:
        dense = family.dense(params)
        of_rows = sum(
            resp[:, k] @ multivariate_normal(params.means[k], dense[k]).logpdf(rows)
            for k in range(3)
        )
        return float(of_rows) + density(family.prior, kind, params)

    best, h = value(mode), 1e-4
    for _ in range(20):
        other = some_params(kind, rng)
        towards, away = (
            value(
                GaussianParams(
                    mode.means + share * other.means,
                    mode.covariances + share * (other.covariances - mode.covariances),
                )
            )
            for share in (h, -h)
        )
        assert max(towards, away) < best
        # level at the top: the slope is what a third derivative makes of steps of 1e-4
        assert abs(towards - away) < 0.03 * (2 * best - towards - away)


@settings(max_examples=25, deadline=None)
@given(
    kind=kinds,
    seed=st.integers(0, 10**6),
    K=st.integers(1, 8),
    shrinkage=st.sampled_from([0.0, 0.01, 1.0]),
    trouble=st.sampled_from(["none", "duplicates", "line", "few"]),
)
def test_log_likelihood_plus_log_prior_never_falls(kind, seed, K, shrinkage, trouble):
    rng = np.random.default_rng(seed)
    rows, _ = clusters(12 if trouble == "few" else 60, 3, 2, seed=seed % 1000, apart=3.0)
    rows = rows * 10.0 ** rng.integers(-6, 7, 3)
    if trouble == "duplicates":
        rows[:40] = rows[0]
    elif trouble == "line":
        rows[:, 1] = 2 * rows[:, 0]
    mixture = with_prior(mixture_near(rows, kind, K, seed), shrinkage=shrinkage)
    bounds = []
    for _ in range(25):
        sums = ask(EStep(mixture), rows)
        bounds.append(objective(mixture, sums))
        mixture = m_step(mixture, sums)
        mixture.family.validate(mixture.params)
        assert np.isfinite(mixture.params.means).all()
    # on a line the floor leaves condition numbers of 1e6, and distances round accordingly
    slack = 1e-9 if trouble == "line" else 1e-11
    assert np.diff(bounds).min() >= -slack * max(1.0, np.abs(bounds).max())


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_component_on_copies_of_one_row_does_not_collapse(kind):
    """Without the prior its variances lie on the floor."""
    rows, _ = clusters(300, 2, 2, seed=0)
    rows[:50] = rows[0]
    plain = mixture_near(rows, kind, 3)
    means, covariances = plain.params.means.copy(), plain.params.covariances.copy()
    means[0] = plain.frame.forward(rows[:1])[0]
    covariances[0] *= 1e-3
    plain = replace(plain, params=GaussianParams(means, covariances))
    firm = with_prior(plain)
    for _ in range(60):
        plain, firm = (m_step(m, ask(EStep(m), rows)) for m in (plain, firm))
    assert plain.family.check(plain.params)
    assert not firm.family.check(firm.params)


@EVERY
@SHRINKAGE
def test_a_component_without_rows_is_the_prior(kind, shrinkage):
    mixture = with_prior(mixture_near(X, kind, 3), shrinkage=shrinkage)
    zero = mixture.family.zero_moments(3, 3)
    params = mixture.family.maximize(mixture.params, np.zeros(3), zero)
    expected = mixture.family.prior.mean if shrinkage else mixture.params.means
    np.testing.assert_allclose(params.means, np.broadcast_to(expected, (3, 3)), atol=1e-12)
    mixture.family.validate(params)


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_units_change_neither_fit_nor_value(kind):
    factor = np.array([1e-3, 1.0, 4e5])
    values = []
    for rows in (X, X * factor):
        mixture = with_prior(mixture_near(rows, kind, 3, seed=2))
        for _ in range(5):
            sums = ask(EStep(mixture), rows)
            mixture = m_step(mixture, sums)
        values.append((mixture.family.log_prior(mixture.params), mixture.weights[0]))
    assert values[0][0] == pytest.approx(values[1][0], rel=1e-9)
    np.testing.assert_allclose(values[0][1], values[1][1], rtol=1e-9)


def test_defaults_are_those_of_mclust():
    """R: defaultPrior(X, G = 4, modelName = "VVV" and "VII"), with divisor n for n - 1."""
    frame = frame_of(X, "spherical")
    prior = default_prior(frame, 4)
    total = np.cov(X.T, bias=True) / 4 ** (2 / 3)
    np.testing.assert_allclose(prior.scale * np.outer(frame.scale, frame.scale), total, rtol=1e-10)
    np.testing.assert_allclose(frame.backward(prior.mean), X.mean(axis=0), rtol=1e-12)
    assert (prior.shrinkage, prior.degrees_of_freedom) == (0.01, 5.0)
    of_sphere = float(prior.variances("spherical")) * frame.scale[0] ** 2
    assert of_sphere == pytest.approx(np.trace(total) / 3, rel=1e-12)


def test_columns_without_variance_leave_a_proper_prior():
    flat = X.copy()
    flat[:, 1] = 2.0
    prior = default_prior(frame_of(flat), 2)
    assert np.linalg.eigvalsh(prior.scale)[0] > 0


def test_what_cannot_be_is_refused():
    variance = np.ones(2)
    prior = CovariancePrior(np.zeros(2), np.eye(2), 4.0)
    with pytest.raises(ConfigError, match="exclude each other"):
        Gaussian("full", Ridge(np.full(2, 1e-3), variance), prior)
    assert Gaussian("full", Ridge(np.zeros(2), variance), prior).prior is prior
    with pytest.raises(ConfigError, match="shrinkage is -1"):
        replace(prior, shrinkage=-1)
    with pytest.raises(ConfigError, match=r"degrees_of_freedom is 1\.0"):
        replace(prior, degrees_of_freedom=1.0)
    for scale in (np.eye(3), np.array([[1.0, 2.0], [2.0, 1.0]]), np.full((2, 2), np.nan)):
        with pytest.raises(ConfigError, match=r"symmetric positive definite matrix \(2, 2\)"):
            replace(prior, scale=scale)


def test_without_a_prior_nothing_is_added():
    mixture = mixture_near(X, "full", 3)
    sums = ask(EStep(mixture), X)
    assert mixture.family.log_prior(mixture.params) == 0.0
    assert objective(mixture, sums) == float(sums.log_likelihood) / len(X)
