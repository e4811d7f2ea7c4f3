"""The NumPy oracle against SciPy's densities and sums written out row by row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from gmm_dask.kernels import reference
from tests.kernels.mixtures import KINDS, covariances_of, log_weights_of, prepared_of, rows_of


def in_frame(prepared, rows):
    return (rows - prepared.shift) / prepared.scale


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [1, 4])
def test_log_densities_are_scipys(kind, D):
    prepared = prepared_of(kind, D, 3, shift=5.0, unit=4.0)
    # log_norm of this helper is per unit volume of the source
    volume = np.log(prepared.scale).sum()
    rows = rows_of(prepared, 40)
    expected = [
        multivariate_normal(mean, S).logpdf(in_frame(prepared, rows)) - volume
        for mean, S in zip(prepared.means, covariances_of(prepared), strict=True)
    ]
    np.testing.assert_allclose(reference.log_prob(prepared, rows), np.transpose(expected))


@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_a_loop_over_rows(kind):
    prepared, log_weights = prepared_of(kind, 2, 3), log_weights_of(3)
    rows = rows_of(prepared, 30)
    log_joint = reference.log_prob(prepared, rows) + log_weights
    found = reference.e_step(prepared, log_weights, rows)
    second, total = np.zeros((3, 2, 2)), 0.0
    for row, values in zip(rows, log_joint, strict=True):
        total += logsumexp(values)
        for k, r in enumerate(np.exp(values - logsumexp(values))):
            y = row - prepared.means[k]
            second[k] += r * np.outer(y, y)
    expected = {
        "full": second,
        "tied": second.sum(axis=0),
        "diag": np.diagonal(second, axis1=1, axis2=2),
        "spherical": np.trace(second, axis1=1, axis2=2),
    }[kind]
    np.testing.assert_allclose(found.log_likelihood, total)
    np.testing.assert_allclose(found.moments.second, expected)


def test_rows_are_summed_tile_by_tile():
    prepared, log_weights = prepared_of("diag", 2, 3), log_weights_of(3)
    rows = rows_of(prepared, reference.TILE + 5)
    parts = [
        reference.e_step(prepared, log_weights, part)
        for part in (rows[: reference.TILE], rows[reference.TILE :])
    ]
    whole = reference.e_step(prepared, log_weights, rows)
    np.testing.assert_array_equal(whole.count, parts[0].count + parts[1].count)


@pytest.mark.parametrize("kind", KINDS)
def test_lost_rows_go_to_the_nearest_component(kind):
    prepared = prepared_of(kind, 2, 2)
    factor = prepared.factor
    if kind != "tied":
        factor = np.repeat(factor[:1], 2, axis=0)
    means = np.array([[-1e151, 0.0], [1e151, 0.0]])
    prepared = prepared._replace(means=means, factor=factor)
    rows = np.array([[3e151, 0.0], [-2e151, 1e150]])
    sums = reference.e_step(prepared, np.log([0.5, 0.5]), rows)
    assert float(sums.n_underflow) == 2
    np.testing.assert_array_equal(sums.count, [[1, 1]])


def test_a_component_without_weight_is_never_the_nearest():
    prepared = prepared_of("full", 2, 2)
    rows = np.array([[1e200, 1e200]])
    resp = reference.nearest(prepared, rows, np.array([-np.inf, 0.0]))
    np.testing.assert_array_equal(resp, [[0, 1]])


def test_nearest_centres_by_a_loop():
    prepared, metric = prepared_of("spherical", 3, 4), np.diag([1.0, 2.0, 0.5])
    rows = rows_of(prepared, 50)
    distance = np.array(
        [
            [((row - mean) @ metric) @ ((row - mean) @ metric) for mean in prepared.means]
            for row in rows
        ]
    )
    found = reference.nearest_centre(prepared, metric, rows)
    np.testing.assert_array_equal(found.count[0], np.bincount(distance.argmin(axis=1), minlength=4))
    np.testing.assert_allclose(-found.log_likelihood, distance.min(axis=1).sum())
