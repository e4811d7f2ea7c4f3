"""The law of droplets against simulated molecules, direct maximisation and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from gmm_dask.errors import ConfigError
from gmm_dask.laws.droplets import Droplets

GRIDS = [(1,), (4,), (1, 1), (2, 1), (2, 3)]
TAILS = ("lumped", "renormalised", "open")
LAWS = [
    Droplets(levels, tail, linkage)
    for levels in GRIDS
    for tail in TAILS
    for linkage in (("free", "none") if len(levels) == 2 else ("free",))
]
laws = pytest.mark.parametrize("law", LAWS, ids=str)
RATES = np.array([[0.7, 0.4, 0.25], [0.05, 1.6, 0.01]])


def drawn(law, rates, n, seed=0):
    """Return how many of n droplets fall in each component, molecule by molecule; -1 in none."""
    rng = np.random.default_rng(seed)
    molecules = rng.poisson(rates, (n, len(rates)))
    shown = molecules[:, : len(law.levels)].copy()
    if law.n_species == 3:
        shown += molecules[:, 2:]
    top = np.array(law.levels)
    if law.tail == "lumped":
        shown = np.minimum(shown, top)
    shown = shown[(shown <= top).all(axis=1)]
    label = np.ravel_multi_index(tuple(shown.T), [m + 1 for m in law.levels])
    return np.bincount(label, minlength=law.n_components)


@laws
def test_weights_are_the_shares_of_drawn_molecules(law):
    rates, n = RATES[0, : law.n_species], 200_000
    count = drawn(law, rates, n)
    weights = law.at(rates[None]).weights[0]
    total = count.sum() if law.tail == "renormalised" else n
    error = np.sqrt(weights * (1 - weights) / total)
    assert (np.abs(count / total - weights) < 4.5 * error + 1e-12).all()  # of at most 12 cells
    whole = weights.sum()
    assert whole < 1 - 1e-4 if law.tail == "open" else abs(whole - 1) < 1e-14


@laws
def test_derivatives_are_those_of_finite_differences(law):
    rates, h = RATES[:, : law.n_species], 1e-5
    here = law.at(rates)
    for s in range(law.n_species):
        step = h * np.eye(law.n_species)[s]
        up, down = law.at(rates + step), law.at(rates - step)
        np.testing.assert_allclose(
            here.first[..., s], (up.weights - down.weights) / (2 * h), atol=1e-9
        )
        np.testing.assert_allclose(
            here.second[..., s, :], (up.first - down.first) / (2 * h), atol=1e-9
        )


@laws
def test_lambdas_maximise_the_likelihood_of_counts(law):
    """No start of a bounded quasi-Newton search over lambda finds more."""
    count = np.random.default_rng(1).uniform(1, 40, (2, law.n_components))
    found = law.weights(count)
    for g in range(2):

        def lost(rates, g=g):
            return -(count[g] * np.log(law.at(rates[None]).weights[0])).sum() / count[g].sum()

        tried = [
            minimize(lost, np.full(law.n_species, x), bounds=[(1e-12, 20)] * law.n_species).fun
            for x in (0.1, 1.0, 3.0)
        ]
        value = -(count[g] * np.log(found[g])).sum() / count[g].sum()
        assert value <= min(tried) + 1e-9


@laws
def test_weights_inside_the_law_give_their_lambdas_back(law):
    rates = RATES[:, : law.n_species]
    weights = law.at(rates).weights
    np.testing.assert_allclose(law.rates(weights), rates, rtol=1e-7)
    np.testing.assert_allclose(law.project(weights), weights, rtol=1e-8)


def test_one_target_told_positive_from_negative_is_the_classic_estimator():
    weights = Droplets((1,)).weights(np.array([[700.0, 300.0]]))
    np.testing.assert_allclose(Droplets((1,)).rates(weights), [[-np.log(0.7)]], rtol=1e-14)


def test_two_targets_with_linked_molecules_take_any_counts_with_more_doubles_than_chance():
    count = np.array([[13838.0, 81.0, 4.0, 1897.0]])
    np.testing.assert_allclose(Droplets().weights(count), count / count.sum(), rtol=1e-12)


def test_fewer_doubles_than_chance_put_the_linked_species_on_its_boundary():
    count = np.array([[70.0, 30.0, 30.0, 1.0]])
    law = Droplets()
    found = law.parameters(law.weights(count))
    assert found["lambda_AB"] == 0
    np.testing.assert_allclose(found["lambda_A"], -np.log(100 / 131), rtol=1e-12)
    general = Droplets((2, 2)).weights(np.array([[70.0, 30, 5, 30, 1, 0, 5, 0, 0]]))
    assert Droplets((2, 2)).rates(general)[0, 2] == pytest.approx(0, abs=1e-12)


def test_wells_without_positives_or_without_negatives_have_finite_lambdas():
    law = Droplets()
    weights = law.weights(np.array([[900.0, 0, 0, 0], [0, 0, 0, 900.0], [0, 0, 9, 0]]))
    rates = law.rates(weights)
    assert np.isfinite(weights).all()
    assert np.isfinite(rates).all()
    assert (rates[0] == 0).all()
    assert weights[0, 0] == 1
    assert rates[1, 2] > 30


@laws
def test_droplets_of_one_class_alone_have_finite_lambdas(law):
    rates = law.rates(law.weights(100.0 * np.eye(law.n_components)))
    assert np.isfinite(rates).all()
    assert (rates >= 0).all()


def test_tails_give_the_lambdas_that_statistics_tells_of():
    """One target, lambda 2.6, droplets saturate at 5 copies: lumped is right, others are not."""
    count = drawn(Droplets((5,)), np.array([2.6]), 10_000_000)[None].astype(float)
    found = {
        t: float(Droplets((5,), t).rates(Droplets((5,), t).weights(count))[0, 0]) for t in TAILS
    }
    assert found["lumped"] == pytest.approx(2.6, abs=0.002)
    assert found["renormalised"] > 2.7
    assert found["open"] < 2.55


@pytest.mark.parametrize(
    "words", [{"levels": (0,)}, {"levels": (1, 1, 1)}, {"tail": "cut"}, {"linkage": "some"}]
)
def test_a_law_that_cannot_be_is_refused(words):
    with pytest.raises(ConfigError, match="needed"):
        Droplets(**words)


def test_other_numbers_of_components_are_refused():
    with pytest.raises(ConfigError, match="4 components for copies up to"):
        Droplets().n_free(5)
