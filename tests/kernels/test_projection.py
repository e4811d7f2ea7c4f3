"""Bounds of densities: never below the density, and close to it where that pays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.kernels import reference, table
from gmm_dask.kernels.projection import (
    WIDTHS,
    discriminants,
    pack,
    projection,
    surviving,
    whitening_along,
)
from tests.kernels.mixtures import (
    assert_same_sums,
    covariances_of,
    log_weights_of,
    prepared_of,
    rows_of,
)


def bounds(parameters: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return what the generated code makes of packed parameters: c - |(p - place) @ U|^2."""
    P = places.shape[1]
    columns, rows = np.tril_indices(P)
    factor = np.zeros((len(parameters), P, P))
    factor[:, rows, columns] = parameters[:, 1 + P :]
    z = np.einsum("nkp,kpq->nkq", places[:, None] - parameters[:, 1 : 1 + P], factor)
    return parameters[:, 0] - (z**2).sum(axis=2)


@settings(deadline=None, max_examples=40)
@given(
    D=st.sampled_from([8, 17, 32]),
    K=st.integers(3, 12),
    P=st.sampled_from([1, 4, 8]),
    spread=st.sampled_from([0.1, 3.0, 1e5]),
    seed=st.integers(0, 2**31),
)
def test_no_density_exceeds_its_bound(D, K, P, spread, seed):
    prepared = prepared_of("full", D, K, seed, spread)
    spread_of = np.linalg.inv(prepared.factor)
    directions = discriminants(prepared.means, spread_of)[:, :P]
    inverse = whitening_along(spread_of, directions)
    packed = pack(prepared.log_norm, prepared.means @ directions, inverse)
    rows = rows_of(prepared, 50, seed)
    log_prob = reference.log_prob(prepared, rows)
    bound = bounds(packed, rows @ directions)
    assert (bound >= log_prob - 1e-7 * (1 + np.abs(log_prob))).all()


def test_along_all_directions_the_bound_is_the_density():
    prepared = prepared_of("full", 6, 5)
    spread = np.linalg.inv(prepared.factor)
    directions = discriminants(prepared.means, spread)
    inverse = whitening_along(spread, directions)
    packed = pack(prepared.log_norm, prepared.means @ directions, inverse)
    rows = rows_of(prepared, 50)
    np.testing.assert_allclose(
        bounds(packed, rows @ directions), reference.log_prob(prepared, rows), rtol=1e-5
    )


def test_first_direction_is_fishers_for_two_groups():
    prepared = prepared_of("full", 5, 2, seed=3)
    within = covariances_of(prepared).sum(axis=0)
    fisher = np.linalg.solve(within, prepared.means[1] - prepared.means[0])
    first = discriminants(prepared.means, np.linalg.inv(prepared.factor))[:, 0]
    cosine = first @ fisher / np.linalg.norm(first) / np.linalg.norm(fisher)
    assert abs(cosine) == pytest.approx(1, abs=1e-9)


def test_overlapping_components_are_not_projected():
    near = prepared_of("full", 20, 12, spread=0.05)
    far = prepared_of("full", 20, 12, spread=30.0)
    assert projection(near.log_norm, near.means, near.factor) is None
    assert projection(far.log_norm, far.means, far.factor) is not None
    assert projection(far.log_norm[:2], far.means[:2], far.factor[:2]) is None


@pytest.mark.parametrize("spread", [1.0, 2.0, 3.0, 6.0])
def test_dismissed_components_do_not_change_the_sums(spread):
    prepared = prepared_of("full", 26, 40, spread=spread)
    log_weights, rows = log_weights_of(40), rows_of(prepared, 1500)
    rows[:40] = (
        prepared.means[:20].repeat(2, axis=0) * 0.5 + prepared.means[20:].repeat(2, axis=0) * 0.5
    )
    found = table.e_step(prepared, log_weights, rows)
    assert_same_sums(found, reference.e_step(prepared, log_weights, rows), prepared)


def test_a_row_between_all_components_keeps_them_all():
    prepared = prepared_of("full", 20, 6, spread=40.0)
    same = prepared._replace(factor=np.repeat(prepared.factor[:1], 6, axis=0), log_norm=np.zeros(6))
    z = np.linalg.lstsq(
        2 * (same.means[1:] - same.means[0]) @ same.factor[0],
        ((same.means[1:] @ same.factor[0]) ** 2).sum(1)
        - ((same.means[0] @ same.factor[0]) ** 2).sum(),
        rcond=None,
    )[0]
    row = np.linalg.solve(same.factor[0].T, z)[None]
    assert table.ready(same, np.zeros(6)).layout.method.projected
    resp = table.resp(same, np.zeros(6), row)
    np.testing.assert_allclose(resp, 1 / 6, rtol=1e-8)


@pytest.mark.parametrize("spread", [1.0, 1.5, 2.0, 4.0])
def test_the_expected_share_of_survivors_is_about_the_share_that_survives(spread):
    D, K = 24, 30
    prepared = prepared_of("full", D, K, spread=spread)
    rows, widths = rows_of(prepared, 400), [w for w in WIDTHS if w <= D]
    inverses = np.linalg.inv(prepared.factor)
    directions = discriminants(prepared.means, inverses)
    inverse = whitening_along(inverses, directions)
    places = prepared.means @ directions
    expected = surviving(prepared.log_norm, places, inverse, D, widths)
    level = reference.log_prob(prepared, rows).max(axis=1, keepdims=True) - 50
    for P in widths:
        packed = pack(prepared.log_norm, places[:, :P], inverse[:, :P, :P])
        found = (bounds(packed, (rows @ directions)[:, :P]) > level).mean()
        assert abs(expected[P] - found) < 0.15
