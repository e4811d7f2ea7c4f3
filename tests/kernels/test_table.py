"""Every row of the table against the oracle, on mixtures that are easy, tight, far and absurd."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.kernels import reference, table
from gmm_dask.tree import add, fingerprint
from tests.kernels.mixtures import (
    KINDS,
    assert_same_sums,
    log_weights_of,
    prepared_of,
    rows_of,
    tolerance_of,
)

kinds = st.sampled_from(KINDS)
dtypes = st.sampled_from([np.float32, np.float64])


def both(prepared, log_weights, rows):
    return (
        table.e_step(prepared, log_weights, rows),
        reference.e_step(prepared, log_weights, rows),
    )


@settings(deadline=None, max_examples=60)
@given(
    kind=kinds,
    D=st.sampled_from([1, 2, 3, 5, 8, 11, 16, 17, 25, 35]),
    K=st.integers(1, 12),
    n=st.sampled_from([1, 2, 255, 256, 257, 700]),
    dtype=dtypes,
    spread=st.sampled_from([0.1, 1.0, 4.0, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_e_step_agrees_with_the_oracle(kind, D, K, n, dtype, spread, seed):
    prepared = prepared_of(kind, D, K, seed, spread)
    rows = rows_of(prepared, n, seed + 1, dtype)
    found, oracle = both(prepared, log_weights_of(K, seed), rows)
    assert_same_sums(found, oracle, prepared, tolerance_of(prepared))


@settings(deadline=None, max_examples=40)
@given(
    kind=kinds,
    D=st.sampled_from([1, 3, 10, 26]),
    K=st.integers(1, 6),
    n=st.sampled_from([1, 300]),
    dtype=dtypes,
    seed=st.integers(0, 2**31),
)
def test_values_per_row_agree_with_the_oracle(kind, D, K, n, dtype, seed):
    prepared, log_weights = prepared_of(kind, D, K, seed), log_weights_of(K, seed)
    rows = rows_of(prepared, n, seed + 1, dtype)
    log_prob = reference.log_prob(prepared, rows)
    size = np.abs(log_prob).max()
    np.testing.assert_allclose(table.log_prob(prepared, rows), log_prob, rtol=0, atol=1e-13 * size)
    norm = reference.log_sum_exp(log_prob + log_weights)
    resp = np.exp(log_prob + log_weights - norm[:, None])
    np.testing.assert_allclose(
        table.log_prob_norm(prepared, log_weights, rows), norm, rtol=0, atol=1e-13 * size
    )
    np.testing.assert_allclose(table.resp(prepared, log_weights, rows), resp, atol=1e-12 * size)
    found = table.assign(table.ready(prepared, log_weights), rows)
    np.testing.assert_array_equal(found.label, resp.argmax(axis=1))
    np.testing.assert_allclose(found.probability, resp.max(axis=1), atol=1e-12 * size)
    entropy = -np.where(resp > 0, resp * np.log(np.where(resp > 0, resp, 1)), 0).sum(axis=1)
    np.testing.assert_allclose(found.entropy, entropy, atol=1e-11 * size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 9, 16, 17, 30])
def test_moments_of_given_responsibilities(kind, D):
    prepared = prepared_of(kind, D, 4)
    rows = rows_of(prepared, 600)
    resp = np.random.default_rng(5).random((600, 4)) * [1, 1e-30, 0, 1]
    found = table.moments(prepared, rows, resp)
    oracle = reference.moments(prepared, rows, resp)
    for one, other in zip(found, oracle, strict=True):
        per_component = np.abs(other).reshape(len(other), -1).max(axis=1)
        size = per_component.reshape(-1, *[1] * (other.ndim - 1))
        assert (np.abs(one - other) <= 1e-12 * size).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [3, 26])
@pytest.mark.parametrize("ratio", [1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7])
def test_far_and_tight_components_lose_nothing(kind, D, ratio):
    # pairs of overlapping components, the pairs `ratio` standard deviations apart
    prepared = prepared_of(kind, D, 6, seed=int(np.log10(ratio)), spread=ratio)
    means = prepared.means.copy()
    means[1::2] = means[::2] + 1.0
    prepared = prepared._replace(means=means)
    found, oracle = both(prepared, log_weights_of(6), rows_of(prepared, 1500))
    assert_same_sums(found, oracle, prepared, tolerance_of(prepared))


@settings(deadline=None, max_examples=25)
@given(kind=kinds, D=st.sampled_from([3, 26]), cut=st.integers(1, 899), seed=st.integers(0, 2**31))
def test_split_and_merge(kind, D, cut, seed):
    prepared, log_weights = prepared_of(kind, D, 4, seed), log_weights_of(4, seed)
    rows = rows_of(prepared, 900, seed)
    model = table.ready(prepared, log_weights)
    parts = add(table.measure(model, rows[:cut]), table.measure(model, rows[cut:]))
    assert_same_sums(parts, table.measure(model, rows), prepared, tolerance_of(prepared))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [3, 26])
def test_hard_assignments(kind, D):
    prepared, log_weights = prepared_of(kind, D, 5, spread=0.5), log_weights_of(5)
    rows = rows_of(prepared, 700)
    found = table.measure(table.ready(prepared, log_weights, hard=True), rows)
    assert_same_sums(found, reference.hard_step(prepared, log_weights, rows), prepared)
    assert float(found.count.sum()) == 700


def test_hard_ties_go_to_the_first():
    prepared = prepared_of("full", 2, 1)
    twice = prepared._replace(
        means=np.repeat(prepared.means, 2, axis=0),
        factor=np.repeat(prepared.factor, 2, axis=0),
        log_norm=np.repeat(prepared.log_norm, 2),
    )
    rows = rows_of(prepared, 100)
    model = table.ready(twice, np.log([0.5, 0.5]), hard=True)
    np.testing.assert_array_equal(table.measure(model, rows).count, [[100, 0]])
    assert not table.assign(model, rows).label.any()


@settings(deadline=None, max_examples=25)
@given(
    kind=kinds,
    D=st.sampled_from([1, 3, 10, 26]),
    m=st.sampled_from([1, 2, 17, 20]),
    K=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_nearest_means(kind, D, m, K, seed):
    prepared = prepared_of(kind, D, K, seed)
    rows, metric = rows_of(prepared, 500, seed), np.random.default_rng(seed).normal(size=(D, m))
    model = table.ready_nearest(prepared, metric)
    oracle = reference.nearest_centre(prepared, metric, rows)
    found = table.measure(model, rows)
    assert_same_sums(found, oracle, prepared)
    assigned = table.assign(model, rows)
    np.testing.assert_array_equal(np.bincount(assigned.label, minlength=K), oracle.count[0])
    np.testing.assert_allclose(assigned.log_prob_norm.sum(), oracle.log_likelihood, rtol=1e-12)


def test_several_models_on_the_same_rows():
    models = [(prepared_of(kind, 4, K), log_weights_of(K)) for kind in KINDS for K in (1, 3)]
    rows = rows_of(models[0][0], 500)
    for (prepared, log_weights), found in zip(models, table.e_step_many(models, rows), strict=True):
        assert_same_sums(found, reference.e_step(prepared, log_weights, rows), prepared)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("D", "K"), [(2, 3), (10, 20), (40, 30)])
@pytest.mark.parametrize("compute_dtype", table.COMPUTE_DTYPES)
def test_working_bytes_bound_what_a_call_allocates(kind, D, K, compute_dtype):
    # tied components far apart would be computed in float64
    prepared = prepared_of(kind, D, K, spread=1.0 if kind == "tied" else 5.0)
    model = table.ready(prepared, log_weights_of(K), compute_dtype=compute_dtype)
    rows = rows_of(prepared, 2048)
    table.measure(model, rows)
    tracemalloc.start()
    table.measure(model, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # the constant is for small Python objects
    assert peak <= table.working_bytes(kind, K, D) + 2**16


def test_a_ready_model_can_travel():
    prepared, log_weights = prepared_of("full", 26, 4), log_weights_of(4)
    rows = rows_of(prepared, 300)
    model = table.ready(prepared, log_weights)
    expected = fingerprint(table.measure(model, rows))
    other = pickle.loads(pickle.dumps(model))
    assert other.layout.addresses != model.layout.addresses
    assert fingerprint(table.measure(other, rows)) == expected


@pytest.mark.parametrize(
    ("kind", "D", "spread", "name"),
    [
        ("full", 3, 2.0, "unrolled full"),
        ("full", 24, 0.1, "unrolled full"),
        ("full", 25, 0.1, "lists full"),
        ("full", 24, 20.0, "bounded full, bounded along 4 directions"),
        ("tied", 3, 1e5, "unrolled full"),
        ("diag", 40, 1.0, "lists diag"),
    ],
)
def test_the_row_of_the_table_is_named(kind, D, spread, name):
    assert table.describe(prepared_of(kind, D, 8, spread=spread)) == name
