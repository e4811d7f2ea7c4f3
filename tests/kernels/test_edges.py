"""What kernels do at the edges: absurd units, dead components, lost rows, no rows."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.errors import DataError
from gmm_dask.kernels import reference, table
from gmm_dask.tree import fingerprint, leaves
from tests.kernels.mixtures import KINDS, assert_same_sums, log_weights_of, prepared_of, rows_of


def both(prepared, log_weights, rows):
    return (
        table.e_step(prepared, log_weights, rows),
        reference.e_step(prepared, log_weights, rows),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
@pytest.mark.parametrize("unit", [2.0**-660, 2.0**-20, 2.0**20, 2.0**660])
def test_units_do_not_matter(kind, D, unit):
    one = prepared_of(kind, D, 5)
    other = one._replace(scale=one.scale * unit, log_norm=one.log_norm - D * np.log(unit))
    rows = rows_of(one, 400)
    here = table.e_step(one, log_weights_of(5), rows)
    there = table.e_step(other, log_weights_of(5), rows * unit)
    # log_norm itself is rounded: 1e-13 where the logarithm of the unit is 457
    assert_same_sums(there._replace(log_likelihood=here.log_likelihood), here, one, 1e-11)
    expected = here.log_likelihood - 400 * D * np.log(unit)
    np.testing.assert_allclose(there.log_likelihood, expected, rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deviation", [1e-100, 1e100])
def test_deviations_far_from_one_without_a_frame(kind, deviation):
    prepared = prepared_of(kind, 3, 4, spread=2 * deviation, deviation=deviation)
    found, oracle = both(prepared, log_weights_of(4), rows_of(prepared, 300))
    assert_same_sums(found, oracle, prepared)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("deviation", [1e-150, 1e150])
def test_deviations_near_the_ends_of_what_squares_allow(kind, deviation):
    prepared = prepared_of(kind, 3, 4, spread=2.0)
    # sizes by hand: a covariance matrix of such size cannot be factorised
    rows = rows_of(prepared, 300) * deviation
    other = prepared._replace(means=prepared.means * deviation, factor=prepared.factor / deviation)
    here = table.e_step(prepared, log_weights_of(4), rows / deviation)
    with np.errstate(under="ignore"):  # of the second moments
        there = table.e_step(other, log_weights_of(4), rows)
    assert float(there.n_underflow) == 0
    np.testing.assert_allclose(there.log_likelihood, here.log_likelihood, rtol=1e-11)
    np.testing.assert_allclose(there.count, here.count, rtol=1e-11)
    np.testing.assert_allclose(
        there.moments.first / deviation, here.moments.first, rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_float32_rows_far_from_zero(kind, D):
    prepared = prepared_of(kind, D, 3, shift=1e6)
    rows = rows_of(prepared, 500, dtype=np.float32)
    found, oracle = both(prepared, log_weights_of(3), rows.astype(np.float64))
    assert_same_sums(table.e_step(prepared, log_weights_of(3), rows), oracle, prepared)
    assert_same_sums(found, oracle, prepared)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_components_of_weight_zero_get_exactly_nothing(kind, D):
    prepared, log_weights = prepared_of(kind, D, 5), log_weights_of(5)
    log_weights[[1, 4]] = -np.inf
    rows = rows_of(prepared, 300)
    found, oracle = both(prepared, log_weights, rows)
    assert_same_sums(found, oracle, prepared)
    assert not found.count[0, [1, 4]].any()
    assert not found.moments.first[[1, 4]].any()
    assert not table.resp(prepared, log_weights, rows)[:, [1, 4]].any()
    assert not np.isin(table.assign(table.ready(prepared, log_weights), rows).label, [1, 4]).any()


def test_no_component_at_all_is_an_error():
    prepared = prepared_of("full", 2, 3)
    with pytest.raises(DataError, match="all 3 components have weight 0"):
        table.ready(prepared, np.full(3, -np.inf))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_rows_that_no_density_represents(kind, D):
    prepared, log_weights = prepared_of(kind, D, 4), log_weights_of(4)
    log_weights[2] = -np.inf
    rows = rows_of(prepared, 600)
    lost = [0, 7, 300, 599]
    rows[lost] = np.outer([1e200, 1e160, 1e155, 1e170], np.arange(1, D + 1))
    found, oracle = both(prepared, log_weights, rows)
    assert float(found.n_underflow) == 4
    np.testing.assert_allclose(found.count, oracle.count, rtol=1e-12)
    np.testing.assert_allclose(found.moments.first, oracle.moments.first, rtol=1e-12)
    assert float(found.log_likelihood) == float(oracle.log_likelihood)
    resp = table.resp(prepared, log_weights, rows)
    nearest = reference.nearest(prepared, rows[lost], log_weights)
    np.testing.assert_array_equal(resp[lost], nearest)
    assigned = table.assign(table.ready(prepared, log_weights), rows)
    np.testing.assert_array_equal(assigned.label[lost], nearest.argmax(axis=1))
    assert (assigned.log_prob_norm[lost] <= -1e299).all()
    assert (assigned.probability[lost] == 1).all()
    assert (assigned.entropy[lost] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_no_rows_give_the_statistics_of_no_rows(kind, D):
    prepared, log_weights = prepared_of(kind, D, 3), log_weights_of(3)
    none = np.empty((0, D))
    found, oracle = both(prepared, log_weights, none)
    assert fingerprint(found) == fingerprint(oracle)
    assert table.log_prob(prepared, none).shape == (0, 3)
    assert table.resp(prepared, log_weights, none).shape == (0, 3)
    assert table.log_prob_norm(prepared, log_weights, none).shape == (0,)
    assert not table.moments(prepared, none, np.empty((0, 3))).second.any()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((4, 3)), r"shape \(4, 3\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((4, 2), dtype=np.int64), "int64"),
        (np.zeros((4, 2), dtype=np.float16), "float16"),
    ],
)
def test_rows_of_another_shape_or_type_are_refused(rows, message):
    with pytest.raises(DataError, match=message):
        table.e_step(prepared_of("full", 2, 2), log_weights_of(2), rows)


@pytest.mark.parametrize("D", [2, 26])
def test_rows_in_any_order_of_memory_and_bytes(D):
    prepared, log_weights = prepared_of("full", D, 3), log_weights_of(3)
    rows = rows_of(prepared, 300)
    expected = fingerprint(table.e_step(prepared, log_weights, rows))
    double = np.repeat(rows, 2, axis=0)[::2]
    for other in (np.asfortranarray(rows), double, rows.astype(">f8")):
        assert fingerprint(table.e_step(prepared, log_weights, other)) == expected


def test_every_leaf_is_float64():
    for kind in KINDS:
        sums = table.e_step(prepared_of(kind, 2, 3), log_weights_of(3), np.ones((5, 2)))
        assert all(leaf.dtype == np.float64 for leaf in leaves(sums))


def test_one_component_takes_every_row_exactly():
    for kind in KINDS:
        for D in (3, 26):
            prepared = prepared_of(kind, D, 1)
            rows = rows_of(prepared, 777)
            assert float(table.e_step(prepared, np.zeros(1), rows).count[0, 0]) == 777
            assert (table.resp(prepared, np.zeros(1), rows) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [2, 26])
def test_rows_that_overflow_in_the_frame_spoil_nothing(kind, D):
    prepared, log_weights = prepared_of(kind, D, 3, unit=2.0**-100), log_weights_of(3)
    rows = rows_of(prepared, 300)
    rows[[5, 290]] = 1e300
    found, oracle = both(prepared, log_weights, rows)
    assert float(found.n_underflow) == 2
    np.testing.assert_allclose(found.count, oracle.count, rtol=1e-12)
    np.testing.assert_allclose(found.moments.first, oracle.moments.first, rtol=1e-12, atol=1e-11)
    good = np.delete(rows, [5, 290], axis=0)
    assert np.isfinite(table.log_prob(prepared, rows)).all()
    assert all(np.isfinite(leaf).all() for leaf in leaves(found))
    np.testing.assert_array_equal(
        np.delete(table.resp(prepared, log_weights, rows), [5, 290], axis=0),
        table.resp(prepared, log_weights, good),
    )
