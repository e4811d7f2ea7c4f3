"""Rows in runs of one home: what bounds skip is below the bound, whatever rows and components."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.kernels import near as nearby
from gmm_dask.kernels import reference, table
from gmm_dask.kernels.fused import Model, e_step
from gmm_dask.kernels.layout import layout
from gmm_dask.kernels.methods import Method
from gmm_dask.kernels.types import GaussianPrepared
from gmm_dask.tree import fingerprint
from tests.kernels.mixtures import assert_same_sums, log_weights_of, prepared_of, rows_of


def model_of(prepared: GaussianPrepared, log_weights: np.ndarray) -> Model:
    """Return a model that meets rows in runs, however few its components are."""
    base = layout(prepared, log_weights, bounded=False)
    method = Method("near", "full", 64)
    near = nearby.arranged(prepared, base, method, nearby.distances(prepared, base))
    return Model(prepared, log_weights, base, near=near)


def assert_like_the_oracle(prepared, log_weights, rows):
    found = e_step(model_of(prepared, log_weights), rows)
    assert_same_sums(found, reference.e_step(prepared, log_weights, rows), prepared)
    return found


def unequal(D: int, K: int, seed: int, spread: float) -> GaussianPrepared:
    """Return components of scales between 1e-3 and 1e3 about each other."""
    rng = np.random.default_rng(seed)
    prepared = prepared_of("full", D, K, seed, spread)
    size = np.exp(rng.uniform(-7, 7, K))
    factor = prepared.factor / size[:, None, None]
    return prepared._replace(factor=factor, log_norm=prepared.log_norm - D * np.log(size))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    D=st.sampled_from([1, 5, 10, 35]),
    K=st.integers(2, 40),
    n=st.sampled_from([1, 2, 64, 65, 700]),
    dtype=st.sampled_from([np.float32, np.float64]),
    spread=st.sampled_from([0.1, 2.0, 6.0, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_agrees_with_the_oracle(D, K, n, dtype, spread, seed):
    prepared = prepared_of("full", D, K, seed, spread)
    assert_like_the_oracle(prepared, log_weights_of(K, seed), rows_of(prepared, n, seed + 1, dtype))


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    D=st.sampled_from([5, 10]),
    K=st.integers(2, 30),
    spread=st.sampled_from([1.0, 30.0, 1e4]),
    seed=st.integers(0, 2**31),
)
def test_components_of_every_size_agree_with_the_oracle(D, K, spread, seed):
    prepared = unequal(D, K, seed, spread)
    assert_like_the_oracle(prepared, log_weights_of(K, seed), rows_of(prepared, 300, seed))


@pytest.mark.parametrize("seed", range(3))
def test_flat_components_agree_with_the_oracle(seed):
    """Flat in one direction that is common to all, and nearly so in another."""
    K, D = 12, 5
    prepared = prepared_of("full", D, K, 4, spread=3.0)
    factor = np.triu(prepared.factor * np.array([1.0, 1.0, 1.0, 1e4, 1e9]))
    prepared = prepared._replace(factor=factor, log_norm=prepared.log_norm + np.log(1e13))
    rng = np.random.default_rng(seed)
    label, z = rng.integers(K, size=500), rng.normal(size=(500, 1, D))
    rows = prepared.means[label] + (z @ np.linalg.inv(factor)[label])[:, 0]
    found = e_step(model_of(prepared, log_weights_of(K)), rows)
    # a coordinate of size 3 is rounded by 2^-53 of itself: 3e-7 of a deviation of 1e-9
    oracle = reference.e_step(prepared, log_weights_of(K), rows)
    assert_same_sums(found, oracle, prepared, tolerance=1e-6)


@pytest.mark.parametrize("far", [1e3, 1e8, 1e100, 1e150, 1e160, 1e300])
def test_rows_far_from_all_are_counted_and_change_no_other(far):
    prepared = prepared_of("full", 5, 20, 1, spread=6.0)
    rows = rows_of(prepared, 400)
    rows[7, 2] = far
    rows[300] = -far
    found = assert_like_the_oracle(prepared, log_weights_of(20), rows)
    assert float(found.n_underflow) == (2 if far > 1e152 else 0) or far == 1e150


def test_rows_in_other_units_and_far_from_0_agree_with_the_oracle():
    prepared = prepared_of("full", 10, 30, 3, spread=6.0, unit=2.0**-20, shift=1e3)
    assert_like_the_oracle(prepared, log_weights_of(30), rows_of(prepared, 500))


def test_components_of_weight_0_get_nothing():
    prepared, log_weights = prepared_of("full", 4, 20, 3, spread=4.0), log_weights_of(20)
    log_weights[[0, 7, 19]] = -np.inf
    found = assert_like_the_oracle(prepared, log_weights, rows_of(prepared, 500))
    assert (found.count[0, [0, 7, 19]] == 0).all()


def test_equal_components_share_their_rows():
    prepared = prepared_of("full", 4, 12, 3, spread=5.0)
    twice = GaussianPrepared(
        "full", prepared.shift, prepared.scale,
        *(np.repeat(array, 2, axis=0) for array in prepared[3:]),
    )  # fmt: skip
    found = assert_like_the_oracle(twice, np.full(24, -np.log(24)), rows_of(prepared, 600))
    np.testing.assert_array_equal(found.count[0, ::2], found.count[0, 1::2])


@pytest.fixture(scope="module")
def many():
    """Return 300 clusters in ten columns, log weights and rows."""
    prepared = prepared_of("full", 10, 300, 1, spread=5.0)
    return prepared, log_weights_of(300), rows_of(prepared, 6000)


def test_many_separated_components_are_met_in_runs_within_the_bound(many):
    prepared, log_weights, rows = many
    model = table.ready(prepared, log_weights)
    assert table.describe_ready(model).startswith("near full")
    found, exact = table.measure(model, rows), table.measure(model.exact, rows)
    assert_same_sums(found, exact, prepared)
    rounding = 1e-13 * abs(float(exact.log_likelihood))
    skipped = float(exact.log_likelihood - found.log_likelihood)
    assert abs(skipped) <= len(rows) * nearby.skipped_bound(300, 10) + rounding


def test_what_is_skipped_stays_within_the_bound_where_many_are_near_it():
    prepared = prepared_of("full", 4, 200, 2, spread=5.0)
    log_weights, rows = np.full(200, -np.log(200)), rows_of(prepared, 3000)
    found = e_step(model_of(prepared, log_weights), rows)
    exact = reference.e_step(prepared, log_weights, rows)
    skipped = float(exact.log_likelihood - found.log_likelihood)
    assert -1e-12 * abs(float(exact.log_likelihood)) <= skipped
    assert skipped <= len(rows) * nearby.skipped_bound(200, 4) + 1e-13 * len(rows)


def test_bits_depend_on_rows_and_model_alone(many):
    prepared, log_weights, rows = many
    model = table.ready(prepared, log_weights)
    first = fingerprint(table.measure(model, rows))
    assert fingerprint(table.measure(table.ready(prepared, log_weights), rows.copy())) == first
    assert fingerprint(table.measure(pickle.loads(pickle.dumps(model)), rows)) == first


def test_other_questions_are_answered_in_whole_tiles(many):
    prepared, log_weights, rows = many
    model, rows = table.ready(prepared, log_weights), rows[:400]
    weight = np.full(400, 2.0)
    twice = table.measure(model, rows, weight)
    assert_same_sums(twice, table.measure(model, np.repeat(rows, 2, axis=0)), prepared)
    found = table.assign(model, rows)
    np.testing.assert_array_equal(found.label, table.assign(model.exact, rows).label)
    assert table.ready(prepared, log_weights, hard=True).near is None


@pytest.mark.parametrize(("K", "spread"), [(100, 6.0), (300, 0.5)])
def test_few_or_overlapping_components_are_met_in_whole_tiles(K, spread):
    prepared = prepared_of("full", 10, K, 1, spread=spread)
    assert table.ready(prepared, log_weights_of(K)).near is None
