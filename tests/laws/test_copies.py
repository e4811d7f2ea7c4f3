"""M-steps of laws of copies against direct maximisation, closed forms and scipy's distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from gmm_dask.errors import ConfigError
from gmm_dask.laws.copies import TOP, largest
from gmm_dask.laws.genotypes import Binomial, HardyWeinberg
from gmm_dask.laws.named import law_of
from gmm_dask.laws.poisson import Poisson, ZeroInflatedPoisson
from gmm_dask.laws.simple import Dirichlet

TAILS = ["lumped", "renormalised", "open"]


def reference(rate, K, tail):
    """Return the weights by scipy's own distribution."""
    weights = stats.poisson.pmf(np.arange(K), rate)
    if tail == "lumped":
        weights[-1] = stats.poisson.sf(K - 2, rate)
    return weights / weights.sum() if tail == "renormalised" else weights


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("rate", [1e-9, 0.03, 0.9, 2.6, 11.0, 60.0])
@pytest.mark.parametrize("K", [2, 3, 6])
def test_weights_are_those_of_the_distribution(tail, rate, K):
    found = Poisson(tail).at(np.array([rate]), K)[0]
    np.testing.assert_allclose(found, reference(rate, K, tail), rtol=1e-11)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("K", [2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_lambda_maximises_the_likelihood_of_the_counts(tail, K, seed):
    count = np.random.default_rng(seed).uniform(0, 1, K) ** 2 * 100

    def lost(log_rate):
        return -(count * np.log(np.maximum(reference(math.exp(log_rate), K, tail), 1e-300))).sum()

    best = optimize.minimize_scalar(lost, bounds=(-8, 5), method="bounded", options={"xatol": 1e-9})
    law = Poisson(tail)
    rate = law.parameters(law.weights(count[None]))["lambda"][0]
    assert lost(math.log(rate)) <= best.fun + 1e-12 * best.fun
    assert rate == pytest.approx(math.exp(best.x), rel=1e-6)  # a minimum is flat: root of 1e-12


def test_two_classes_are_the_digital_estimator():
    """Dube 2008: of 1901 positive and 13919 negative droplets of a well of shared/data/ddpcr."""
    weights = Poisson().weights(np.array([[13919.0, 1901.0]]))
    rate = Poisson().parameters(weights)["lambda"][0]
    assert rate == pytest.approx(-math.log(13919 / 15820), rel=1e-14)


def test_the_three_tails_are_three_answers():
    """True lambda 2.6 in 6 classes of which the last saturates, exact counts: only lumped is right.

    The others by their own equations: the mean of a truncated law, and the mean of the counts.
    """
    count = reference(2.6, 6, "lumped")[None]
    found = {
        tail: Poisson(tail).parameters(Poisson(tail).weights(count))["lambda"][0] for tail in TAILS
    }
    mean = float(count[0] @ np.arange(6))

    def gap(rate):
        return reference(rate, 6, "renormalised") @ np.arange(6) - mean

    assert found["lumped"] == pytest.approx(2.6, rel=1e-13)
    assert found["renormalised"] == pytest.approx(optimize.brentq(gap, 1, 5, xtol=1e-13), rel=1e-11)
    assert found["open"] == pytest.approx(mean, rel=1e-12)
    assert found["renormalised"] - found["lumped"] > 0.15
    assert found["lumped"] - found["open"] > 0.05
    far = [Poisson(tail).weights(reference(0.9, 7, "lumped")[None]) for tail in TAILS]
    np.testing.assert_allclose(far[1], far[0], atol=2e-4)  # K far beyond lambda: they agree
    np.testing.assert_allclose(far[2], far[0], atol=2e-4)


@pytest.mark.parametrize("tail", TAILS)
def test_no_copies_and_nothing_but_the_last_class(tail):
    law = Poisson(tail)
    weights = law.weights(np.array([[5.0, 0.0, 0.0], [0.0, 0.0, 5.0]]))
    np.testing.assert_array_equal(weights[0], [1.0, 0.0, 0.0])
    rate = law.parameters(weights)["lambda"]
    assert rate[0] == 0.0
    if tail == "open":
        assert rate[1] == pytest.approx(2.0)
    else:
        assert 30 < rate[1] <= largest(3, tail) * (1 + 1e-12)
        assert weights[1, 2] == pytest.approx(1.0, abs=4 * TOP)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("seed", range(4))
def test_zero_inflation_maximises_both(tail, seed):
    rng = np.random.default_rng(seed)
    count = 100 * reference(1.4, 5, tail) * rng.uniform(0.7, 1.3, 5)
    count[0] += [0.0, 80.0, 300.0, -15.0][seed]  # the last: fewer than even a share of 0 asks for
    law = ZeroInflatedPoisson(tail)

    def lost(at):
        weights = (1 - at[1]) * reference(at[0], 5, tail)
        weights[0] += at[1]
        return -(count * np.log(weights)).sum()

    box, tight = [(0.1, 9.0), (0.0, 0.99)], {"ftol": 1e-15, "gtol": 1e-10}
    starts = [(1.0, 0.01), (1.0, 0.5), (2.0, 0.1)]
    found = [optimize.minimize(lost, start, bounds=box, options=tight) for start in starts]
    best = min(found, key=lambda end: end.fun)
    weights = law.weights(count[None])
    ours = -(count * np.log(weights[0])).sum()
    assert ours <= best.fun + 1e-9
    found = law.parameters(weights)
    if seed == 3:
        assert found["zeros"][0] == pytest.approx(0.0, abs=1e-12)
        np.testing.assert_allclose(weights, Poisson(tail).weights(count[None]), rtol=1e-13)
    else:
        # the likelihood to 1e-9 of several hundred nats: parameters to some 1e-5
        assert found["lambda"][0] == pytest.approx(best.x[0], rel=1e-4)
        assert found["zeros"][0] == pytest.approx(best.x[1], abs=1e-4)


def test_binomial_is_scipys():
    count = np.array([[10.0, 30.0, 25.0, 7.0]])
    p = (30 + 2 * 25 + 3 * 7) / (3 * 72)
    weights = Binomial().weights(count)
    np.testing.assert_allclose(weights[0], stats.binom.pmf(range(4), 3, p), rtol=1e-13)
    assert Binomial().parameters(weights)["p"][0] == pytest.approx(p, rel=1e-14)


def test_hardy_weinberg_of_the_mn_blood_groups():
    """1787 MM, 3039 MN and 1303 NN of 6129: p(N) = (3039 + 2 * 1303) / (2 * 6129)."""
    count = np.array([[1787.0, 3039.0, 1303.0]])
    p = (3039 + 2 * 1303) / (2 * 6129)
    weights = HardyWeinberg().weights(count)
    np.testing.assert_allclose(weights[0], [(1 - p) ** 2, 2 * p * (1 - p), p**2], rtol=1e-13)
    found = HardyWeinberg(inbreeding=True).parameters(count / count.sum())
    assert found["p"][0] == pytest.approx(p, rel=1e-13)
    assert found["F"][0] == pytest.approx(1 - (3039 / 6129) / (2 * p * (1 - p)), rel=1e-10)
    alone = HardyWeinberg(inbreeding=True).parameters(np.array([[1.0, 0.0, 0.0]]))
    assert alone["F"][0] == 0.0


def test_dirichlet_is_the_mode_of_the_posterior():
    alpha, count = np.array([1.5, 3.0, 1.0]), np.array([4.0, 0.0, 6.0])
    found = Dirichlet(tuple(alpha)).weights(count[None])[0]
    np.testing.assert_allclose(found, (count + alpha - 1) / (count + alpha - 1).sum(), rtol=1e-14)
    posterior = stats.dirichlet(alpha + count)
    for step in np.random.default_rng(0).normal(0, 1e-3, (20, 3)):
        other = np.abs(found + step)
        assert posterior.pdf(other / other.sum()) <= posterior.pdf(found)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("poison", "'poison' came"),
        ({"poisson": "cut"}, "needed: lumped, renormalised, open"),
        ({"binomial": 0}, "an integer of at least 1"),
        ({"dirichlet": 0.5}, "at least 1"),
        ({"dirichlet": "much"}, "needed: free, equal"),
        ({"hardy_weinberg": "F"}, "inbreeding is all"),
        ([0.5, 0.6], "sum 1"),
        ([1.5, -0.5], "at least 0"),
        ([True, False], "needed: free, equal"),
        (Poisson, "needed: free, equal"),
        (None, "needed: free, equal"),
    ],
)
def test_words_that_name_no_law_are_refused(word, said):
    with pytest.raises(ConfigError, match="weights"):
        law_of(word)
    with pytest.raises(ConfigError) as caught:
        law_of(word)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("word", "K"),
    [
        *(("poisson", 1), ("zip", 2), ("binomial", 1), ({"binomial": 3}, 3)),
        *(("hardy_weinberg", 2), ([0.5, 0.5], 3), ({"dirichlet": [2, 2]}, 3)),
    ],
)
def test_numbers_of_components_without_meaning_are_refused(word, K):
    with pytest.raises(ConfigError, match=f"n_components {K} came"):
        law_of(word).n_free(K)
    with pytest.raises(ConfigError, match=f"n_components {K} came"):
        law_of(word).weights(np.ones((1, K)))
