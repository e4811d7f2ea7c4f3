"""What every weight law must do. A new law joins by one line in `LAWS`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask import tree
from gmm_dask.laws.droplets import Droplets
from gmm_dask.laws.genotypes import Binomial, HardyWeinberg
from gmm_dask.laws.named import law_of, law_word
from gmm_dask.laws.poisson import Poisson, ZeroInflatedPoisson
from gmm_dask.laws.simple import Dirichlet, Equal, Fixed, Free
from gmm_dask.state import MODEL_CODEC

# A law, and how many components it takes.
LAWS = [
    (Free(), 4),
    (Equal(), 4),
    (Fixed((0.5, 0.2, 0.2, 0.1)), 4),
    (Dirichlet(2.5), 4),
    (Dirichlet((1.0, 2.0, 3.0, 4.0)), 4),
    *((Poisson(tail), 4) for tail in ("lumped", "renormalised", "open")),
    (Poisson(), 2),
    *((ZeroInflatedPoisson(tail), 5) for tail in ("lumped", "renormalised", "open")),
    (Binomial(), 4),
    (Binomial(2), 3),
    (HardyWeinberg(), 3),
    (HardyWeinberg(inbreeding=True), 3),
    (Droplets(), 4),
    (Droplets((1, 1), linkage="none"), 4),
    (Droplets((1,)), 2),
]
laws = pytest.mark.parametrize(("law", "K"), LAWS, ids=[f"{law} {K}" for law, K in LAWS])


def counts(K, G=3, seed=0):
    return np.random.default_rng(seed).uniform(1, 50, (G, K))


def complete(law, count, weights):
    """Return the expected complete log-likelihood plus the log prior."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(count > 0, count * np.log(weights), 0.0)
    return terms.sum() + law.log_prior(weights)


@laws
def test_weights_are_shares(law, K):
    count = counts(K)
    count[1, 1] = 0.0
    weights = law.weights(count)
    assert weights.shape == count.shape
    assert (weights >= 0).all()
    total = weights.sum(axis=1)
    if "open" in repr(law):
        assert (total < 1).all()
    else:
        np.testing.assert_allclose(total, 1.0, rtol=1e-12)


@laws
@settings(derandomize=True, max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_weights_maximise_the_complete_likelihood(law, K, seed):
    rng = np.random.default_rng(seed)
    count = rng.uniform(0, 1, (1, K)) ** 3 * 10.0 ** rng.integers(-3, 7)
    best = complete(law, count, law.weights(count))
    for _ in range(10):
        other = law.weights(count * rng.uniform(0.5, 2.0, count.shape))
        assert complete(law, count, other) <= best + 1e-12 * (1 + abs(best))


@laws
def test_each_group_is_its_own(law, K):
    count = counts(K)
    one_by_one = [law.weights(count[g : g + 1])[0] for g in range(len(count))]
    np.testing.assert_allclose(law.weights(count), one_by_one, rtol=1e-14)


@laws
def test_counts_scale_out(law, K):
    if isinstance(law, Dirichlet):  # a prior weighs rows
        return
    count = counts(K)
    np.testing.assert_allclose(law.weights(count), law.weights(1e9 * count), rtol=1e-12)


@laws
def test_a_group_without_rows_has_the_weights_of_all(law, K):
    count = counts(K)
    count[1] = 0.0
    weights = law.weights(count)
    assert np.isfinite(weights).all()
    if not isinstance(law, Dirichlet):
        pooled = law.weights(count.sum(axis=0, keepdims=True))[0]
        np.testing.assert_allclose(weights[1], pooled, rtol=1e-12)


@laws
def test_rows_in_one_component_alone_give_finite_answers(law, K):
    weights = law.weights(100.0 * np.eye(K))
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    for name, value in law.parameters(weights).items():
        assert np.isfinite(value).all(), name


@laws
def test_projecting_leaves_what_is_inside(law, K):
    weights = law.weights(counts(K))
    np.testing.assert_allclose(law.project(weights), weights, rtol=1e-11)


@laws
def test_projections_are_inside(law, K):
    other = counts(K, seed=3)
    inside = law.project(other / other.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(law.project(inside), inside, rtol=1e-11)


@laws
def test_parameters_come_by_group(law, K):
    for value in law.parameters(law.weights(counts(K))).values():
        assert value.shape == (3,)


@laws
def test_free_parameters_are_the_dimensions_of_the_set(law, K):
    """The rank of the map from counts to weights, by finite differences (the prior aside)."""
    if isinstance(law, Dirichlet):
        assert law.n_free(K) == K - 1
        return
    count = counts(K, G=1)
    count[0, 0] += 100.0  # zeros in excess
    steps = [law.weights(count * (1 + 1e-5 * np.eye(K)[k])) - law.weights(count) for k in range(K)]
    size = np.linalg.svd(np.concatenate(steps), compute_uv=False)
    assert (size > 1e-8).sum() == law.n_free(K)


@laws
def test_words_and_files_give_the_law_back(law, K):
    assert law_of(law_word(law)) == law
    assert law_of(law) is law
    assert MODEL_CODEC.decode(*MODEL_CODEC.encode(law)) == law
    assert tree.fingerprint(law) == tree.fingerprint(law_of(law_word(law)))


@laws
def test_clusters_are_put_in_order_where_components_have_a_meaning(law, K):
    means = np.array([[3.0, 0.1], [0.0, 0.0], [9.0, 0.2], [6.0, 0.1], [12.0, 0.3]])[:K]
    count = np.array([1.0, 5.0, 2.0, 3.0, 4.0])[:K]
    order = law.arranged(count, means)
    assert sorted(order) == list(range(K))
    if isinstance(law, Fixed):
        by_size = np.argsort(-count[order])
        assert (np.diff(np.array(law.values)[by_size]) <= 0).all()  # larger for the larger
    elif law.ordered:
        assert (np.diff(means[order, 0]) > 0).all()
    else:
        np.testing.assert_array_equal(order, np.arange(K))
