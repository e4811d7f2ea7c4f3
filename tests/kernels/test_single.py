"""Single precision: within its stated bound of the oracle, and refused where the bound says so."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gmm_dask.kernels import reference, table
from gmm_dask.kernels.single import LIMIT, error_bound
from gmm_dask.tree import add, fingerprint, leaves
from tests.kernels.mixtures import KINDS, log_weights_of, prepared_of, rows_of, whitened

kinds = st.sampled_from(KINDS)


def ready(prepared, log_weights, hard=False):
    return table.ready(prepared, log_weights, hard, compute_dtype="float32")


def wider(prepared, widths):
    """Return the components with their deviations multiplied by `widths` (K,)."""
    D, factor = prepared.means.shape[1], prepared.factor
    if prepared.covariance_type == "tied":
        widths = np.full(len(prepared.means), widths[0])
        factor = factor / widths[0]
    else:
        factor = factor / widths.reshape(-1, *[1] * (factor.ndim - 1))
    return prepared._replace(factor=factor, log_norm=prepared.log_norm - D * np.log(widths))


def assert_within(found, oracle, prepared, bound):
    """Assert that sums differ by at most `bound` of each component's own covariance."""
    n = max(float(oracle.n_rows), 1.0)
    assert float(found.n_rows) == float(oracle.n_rows)
    assert float(found.n_underflow) == float(oracle.n_underflow)
    # the log density of a row is rounded itself, to parts in 2^24 of what it is made of
    size = n + abs(float(oracle.log_likelihood))
    assert abs(float(found.log_likelihood - oracle.log_likelihood)) <= bound * size
    np.testing.assert_allclose(found.count, oracle.count, rtol=0, atol=bound * n)
    count = oracle.count[0]
    for one, other in zip(whitened(prepared, found), whitened(prepared, oracle), strict=True):
        own = np.abs(other).reshape(len(other), -1).max(axis=1, initial=0.0)
        of_k = count if len(other) == len(count) else np.array([n])
        size = np.maximum(np.maximum(own, of_k), 1.0).reshape(-1, *[1] * (other.ndim - 1))
        assert (np.abs(one - other) <= bound * size).all()


@settings(deadline=None, max_examples=60)
@given(
    kind=kinds,
    D=st.sampled_from([1, 2, 3, 5, 8, 12, 15, 16, 24, 25, 33, 49, 64]),
    K=st.integers(1, 9),
    n=st.sampled_from([1, 2, 255, 256, 257, 600]),
    dtype=st.sampled_from([np.float32, np.float64]),
    spread=st.sampled_from([0.1, 1.0, 4.0, 30.0, 300.0]),
    uneven=st.sampled_from([0.0, 1.0, 2.0]),
    seed=st.integers(0, 2**31),
)
def test_sums_are_within_the_bound(kind, D, K, n, dtype, spread, uneven, seed):
    widths = np.exp(np.random.default_rng(seed).normal(0, uneven, K))
    prepared, log_weights = wider(prepared_of(kind, D, K, seed, spread), widths), log_weights_of(K)
    bound = float(error_bound(prepared, log_weights).max())
    assume(bound <= LIMIT)
    rows = rows_of(prepared, n, seed + 1, dtype)
    found = table.measure(ready(prepared, log_weights), rows)
    assert_within(found, reference.e_step(prepared, log_weights, rows), prepared, bound)


