"""Imputed values, draws, true values behind noise, and samples with errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, multivariate_normal, norm

from gmm_dask import ConfigError, DataError, GaussianMixture
from tests.strategies import KINDS, clusters

X, _ = clusters(500, 3, 2, apart=4.0)
RNG = np.random.default_rng(8)
HOLES = np.where(RNG.random(X.shape) < 0.3, np.nan, X)
MODELS = {
    kind: GaussianMixture(2, covariance_type=kind, random_state=0, tol=1e-4, max_iter=500).fit(X)
    for kind in KINDS
}


def conditional(model: GaussianMixture, row: np.ndarray, noise: np.ndarray | None = None):
    """Return shares, means and covariances of a complete row given what is there of it.

    Of each component, by the formulas for a partitioned normal distribution (Bishop 2006, PRML,
    2.81 and 2.82), with the row's errors on the part that is there.
    """
    o, D = ~np.isnan(row), len(row)
    C = np.zeros((D, D)) if noise is None else noise
    shares, means, covariances = [], [], []
    for k in range(model.n_components):
        m, S = model.means_[k], model.mixture_.dense_covariances[k]
        T = (S + C)[np.ix_(o, o)]
        gain = S[:, o] @ np.linalg.inv(T)
        means.append(m + gain @ (row[o] - m[o]))
        covariances.append(S - gain @ S[o])
        density = multivariate_normal(m[o], T).pdf(row[o]) if o.any() else 1.0
        shares.append(model.weights_[k] * density)
    return np.array(shares) / sum(shares), np.array(means), np.array(covariances)


def mixed(shares, means, covariances):
    """Return the mean and covariance of a mixture."""
    mean = shares @ means
    apart = means - mean
    return mean, np.einsum("k,kij->ij", shares, covariances + apart[:, :, None] * apart[:, None])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noisy", [False, True])
def test_imputed_values_are_conditional_means(kind, noisy):
    model = MODELS[kind]
    noise = RNG.gamma(1.0, 0.1, X.shape) if noisy else None
    filled, spread = model.impute(HOLES, noise=noise, return_cov=True)
    np.testing.assert_array_equal(filled, model.impute(HOLES, noise=noise))
    with_std, std = model.impute(HOLES, noise=noise, return_std=True)
    np.testing.assert_array_equal(filled, with_std)
    there = ~np.isnan(HOLES)
    np.testing.assert_array_equal(filled[there], HOLES[there])
    assert (std[there] == 0).all()
    for i, row in enumerate(HOLES[:100]):
        of_row = conditional(model, row, None if noise is None else np.diag(noise[i]))
        mean, covariance = mixed(*of_row)
        gone = np.isnan(row)
        np.testing.assert_allclose(filled[i, gone], mean[gone], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(std[i, gone] ** 2, np.diag(covariance)[gone], rtol=1e-7)
        np.testing.assert_allclose(
            spread[i][np.ix_(gone, gone)], covariance[np.ix_(gone, gone)], rtol=1e-7, atol=1e-8
        )
        assert not spread[i][~gone].any()


def test_a_row_without_values_is_the_mixture():
    model = MODELS["full"]
    filled, spread = model.impute(np.full((1, 3), np.nan), return_cov=True)
    mean, covariance = mixed(model.weights_, model.means_, model.covariances_)
    np.testing.assert_allclose(filled[0], mean, rtol=1e-9)
    np.testing.assert_allclose(spread[0], covariance, rtol=1e-9)


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("noisy", [False, True])
def test_draws_have_the_conditional_distribution(kind, noisy):
    model = MODELS[kind]
    row = np.array([np.nan, 0.5 * (model.means_[0, 1] + model.means_[1, 1]), np.nan])
    C = np.array([0.0, 0.3, 0.0]) if noisy else None
    shares, means, covariances = conditional(model, row, None if C is None else np.diag(C))
    assert shares.max() < 0.999  # both components matter
    n = 40_000
    rows, noise = np.tile(row, (n, 1)), None if C is None else np.tile(C, (n, 1))
    drawn = model.impute(rows, noise=noise, n_draws=1, random_state=3)[0]
    assert (drawn[:, 1] == row[1]).all()

    def cdf(x):
        root = np.sqrt(covariances[:, 0, 0])
        return norm.cdf(np.asarray(x)[:, None], means[:, 0], root) @ shares

    assert kstest(drawn[:, 0], cdf).pvalue > 1e-4
    mean, covariance = mixed(shares, means, covariances)
    gone = [0, 2]
    sd = np.sqrt(np.diag(covariance)[gone])
    # five standard errors
    np.testing.assert_allclose(drawn[:, gone].mean(0), mean[gone], atol=5 * sd.max() / n**0.5)
    found = np.cov(drawn[:, gone].T) / np.outer(sd, sd)
    needed = covariance[np.ix_(gone, gone)] / np.outer(sd, sd)
    np.testing.assert_allclose(found, needed, atol=5 * (3 / n) ** 0.5)


def test_draws_belong_to_rows_and_seeds():
    model = MODELS["full"]
    three = model.impute(HOLES, n_draws=3, random_state=1)
    assert three.shape == (3, 500, 3)
    np.testing.assert_array_equal(model.impute(HOLES, n_draws=2, random_state=1), three[:2])
    np.testing.assert_array_equal(
        model.impute(HOLES[:77], n_draws=3, random_state=1), three[:, :77]
    )
    gone = np.isnan(HOLES)
    assert (three[0][gone] != three[1][gone]).all()
    assert (model.impute(HOLES, n_draws=1, random_state=2)[0][gone] != three[0][gone]).all()
    np.testing.assert_array_equal(three[:, ~gone], np.repeat(HOLES[~gone][None], 3, axis=0))


def test_only_one_kind_of_answer():
    for words in ({"return_std": True, "return_cov": True}, {"return_std": True, "n_draws": 2}):
        with pytest.raises(ConfigError, match="exclude each other"):
            MODELS["full"].impute(HOLES, **words)
    with pytest.raises(ConfigError, match="n_draws is 0"):
        MODELS["full"].impute(HOLES, n_draws=0)


def test_true_values_follow_bayes_rule():
    """One column: the posterior integrated numerically."""
    rows = np.r_[norm.rvs(0, 1, 300, random_state=1), norm.rvs(5, 0.5, 200, random_state=2)]
    model = GaussianMixture(2, random_state=0).fit(rows[:, None])
    pi, m = model.weights_, model.means_[:, 0]
    s = np.sqrt(model.covariances_[:, 0, 0])
    seen = np.array([-1.0, 2.5, 3.2, 5.1, 7.0])
    variance = np.array([0.5, 4.0, 1.0, 0.01, 2.0])
    mean, covariance = model.deconvolve(seen[:, None], variance[:, None])
    assert covariance.shape == (5, 1, 1)
    for i in range(5):

        def posterior(v, power, i=i):
            return (
                v**power * (pi * norm.pdf(v, m, s)).sum() * norm.pdf(seen[i], v, variance[i] ** 0.5)
            )

        limits = {"points": [*m, seen[i]], "epsabs": 1e-13, "limit": 200}
        moments = [quad(posterior, -15, 20, (power,), **limits)[0] for power in range(3)]
        expected = moments[1] / moments[0]
        assert mean[i, 0] == pytest.approx(expected, rel=1e-7)
        second = moments[2] / moments[0] - expected**2
        assert covariance[i, 0, 0] == pytest.approx(second, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_true_values_under_full_noise(kind):
    model = MODELS[kind]
    half = RNG.normal(0, 0.5, (500, 3, 2))
    noise = half @ half.transpose(0, 2, 1)
    mean, covariance = model.deconvolve(X, noise)
    for i in range(40):
        expected = mixed(*conditional(model, X[i], noise[i]))
        np.testing.assert_allclose(mean[i], expected[0], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(covariance[i], expected[1], rtol=1e-6, atol=1e-8)


def test_exact_values_are_true_and_absent_ones_expected():
    model = MODELS["full"]
    mean, covariance = model.deconvolve(X, np.zeros_like(X))
    np.testing.assert_allclose(mean, X, rtol=1e-9, atol=1e-9)
    assert np.abs(covariance).max() < 1e-9
    with pytest.raises(DataError, match="needs the noise"):
        model.deconvolve(X, None)
    with pytest.raises(ValueError, match="NaN"):
        model.deconvolve(HOLES, np.zeros_like(X))
    noise = np.where(np.isnan(HOLES), np.inf, 0.0)
    holes = GaussianMixture(2, random_state=0, missing="marginalize").fit(X)
    np.testing.assert_allclose(holes.deconvolve(X, noise)[0], holes.impute(HOLES), rtol=1e-8)


def test_samples_with_errors_are_true_ones_moved():
    model = MODELS["full"]
    n = 20_000
    true, labels = model.sample(n)
    variance = np.array([0.25, 0.0, 4.0])
    seen, same_labels = model.sample(n, noise=variance)
    np.testing.assert_array_equal(labels, same_labels)
    errors = seen - true
    np.testing.assert_array_equal(errors[:, 1], 0.0)
    for d in (0, 2):
        # the difference of numbers near 10 keeps 1e-15 of them
        assert kstest(errors[:, d] / variance[d] ** 0.5, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(errors[:, 0], true[:, 0])[0, 1]) < 5 / n**0.5
    each = np.tile(variance, (n, 1))
    np.testing.assert_array_equal(model.sample(n, noise=each)[0], seen)
    half = np.array([[1.0, 0.0], [0.5, 0.3], [0.0, 2.0]])
    full = np.broadcast_to(half @ half.T, (n, 3, 3))
    errors = model.sample(n, noise=full)[0] - true
    scale = np.sqrt(np.diag(full[0]))
    found = np.cov((errors / scale).T)
    np.testing.assert_allclose(found, full[0] / np.outer(scale, scale), atol=5 * (2 / n) ** 0.5)


def test_samples_with_errors_do_not_depend_on_chunks():
    model = MODELS["full"]
    each = RNG.gamma(1.0, size=(9000, 3))
    each[5, 1] = np.inf
    values, _ = model.sample(9000, noise=each)
    assert np.isnan(values[5, 1])
    assert np.isnan(values).sum() == 1
    lazy, _ = model.sample(9000, noise=each, chunks=1000)
    np.testing.assert_array_equal(lazy.compute(scheduler="sync"), values)
    few, _ = model.sample(100, noise=each[:100])
    np.testing.assert_array_equal(few, values[:100])


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (np.ones((9, 3)), r"noise has shape \(9, 3\); .*\(3,\) .*\(10, 3\).*\(10, 3, 3\)"),
        (np.ones(2), r"noise has shape \(2,\)"),
        ([1.0, -1.0, 1.0], "row 0: its noise"),
        (-np.ones((10, 3, 3)), "row 0: its noise"),
    ],
)
def test_impossible_noise_of_samples_is_refused(noise, message):
    with pytest.raises(DataError, match=message):
        MODELS["full"].sample(10, noise=noise)
