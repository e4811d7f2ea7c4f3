"""Weights, holes and noise on a cluster: the bits of the same fit in this process."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from distributed import Client, LocalCluster

from gmm_dask import ConfigError, DataError, GaussianMixture
from tests.strategies import clusters

X, _ = clusters(20_000, 3, 2, apart=4.0)
RNG = np.random.default_rng(3)
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
HOLES[:, 0] = X[:, 0]
DIAG = RNG.gamma(2.0, 0.01, X.shape)
WEIGHT = RNG.gamma(2.0, size=len(X))
WORDS = {"random_state": 0, "missing": "marginalize", "tol": 0.03}  # some passes are enough
LOCAL = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "threads_per_worker": 1}

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def client():
    with LocalCluster(n_workers=2, **LOCAL) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def alone() -> GaussianMixture:
    return GaussianMixture(2, **WORDS).fit(HOLES, noise=DIAG, sample_weight=WEIGHT)


def test_dask_and_stored_rows(client, alone, tmp_path):
    lazy = [da.from_array(part, chunks=(7000, *part.shape[1:])) for part in (HOLES, DIAG, WEIGHT)]
    stored = zarr.create_array(
        str(tmp_path / "x.zarr"), shape=X.shape, chunks=(6000, 3), dtype=float
    )
    stored[:] = HOLES
    for rows, noise, weight in (lazy, (stored, DIAG, WEIGHT)):
        model = GaussianMixture(2, **WORDS).fit(rows, noise=noise, sample_weight=weight)
        np.testing.assert_array_equal(model.means_, alone.means_)
        np.testing.assert_array_equal(model.covariances_, alone.covariances_)
        logs = np.asarray(model.score_samples(rows, noise=noise))
        np.testing.assert_allclose(logs, alone.score_samples(HOLES, noise=DIAG), rtol=1e-11)
        drawn = np.asarray(model.impute(rows, n_draws=1, random_state=2))
        expected = alone.impute(HOLES, n_draws=1, random_state=2)
        np.testing.assert_allclose(drawn, expected, rtol=1e-9, atol=1e-9)


def test_errors_come_back_as_they_are(client):
    noise = DIAG.copy()
    noise[12_345, 1] = -1.0
    rows = da.from_array(HOLES, chunks=(7000, 3))
    with pytest.raises(DataError, match="row 12345: its noise"):
        GaussianMixture(2, **WORDS).fit(rows, noise=noise)
    far = np.concatenate([RNG.normal(0, 1e-5, (200, 2)), RNG.normal(1, 1e-5, (200, 2))])
    words = {"means_init": [[0.0, 0.0], [1.0, 1.0]], "reg_covar": 1e-14}
    with pytest.raises(ConfigError, match="float32"):
        GaussianMixture(2, compute_dtype="float32", **words).fit(da.from_array(far, chunks=100))
