"""The stated error of single precision: its formula, and what it refuses or keeps in float64."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.errors import ConfigError, DataError
from gmm_dask.kernels import table
from gmm_dask.kernels.single import SAFETY, UNIT, error_bound
from gmm_dask.tree import fingerprint
from tests.kernels.mixtures import KINDS, log_weights_of, prepared_of, rows_of
from tests.kernels.test_single import ready


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [1, 5, 26])
def test_a_component_of_a_width_of_a_100000th_of_the_extent_is_refused(kind, D):
    prepared = prepared_of(kind, D, 4, spread=0.1)
    prepared.means[2] = 1e5
    with pytest.raises(ConfigError, match=r"component 2 .* 1e-03 .*compute_dtype: float64"):
        ready(prepared, log_weights_of(4))
    assert not table.ready(prepared, log_weights_of(4)).single
    weightless = np.log(
        [0.5, 0.2, 0.0, 0.3], where=[True, True, False, True], out=np.full(4, -np.inf)
    )
    ready(prepared, weightless)


def test_nearly_dependent_columns_are_refused():
    nearly = np.array([[1.0, 1 - 1e-9], [1 - 1e-9, 1.0]])
    factor = np.triu(np.linalg.inv(np.linalg.cholesky(nearly)).T)[None]
    prepared = prepared_of("full", 2, 1)._replace(means=np.zeros((1, 2)), factor=factor)
    with pytest.raises(ConfigError, match="nearly dependent"):
        ready(prepared, np.zeros(1))


def test_the_bound_of_one_column_by_hand():
    for ratio in (0.0, 10.0, 3000.0):
        prepared = prepared_of("diag", 1, 2)
        prepared = prepared._replace(
            means=np.array([[ratio], [0.0]]), factor=np.ones((2, 1)), log_norm=np.array([0.0, -7.0])
        )
        expected = [np.sqrt(2 * ratio**2 + 3.5) + 0 + 1 + 4, np.sqrt(3.5) + 7 + 1 + 4]
        found = error_bound(prepared, np.zeros(2))
        np.testing.assert_allclose(found, SAFETY * UNIT * np.array(expected))


@pytest.mark.parametrize("kind", ["diag", "full"])
def test_the_bound_is_not_idle(kind):
    # far components lose what is said, within two orders of magnitude: four standard errors, of
    # which rows of a pass average out most
    prepared, log_weights = prepared_of(kind, 1, 4, spread=0.3), log_weights_of(4)
    prepared = prepared._replace(means=prepared.means + 500, factor=np.ones_like(prepared.factor))
    rows = rows_of(prepared, 2000)
    bound = float(error_bound(prepared, log_weights).max())
    resp = table.resp(prepared, log_weights, rows)
    error = np.abs(table.posterior(ready(prepared, log_weights), rows)[1] - resp).max()
    assert bound / 100 < error < bound


def test_bounds_of_all_types_agree_where_they_mean_the_same():
    D, K, rng = 4, 3, np.random.default_rng(1)
    means = rng.normal(0, 50, (K, D))
    factor = np.full(K, 1.5)
    base = prepared_of("spherical", D, K)._replace(means=means, factor=factor)
    others = {
        "diag": np.repeat(factor[:, None], D, axis=1),
        "full": factor[:, None, None] * np.eye(D),
    }
    expected = error_bound(base, np.zeros(K))
    for kind, same in others.items():
        found = error_bound(base._replace(covariance_type=kind, factor=same), np.zeros(K))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("D", [3, 20])
def test_tied_components_far_apart_stay_in_float64(D):
    prepared, log_weights = prepared_of("tied", D, 6, spread=60.0), log_weights_of(6)
    model = ready(prepared, log_weights)
    assert not model.single
    assert "float64: sums about a common origin would cancel" in table.describe(prepared, "float32")
    rows = rows_of(prepared, 300)
    expected = table.measure(table.ready(prepared, log_weights), rows)
    assert fingerprint(table.measure(model, rows)) == fingerprint(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_no_component_at_all_is_an_error(kind):
    with pytest.raises(DataError, match="all 3 components have weight 0"):
        ready(prepared_of(kind, 2, 3), np.full(3, -np.inf))


def test_other_types_of_numbers_are_refused():
    with pytest.raises(ConfigError, match=r"'float16' came; float64 or float32 is needed"):
        table.ready(prepared_of("full", 2, 2), log_weights_of(2), compute_dtype="float16")
