"""`compute_dtype="float32"`: its stated error, and its refusal."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask import ConfigError, GaussianMixture, fit_many
from tests.strategies import KINDS, clusters

X, _ = clusters(3000, 3, 3, apart=6.0)
WORDS = {"random_state": 0, "tol": 1e-5, "max_iter": 300}


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_agree_to_the_stated_error(kind):
    words = {**WORDS, "covariance_type": kind}
    single = GaussianMixture(3, compute_dtype="float32", **words).fit(X)
    double = GaussianMixture(3, **words).fit(X)
    S = np.sqrt(np.diagonal(double.mixture_.dense_covariances, axis1=1, axis2=2))
    # the limit is 1e-3 of a covariance; at these distances the bound is far below it
    assert (np.abs(single.means_ - double.means_) < 1e-4 * S).all()
    np.testing.assert_allclose(
        single.covariances_, double.covariances_, rtol=0, atol=1e-3 * S.max() ** 2
    )
    assert not np.array_equal(single.means_, double.means_)  # it did compute in float32
    # what is said of rows is said in double precision
    np.testing.assert_allclose(
        single.score_samples(X[:50]), single.to_sklearn().score_samples(X[:50]), rtol=1e-10
    )


def test_grids_and_models_carry_it(tmp_path):
    grid = fit_many(X, [2, 3], compute_dtype="float32", **WORDS)
    assert grid.best.compute_dtype == "float32"
    grid.best.save(tmp_path / "m.zarr")
    assert GaussianMixture.load(tmp_path / "m.zarr").compute_dtype == "float32"
    alone = GaussianMixture(3, compute_dtype="float32", **WORDS).fit(X)
    assert alone.score(X) == pytest.approx(grid.models[1].score(X), abs=1e-4)


def test_it_is_refused_where_the_bound_says_so():
    """Two narrow clusters 1e5 of their widths apart: their coordinates lose them in float32."""
    rng = np.random.default_rng(0)
    far = np.concatenate([rng.normal(0, 1e-5, (200, 2)), rng.normal(1, 1e-5, (200, 2))])
    words = {"means_init": [[0.0, 0.0], [1.0, 1.0]], "reg_covar": 1e-14, "max_iter": 300}
    assert GaussianMixture(2, **words).fit(far).converged_
    with pytest.raises(ConfigError, match="float32"):
        GaussianMixture(2, compute_dtype="float32", **words).fit(far)


def test_other_types_are_refused():
    with pytest.raises(ConfigError, match="compute_dtype is 'float16'; one of float64, float32"):
        GaussianMixture(compute_dtype="float16").fit(X)
    with pytest.raises(ConfigError, match="compute_dtype"):
        fit_many(X, 2, compute_dtype="double")


def test_rows_with_holes_noise_or_weights_are_computed_in_double():
    weight = np.ones(len(X))
    for words in ({"sample_weight": weight}, {"noise": np.full_like(X, 1e-3)}):
        a = GaussianMixture(3, compute_dtype="float32", **WORDS).fit(X, **words)
        b = GaussianMixture(3, **WORDS).fit(X, **words)
        np.testing.assert_array_equal(a.means_, b.means_)
