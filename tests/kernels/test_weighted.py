"""Weights of rows in the plain kernels: against the oracle's formulas, and rows that repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.kernels import reference, table, weighted
from gmm_dask.tree import fingerprint
from tests.kernels.mixtures import KINDS, log_weights_of, prepared_of, rows_of

COLUMNS = (1, 3, 9, 14, 26)
"""Every row of the table of methods has one of them."""


def oracle(prepared: Any, log_weights: Any, rows: Any, weight: Any) -> Any:
    """The textbook's sums: responsibilities times weights."""
    joint = reference.log_prob(prepared, rows) + log_weights
    norm = reference.log_sum_exp(joint)
    resp = np.exp(joint - norm[:, None]) * weight[:, None]
    return norm @ weight, resp.sum(axis=0), *reference.moments(prepared, rows, resp)


def leaves(sums: Any) -> list[Any]:
    return [np.asarray(x) for x in (sums.log_likelihood, sums.count[0], *sums.moments)]


def assert_close(found: Any, expected: Any, weight: Any, error: float) -> None:
    """Equal to a fraction of the sum of the weights: sums of numbers of the order of 1 cancel."""
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= error * max(np.abs(b).max(), weight.sum())


@settings(deadline=None, max_examples=80)
@given(
    kind=st.sampled_from(KINDS),
    D=st.sampled_from(COLUMNS),
    n=st.sampled_from([1, 63, 128, 300]),
    seed=st.integers(0, 10**6),
    power=st.sampled_from([-300, -30, 0, 30, 290]),
    dtype=st.sampled_from(["float64", "float32"]),
)
def test_weights_multiply_responsibilities(kind, D, n, seed, power, dtype):
    prepared, log_weights = prepared_of(kind, D, 4, seed), log_weights_of(4)
    rows = rows_of(prepared, n).astype(dtype)
    rng = np.random.default_rng(seed)
    weight = rng.gamma(0.5, size=n) * (rng.random(n) > 0.3)
    weight[0] = 1.0
    found = table.measure(table.ready(prepared, log_weights), rows, weight * 10.0**power)
    assert float(found.n_rows) == pytest.approx(weight.sum() * 10.0**power, rel=1e-12)
    found = [x / 10.0**power for x in leaves(found)]
    assert_close(found, oracle(prepared, log_weights, rows, weight), weight, 1e-11)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", COLUMNS)
@pytest.mark.parametrize("hard", [False, True])
def test_a_whole_number_is_so_many_rows(kind, D, hard):
    prepared, log_weights = prepared_of(kind, D, 4), log_weights_of(4)
    rows = rows_of(prepared, 200)
    times = np.random.default_rng(1).integers(0, 5, size=200)
    model = table.ready(prepared, log_weights, hard=hard)
    found = table.measure(model, rows, times.astype(float))
    repeated = table.measure(model, rows.repeat(times, axis=0))
    assert float(found.n_rows) == times.sum()
    assert_close(leaves(found), leaves(repeated), times, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", COLUMNS)
def test_equal_weights_are_no_weights(kind, D):
    prepared, log_weights = prepared_of(kind, D, 4), log_weights_of(4)
    rows, model = rows_of(prepared, 200), table.ready(prepared, log_weights)
    found, plain = table.measure(model, rows, np.ones(200)), table.measure(model, rows)
    # moments to the last bit; log-likelihoods are added in another order
    assert fingerprint((found.count, found.moments)) == fingerprint((plain.count, plain.moments))
    assert float(found.log_likelihood) == pytest.approx(float(plain.log_likelihood), rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hard", [False, True])
def test_lost_rows_count_by_their_weight(kind, hard):
    prepared, log_weights = prepared_of(kind, 3, 4), log_weights_of(4)
    rows, weight = rows_of(prepared, 100), np.ones(100)
    rows[[5, 6, 7, 99]] = 1e151
    weight[[5, 6, 7, 99]] = 3.0, 0.0, 3.0, 2.0
    model = table.ready(prepared, log_weights, hard=hard)
    found = table.measure(model, rows, weight)
    repeated = table.measure(model, rows.repeat(weight.astype(int), axis=0))
    assert float(found.n_underflow) == float(repeated.n_underflow) == 8.0
    for a, b in zip(leaves(found), leaves(repeated), strict=True):
        assert np.allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [3, 26])
def test_tiles_of_float32(kind, D):
    prepared, log_weights = prepared_of(kind, D, 4), log_weights_of(4)
    rows = rows_of(prepared, 700)
    weight = np.random.default_rng(2).gamma(2.0, size=700)
    model = table.ready(prepared, log_weights, compute_dtype="float32")
    assert model.single
    found = table.measure(model, rows, weight)
    # float32 rounds a row's terms by some 1e-6 of its log density, here about 20
    assert_close(leaves(found), oracle(prepared, log_weights, rows, weight), weight, 3e-5)


def test_without_weight_there_is_nothing():
    prepared = prepared_of("full", 3, 2)
    model = table.ready(prepared, log_weights_of(2))
    for n in (0, 5):
        found = table.measure(model, rows_of(prepared, 5)[:n], np.zeros(n))
        assert not any(x.any() for x in leaves(found))
        assert float(found.n_rows) == 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_weights_of_other_types_are_widened(dtype):
    prepared = prepared_of("full", 3, 2)
    model, rows = table.ready(prepared, log_weights_of(2)), rows_of(prepared, 130)
    weight = (10 * np.random.default_rng(0).random(130)).astype(dtype)
    wide = weight.astype(np.float64)
    expected = fingerprint(table.measure(model, rows, wide))
    assert fingerprint(table.measure(model, rows, weight)) == expected


def test_rows_and_weights_are_left_as_they_are():
    prepared = prepared_of("full", 3, 2)
    rows, weight = rows_of(prepared, 130), np.random.default_rng(0).random(130)
    before = fingerprint((rows, weight))
    weighted.e_step(table.ready(prepared, log_weights_of(2)), rows, weight)
    assert fingerprint((rows, weight)) == before
