"""Fits under laws of the weights: optima, monotone objectives, counts of parameters, files."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.base import clone

from gmm_dask import ConfigError, FormatError, GaussianMixture, fit_many
from gmm_dask.laws.named import law_of
from gmm_dask.laws.poisson import Poisson
from gmm_dask.sound import check_mixture
from tests.laws.helpers import copies, interrupted

K = 3
WORDS = [
    *("equal", "poisson", {"poisson": "renormalised"}, {"poisson": "open"}, "zip", "binomial"),
    *("hardy_weinberg", {"hardy_weinberg": "inbreeding"}, [0.5, 0.3, 0.2], {"dirichlet": 20.0}),
]
words = pytest.mark.parametrize("word", WORDS, ids=str)


def from_free(word, free):
    """Return weights of a law, up to order as scipy finds them, from free coordinates (m,)."""
    law = law_of(word)
    if law.n_free(K) == 0:
        return law.weights(np.ones((1, K)))[0]
    if word == "zip":
        # a saturated law where lambda is free and no zeros lack: pi_0 and the ratio of the others
        zeros, rate = 1 / (1 + math.exp(-free[1])), math.exp(free[0])
        weights = (1 - zeros) * Poisson().at(np.array([rate]), K)[0]
        weights[0] += zeros
        return weights
    if isinstance(law, Poisson):
        return law.at(np.exp(free[:1]), K)[0]
    if law.n_free(K) == 1:
        return stats.binom.pmf(range(K), K - 1, 1 / (1 + math.exp(-free[0])))
    logits = np.array([0.0, *free])
    return np.exp(logits) / np.exp(logits).sum()


def lost(at, x, word):
    """Return minus the objective at means, log standard deviation and coordinates of weights."""
    weights = from_free(word, at[K + 1 :])
    log_density = stats.norm.logpdf(x[:, None], at[:K], math.exp(at[K]))
    with np.errstate(divide="ignore"):
        joint = log_density + np.log(weights)
    return -np.logaddexp.reduce(joint, axis=1).sum() - law_of(word).log_prior(weights[None])


@words
@pytest.mark.parametrize("accelerate", [False, True])
def test_the_optimum_is_that_of_direct_maximisation(word, accelerate):
    x = copies(400, [0.45, 0.35, 0.2], spread=0.35, seed=5)
    found = fit_many(
        x, K, "tied", weights=word, n_init=2, tol=1e-12, random_state=0, accelerate=accelerate
    ).best
    assert (np.diff(found.means_[:, 0]) > 0).all() or word in ("equal", {"dirichlet": 20.0})
    order = np.argsort(found.means_[:, 0])
    m = law_of(word).n_free(K)
    log_std = 0.5 * math.log(found.covariances_[0, 0])
    start = np.array([*found.means_[order, 0], log_std, *np.zeros(m)])
    ends = [
        optimize.minimize(lost, start + shift, (x[:, 0], word), method="BFGS")
        for shift in (0.0, 0.1)
    ]
    best = min(ends, key=lambda end: end.fun)
    weights = found.weights_[order]
    ours = stats.norm.logpdf(x, found.means_[order, 0], math.exp(log_std)) + np.log(weights)
    objective = np.logaddexp.reduce(ours, axis=1).sum() + law_of(word).log_prior(weights[None])
    assert objective >= -best.fun - 1e-6  # of some -500: what tol leaves
    np.testing.assert_allclose(weights, from_free(word, best.x[K + 1 :]), atol=2e-4)
    np.testing.assert_allclose(found.means_[order, 0], best.x[:K], atol=2e-3)


@words
@pytest.mark.parametrize("accelerate", ["", "squarem", "daarem"])
def test_the_objective_never_falls(word, accelerate):
    from gmm_dask import ArraySource, Grid, LocalEngine, run_grid

    x = copies(600, [0.5, 0.3, 0.2], spread=0.9, seed=2)
    grid = Grid((K,), ("full",), tol=1e-10, max_iter=200, accelerate=accelerate, law=law_of(word))
    candidate = run_grid(ArraySource(x), grid, LocalEngine()).candidates[0]
    bounds = np.array(candidate.lower_bounds)
    assert (np.diff(bounds) >= -1e-12 * np.abs(bounds[:-1])).all()
    weights = candidate.mixture.weights
    np.testing.assert_allclose(law_of(word).project(weights), weights, rtol=1e-9)


@words
def test_integer_weights_are_repeated_rows(word):
    x = copies(120, [0.5, 0.3, 0.2], spread=0.4, seed=4)
    times = np.random.default_rng(0).integers(0, 4, len(x))
    start = {"means_init": [[0.0], [2.0], [4.0]], "weights_init": [0.4, 0.4, 0.2]}
    start |= {"precisions_init": [[6.0]], "covariance_type": "tied"}
    model = GaussianMixture(K, weights=word, tol=1e-10, max_iter=300, random_state=0, **start)
    weighted = clone(model).fit(x, sample_weight=times)
    repeated = clone(model).fit(np.repeat(x, times, axis=0))
    np.testing.assert_allclose(weighted.weights_, repeated.weights_, atol=1e-8)
    np.testing.assert_allclose(weighted.means_, repeated.means_, atol=1e-7)


@words
def test_parameters_are_counted(word):
    x = copies(200, [0.5, 0.3, 0.2], spread=0.4, seed=1)
    model = GaussianMixture(K, covariance_type="tied", weights=word, random_state=0).fit(x)
    expected = {"equal": 0, "poisson": 1, "zip": 2, "binomial": 1, "hardy_weinberg": 1}
    of_dict = {"dirichlet": 2, "poisson": 1, "hardy_weinberg": 2}
    law = 0 if isinstance(word, list) else None
    law = of_dict[next(iter(word))] if isinstance(word, dict) else law
    law = expected[word] if isinstance(word, str) else law
    assert model.n_parameters == K + 1 + law
    score = model.score(x) * len(x)
    assert model.bic(x) == pytest.approx(-2 * score + (K + 1 + law) * math.log(len(x)))


@words
def test_a_model_comes_back_from_its_file(word, tmp_path):
    x = copies(200, [0.5, 0.3, 0.2], spread=0.4, seed=1)
    model = GaussianMixture(K, weights=word, random_state=0).fit(x)
    model.save(tmp_path / "m")
    again = GaussianMixture.load(tmp_path / "m")
    assert again.mixture_.fingerprint == model.mixture_.fingerprint
    assert law_of(again.weights) == law_of(word)
    for name, value in model.law_.items():
        np.testing.assert_array_equal(again.law_[name], value)


@pytest.mark.parametrize("word", ["poisson", {"dirichlet": 3.0}, [0.5, 0.3, 0.2]], ids=str)
def test_a_resumed_fit_has_the_bits_of_an_undisturbed_one(word, tmp_path):
    x = copies(500, [0.5, 0.3, 0.2], spread=0.8, seed=3)
    words = {"weights": word, "random_state": 0, "tol": 1e-9}
    whole = fit_many(x, K, **words).best
    with interrupted(after=8) as stop:
        fit_many(x, K, checkpoint=tmp_path, callback=stop, **words)
    again = fit_many(x, K, checkpoint=tmp_path, resume="require", **words).best
    assert again.mixture_.fingerprint == whole.mixture_.fingerprint


def test_another_law_is_another_run(tmp_path):
    from gmm_dask import CheckpointError

    x = copies(300, [0.5, 0.3, 0.2], spread=0.8, seed=3)
    with interrupted(after=3) as stop:
        fit_many(x, K, weights="poisson", checkpoint=tmp_path, callback=stop, random_state=0)
    with pytest.raises(CheckpointError):
        fit_many(x, K, weights="zip", checkpoint=tmp_path, resume="require", random_state=0)


def test_a_law_that_does_not_take_a_k_is_refused_before_any_pass():
    x = copies(50, [0.5, 0.3, 0.2], spread=0.4, seed=1)
    with pytest.raises(ConfigError, match="hardy_weinberg needs 3 components"):
        fit_many(x, [2, 3], weights="hardy_weinberg")
    with pytest.raises(ConfigError, match="weights: 'often' came"):
        GaussianMixture(2, weights="often").fit(x)


@pytest.mark.slow
def test_copies_begin_at_the_lowest_whatever_the_start():
    """A swapped labelling is an optimum of its own, and much worse: lambda would count downwards.

    The best of a few starts has the lowest cluster as no copies. (Of random rows, all four miss the
    clusters, under free weights as well.)
    """
    x = copies(300, [0.6, 0.3, 0.1], spread=0.2, seed=8)
    kinds = ("merging", "kmeans", "k-means||", "k-means++")
    for kind in kinds:
        words = {"weights": "poisson", "init_params": kind, "n_init": 4, "random_state": 1}
        model = fit_many(x, K, "tied", **words).best
        assert (np.diff(model.means_[:, 0]) > 0).all(), kind
        assert model.weights_[0] == pytest.approx(0.6, abs=0.08)


def test_weights_that_are_given_are_brought_inside_the_law():
    x = copies(300, [0.5, 0.3, 0.2], spread=0.3, seed=0)
    given = {"means_init": [[0.0], [2.0], [4.0]], "weights_init": [0.1, 0.1, 0.8]}
    model = GaussianMixture(K, weights="poisson", max_iter=1, **given)
    with pytest.warns(UserWarning, match="max_iter"):
        model.fit(x)
    np.testing.assert_allclose(law_of("poisson").project(model.weights_[None])[0], model.weights_)


def test_a_damaged_law_is_refused():
    from dataclasses import replace

    x = copies(100, [0.5, 0.3, 0.2], spread=0.4, seed=1)
    mixture = GaussianMixture(K, weights="poisson", random_state=0).fit(x).mixture_
    assert check_mixture(mixture, "m") is mixture
    open_ = GaussianMixture(K, weights={"poisson": "open"}, random_state=0).fit(x).mixture_
    assert open_.weights.sum() < 0.99
    assert check_mixture(open_, "m") is open_
    wrong = {
        "no law": replace(mixture, law="poisson"),
        "sum to one": replace(mixture, weights=0.5 * mixture.weights),
        "needs 2 components": replace(mixture, law=law_of([0.5, 0.5])),
        "group_share has shape": replace(mixture, group_share=np.ones(2) / 2),
        "shares of the rows": replace(mixture, group_share=np.array([0.5])),
    }
    for said, value in wrong.items():
        with pytest.raises(FormatError, match=said):
            check_mixture(value, "m")