@settings(deadline=None, max_examples=40)
@given(
    kind=kinds,
    D=st.sampled_from([1, 3, 10, 26]),
    K=st.integers(1, 6),
    n=st.sampled_from([1, 300]),
    spread=st.sampled_from([0.3, 3.0, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_values_per_row_are_within_the_bound(kind, D, K, n, spread, seed):
    prepared, log_weights = prepared_of(kind, D, K, seed, spread), log_weights_of(K, seed)
    bound = float(error_bound(prepared, log_weights).max())
    assume(bound <= LIMIT)
    rows = rows_of(prepared, n, seed + 1)
    model = ready(prepared, log_weights)
    log_joint = reference.log_prob(prepared, rows) + log_weights
    norm = reference.log_sum_exp(log_joint)
    resp = np.exp(log_joint - norm[:, None])
    found_norm, found = table.posterior(model, rows)
    tolerance = bound * (1 + np.abs(norm))
    assert (np.abs(found_norm - norm) <= tolerance).all()
    np.testing.assert_allclose(found, resp, rtol=0, atol=bound)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=K * 2.0**-23)
    assigned = table.assign(model, rows)
    assert (np.abs(assigned.log_prob_norm - norm) <= tolerance).all()
    np.testing.assert_allclose(assigned.probability, resp.max(axis=1), rtol=0, atol=bound)
    second = np.sort(resp, axis=1)[:, -2] if K > 1 else np.zeros(n)
    clear = resp.max(axis=1) - second > 2 * bound
    np.testing.assert_array_equal(assigned.label[clear], resp.argmax(axis=1)[clear])
    entropy = -np.where(resp > 0, resp * np.log(np.where(resp > 0, resp, 1)), 0).sum(axis=1)
    # a share that errs by b moves the entropy by at most b |log b| for each component
    np.testing.assert_allclose(
        assigned.entropy, entropy, rtol=0, atol=K * bound * -np.log(bound / 2)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [3, 26])
def test_hard_assignments(kind, D):
    prepared, log_weights = prepared_of(kind, D, 5, spread=4.0), log_weights_of(5)
    rows = rows_of(prepared, 700)
    log_joint = np.sort(reference.log_prob(prepared, rows) + log_weights, axis=1)
    bound = float(error_bound(prepared, log_weights).max())
    rows = rows[log_joint[:, -1] - log_joint[:, -2] > 100 * bound]
    assert len(rows) > 400
    found = table.measure(ready(prepared, log_weights, hard=True), rows)
    oracle = reference.hard_step(prepared, log_weights, rows)
    np.testing.assert_array_equal(found.count, oracle.count)
    assert_within(found, oracle, prepared, bound)


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_has_a_row_of_the_table(kind):
    for D in range(1, 65):
        assert table.describe(prepared_of(kind, D, 3, spread=0.1), "float32").endswith("float32")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", [2.0**-660, 2.0**660])
def test_units_do_not_matter_to_the_last_bit(kind, unit):
    one = prepared_of(kind, 3, 4)
    other = one._replace(scale=one.scale * unit)
    rows = rows_of(one, 400)
    here = table.measure(ready(one, log_weights_of(4)), rows)
    there = table.measure(ready(other, log_weights_of(4)), rows * unit)
    assert fingerprint(here) == fingerprint(there)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deviation", [2.0**-300, 2.0**300])
def test_deviations_far_from_one_without_a_frame(kind, deviation):
    one = prepared_of(kind, 3, 4)
    other = one._replace(means=one.means * deviation, factor=one.factor / deviation)
    rows = rows_of(one, 400)
    here = table.measure(ready(one, log_weights_of(4)), rows)
    there = table.measure(ready(other, log_weights_of(4)), rows * deviation)
    np.testing.assert_array_equal(there.count, here.count)
    np.testing.assert_array_equal(there.moments.first, here.moments.first * deviation)
    np.testing.assert_array_equal(there.moments.second, here.moments.second * deviation**2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_offset_costs_nothing(kind, D, dtype):
    prepared, log_weights = prepared_of(kind, D, 3, shift=1e6), log_weights_of(3)
    rows = rows_of(prepared, 500, dtype=dtype)
    oracle = reference.e_step(prepared, log_weights, rows.astype(np.float64))
    bound = float(error_bound(prepared, log_weights).max())
    # the bound is of a mixture of that shape anywhere
    near = error_bound(prepared._replace(shift=np.zeros(D)), log_weights)
    assert bound == float(near.max())
    assert_within(table.measure(ready(prepared, log_weights), rows), oracle, prepared, bound)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_components_of_weight_zero_get_exactly_nothing(kind, D):
    prepared, log_weights = prepared_of(kind, D, 5), log_weights_of(5)
    log_weights[[1, 4]] = -np.inf
    rows = rows_of(prepared, 300)
    bound = float(error_bound(prepared, log_weights).max())
    found = table.measure(ready(prepared, log_weights), rows)
    assert_within(found, reference.e_step(prepared, log_weights, rows), prepared, bound)
    assert not found.count[0, [1, 4]].any()
    assert not found.moments.first[[1, 4]].any()
    assert not table.posterior(ready(prepared, log_weights), rows)[1][:, [1, 4]].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_rows_far_from_every_component_are_computed_in_float64(kind, D):
    prepared, log_weights = prepared_of(kind, D, 4), log_weights_of(4)
    log_weights[2] = -np.inf
    far = np.outer([1e2, 1e5, 1e12, 1e25, 1e100, 1e155, 1e200, 1e300], np.arange(1, D + 1))
    double, single = table.ready(prepared, log_weights), ready(prepared, log_weights)
    there, here = table.measure(double, far), table.measure(single, far)
    assert float(here.n_underflow) == float(there.n_underflow) > 0
    assert fingerprint(here) == fingerprint(there)
    for one, other in zip(table.posterior(single, far), table.posterior(double, far), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(table.assign(single, far), table.assign(double, far), strict=True):
        np.testing.assert_array_equal(one, other)
    # in the company of others
    rows = rows_of(prepared, 600)
    mixed = np.insert(rows, [0, 7, 255, 256, 300, 511, 599, 600], far, axis=0)
    parts = add(table.measure(single, rows), table.measure(single, far))
    found = table.measure(single, mixed)
    assert float(found.n_underflow) == float(there.n_underflow)
    np.testing.assert_allclose(found.count, parts.count, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_treated_as_in_float64(kind, D, value):
    prepared, log_weights = prepared_of(kind, D, 3), log_weights_of(3)
    rows = rows_of(prepared, 300)
    rows[17, 1] = value
    double, single = table.ready(prepared, log_weights), ready(prepared, log_weights)
    with np.errstate(all="ignore"):
        there, here = table.measure(double, rows), table.measure(single, rows)
        expected, found = table.posterior(double, rows), table.posterior(single, rows)
    for one, other in zip(leaves(here), leaves(there), strict=True):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one[17], other[17])
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_sums_do_not_end_where_float32_counts_end():
    # 2^24 + 1 = 2^24 in float32
    n = 2**24 + 1000
    prepared = prepared_of("spherical", 1, 1)
    prepared = prepared._replace(means=np.zeros((1, 1)), factor=np.ones(1))
    rows = np.ones((n, 1), dtype=np.float32)
    found = table.measure(ready(prepared, np.zeros(1)), rows)
    assert float(found.count[0, 0]) == n
    assert float(found.moments.first[0, 0]) == n
    # r * (c - log density) is rounded in each row, alike
    np.testing.assert_allclose(found.moments.second, n, rtol=2.0**-23)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_rounded_means_do_not_shift_the_moments(kind, D):
    # rows that float32 holds exactly, a mean that it does not: all that is rounded is the mean
    whole = 30 if kind == "tied" else 300
    mean = whole + 1 / 3000
    prepared = prepared_of(kind, D, 1)._replace(means=np.full((1, D), mean))
    identity = {"full": np.eye(D)[None], "tied": np.eye(D), "diag": np.ones((1, D))}
    prepared = prepared._replace(factor=identity.get(kind, np.ones(1)))
    rows = whole + np.random.default_rng(0).integers(-8, 9, (500, D)) / 64.0
    exact = [float(sum(Fraction(x) - Fraction(mean) for x in column)) for column in rows.T]
    model = ready(prepared, np.zeros(1))
    assert model.single
    found = table.measure(model, rows)
    # differences and their sums over a tile are multiples of 2^-24 of the tile's unit and below
    # it: nothing is rounded. Without the correction: 500 rows times 4e-7 or more
    np.testing.assert_allclose(found.moments.first[0], exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("D", [3, 26])
def test_rounded_constants_do_not_shift_the_log_likelihood(D):
    # all rows belong to a component whose constant lies half a unit in the last place (2^-15)
    # between two numbers of float32
    prepared, constants = prepared_of("diag", D, 2), np.array([0.0, -700 - 2.0**-15])
    means = np.zeros((2, D))
    means[0] = 50 / np.sqrt(D)
    prepared = prepared._replace(means=means, factor=np.ones((2, D)), log_norm=constants)
    rows = np.random.default_rng(0).normal(size=(4000, D))
    found = table.measure(ready(prepared, np.zeros(2)), rows).log_likelihood
    expected = reference.e_step(prepared, np.zeros(2), rows).log_likelihood
    # without the correction 3e-5; the rows' own errors of up to 3e-5 average out
    assert abs(float(found - expected)) / 4000 < 3e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_ready_model_can_travel(kind):
    prepared, log_weights = prepared_of(kind, 26, 4), log_weights_of(4)
    rows = rows_of(prepared, 300)
    model = ready(prepared, log_weights)
    expected = fingerprint(table.measure(model, rows))
    assert fingerprint(table.measure(pickle.loads(pickle.dumps(model)), rows)) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [3, 26])
def test_no_rows_and_sums_of_float64(kind, D):
    prepared, log_weights = prepared_of(kind, D, 3), log_weights_of(3)
    model = ready(prepared, log_weights)
    none = table.measure(model, np.empty((0, D), np.float32))
    oracle = reference.e_step(prepared, log_weights, np.empty((0, D)))
    assert fingerprint(none) == fingerprint(oracle)
    some = table.measure(model, np.ones((5, D), np.float32))
    assert all(leaf.dtype == np.float64 for leaf in leaves(some))
