"""Models go to zarr and come back bit for bit, without pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gmm_dask import FormatError, GaussianMixture
from tests.strategies import KINDS, clusters

X, _ = clusters(300, 2, 3, apart=5.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reg_covar", [None, 1e-6])
def test_round_trip_is_bit_for_bit(tmp_path, kind, reg_covar):
    model = GaussianMixture(
        3, covariance_type=kind, random_state=7, tol=1e-5, reg_covar=reg_covar
    ).fit(X)
    model.save(tmp_path / "model.zarr")
    copy = GaussianMixture.load(tmp_path / "model.zarr")
    names = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
    for name in names:
        np.testing.assert_array_equal(getattr(copy, name), getattr(model, name))
    np.testing.assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(copy.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(copy.sample(20)[0], model.sample(20)[0])
    for name in ("converged_", "n_iter_", "lower_bound_", "lower_bounds_", "n_features_in_"):
        assert getattr(copy, name) == getattr(model, name)
    assert copy.get_params() == model.get_params()
    assert copy.mixture_.fingerprint == model.mixture_.fingerprint
    assert copy.n_parameters == model.n_parameters
    assert not any("pickle" in p.name for p in (tmp_path / "model.zarr").rglob("*"))


def test_names_and_extras_are_kept(tmp_path):
    frame = pd.DataFrame(X, columns=["mass", "größe"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    model.save(tmp_path / "m.zarr", extra={"unit": "kg", "table": np.arange(3)})
    copy = GaussianMixture.load(tmp_path / "m.zarr")
    np.testing.assert_array_equal(copy.feature_names_in_, model.feature_names_in_)
    assert copy.extra_["unit"] == "kg"
    np.testing.assert_array_equal(copy.extra_["table"], np.arange(3))
    with pytest.raises(ValueError, match="feature names"):
        copy.predict(frame[["größe", "mass"]])


def test_numpy_scalars_as_words(tmp_path):
    model = GaussianMixture(np.int64(2), random_state=np.int64(3), tol=np.float32(1e-3)).fit(X)
    model.save(tmp_path / "m.zarr")
    copy = GaussianMixture.load(tmp_path / "m.zarr")
    assert copy.n_components == 2
    assert copy.random_state == 3
    np.testing.assert_array_equal(copy.sample(5)[0], model.sample(5)[0])


def test_a_saved_model_replaces_the_one_before(tmp_path):
    GaussianMixture(2, random_state=0).fit(X).save(tmp_path / "m.zarr")
    GaussianMixture(3, random_state=0).fit(X).save(tmp_path / "m.zarr")
    assert GaussianMixture.load(tmp_path / "m.zarr").n_components == 3


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(FormatError, match="nowhere"):
        GaussianMixture.load(tmp_path / "nowhere.zarr")
    with pytest.raises(Exception, match="not fitted"):
        GaussianMixture(2).save(tmp_path / "m.zarr")
    assert not (tmp_path / "m.zarr").exists()


def test_a_model_of_format_version_1_stays_readable():
    """The numbers are sample moments of the two clusters that fixtures/make_model_v1.py draws."""
    model = GaussianMixture.load(Path(__file__).parent / "fixtures" / "model_v1.zarr")
    rng = np.random.default_rng(0)
    near, far = rng.normal(0, 1, (200, 2)), rng.normal(6, 0.5, (100, 2))
    # the clusters are ten standard deviations apart: responsibilities are 0 or 1 to 1e-9
    np.testing.assert_allclose(model.weights_, [2 / 3, 1 / 3], atol=1e-9)
    np.testing.assert_allclose(model.means_, [near.mean(0), far.mean(0)], atol=1e-8)
    np.testing.assert_allclose(model.covariances_[1], np.cov(far.T, bias=True), atol=1e-8)
    assert model.extra_ == {"note": "kept for reading"}
