"""Weights and noise beside Dask and stored data: the same answers, lazily, cut as the data are."""

from __future__ import annotations

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr

from gmm_dask import ArraySource, ConfigError, DataError, GaussianMixture
from gmm_dask.estimator.row_parts import noise_type
from gmm_dask.estimator.wide import given, joined_source
from tests.strategies import clusters

X, _ = clusters(500, 3, 2, apart=4.0)
RNG = np.random.default_rng(3)
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
HOLES[:, 0] = X[:, 0]
DIAG = RNG.gamma(2.0, 0.01, X.shape)
HALF = RNG.normal(0, 0.1, (500, 3, 3))
FULL = HALF @ HALF.transpose(0, 2, 1)
WEIGHT = RNG.gamma(2.0, size=500)
WORDS = {"random_state": 0, "missing": "marginalize", "max_iter": 300}
MODEL = {
    "diag": GaussianMixture(2, **WORDS).fit(HOLES, noise=DIAG, sample_weight=WEIGHT),
    "full": GaussianMixture(2, **WORDS).fit(HOLES, noise=FULL, sample_weight=WEIGHT),
    "exact": GaussianMixture(2, **WORDS).fit(HOLES),
}


def stored(values: np.ndarray, chunks: int = 130) -> zarr.Array:
    cut = (chunks, *values.shape[1:])
    array = zarr.create_array({}, shape=values.shape, chunks=cut, dtype=values.dtype)
    array[:] = values
    return array


def dask_array(values: np.ndarray, chunks: int = 130) -> da.Array:
    return da.from_array(values, chunks=(chunks, *values.shape[1:]))


def dask_frame(values: np.ndarray) -> dd.DataFrame:
    names = ["abc"[i] for i in range(values.shape[1])]
    return dd.from_pandas(pd.DataFrame(values, columns=names), npartitions=4)


CASES = {
    "dask": (dask_array(HOLES), dask_array(DIAG, 77), dask_array(WEIGHT, 111)),
    "dask, full": (dask_array(HOLES), dask_array(FULL, 77), WEIGHT),
    "dask, noise in memory": (dask_array(HOLES), FULL, dask_array(WEIGHT)),
    "dask, column chunks": (dask_array(HOLES), da.from_array(FULL, chunks=(50, 1, 2)), WEIGHT),
    "dataframe": (dask_frame(HOLES), dask_frame(DIAG), dd.from_array(WEIGHT, chunksize=100)),
    "zarr": (stored(HOLES), DIAG, WEIGHT),
    "zarr, stored noise": (stored(HOLES), stored(DIAG, 77), WEIGHT),
    "zarr, stored covariances": (stored(HOLES), stored(FULL.reshape(500, 9)), WEIGHT),
    "zarr, stored weights": (stored(HOLES), stored(DIAG, 77), stored(WEIGHT, 60)),
    "zarr, weights in a column": (stored(HOLES), DIAG, stored(WEIGHT[:, None])),
    "memory, stored weights": (HOLES, DIAG, stored(WEIGHT)),
    "source": (ArraySource(HOLES), ArraySource(DIAG), WEIGHT),
    "pandas": (pd.DataFrame(HOLES), pd.DataFrame(DIAG), pd.Series(WEIGHT)),
    "memory, stored noise": (HOLES, stored(DIAG), WEIGHT),
    "memory, lazy noise": (HOLES, dask_array(FULL), WEIGHT),
}


def shape_of(case: str) -> str:
    return noise_type(given(3, "error", None, CASES[case][1]).noise, 3)


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_input_gives_the_same_bits(case):
    rows, noise, weight = CASES[case]
    twin = MODEL[shape_of(case)]
    model = GaussianMixture(2, **WORDS).fit(rows, noise=noise, sample_weight=weight)
    np.testing.assert_array_equal(model.means_, twin.means_)
    np.testing.assert_array_equal(model.covariances_, twin.covariances_)
    plain = DIAG if shape_of(case) == "diag" else FULL
    for method in ("predict", "predict_proba", "score_samples"):
        found = np.asarray(getattr(twin, method)(rows, noise=noise))
        # rows are grouped by chunk: matrix products of other sizes differ in the last bits
        expected = getattr(twin, method)(HOLES, noise=plain)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    for method in ("score", "bic"):
        found = getattr(twin, method)(rows, noise=noise, sample_weight=weight)
        assert found == getattr(twin, method)(HOLES, noise=plain, sample_weight=WEIGHT)
    mean, covariance = (np.asarray(a) for a in twin.deconvolve(rows, noise))
    expected = twin.deconvolve(HOLES, plain)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(covariance, expected[1], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", ["dask", "dask, full", "dataframe"])
def test_answers_are_lazy_on_the_same_chunks(case):
    rows, noise, _ = CASES[case]
    model = MODEL[shape_of(case)]
    labels = model.predict(rows, noise=noise)
    assert labels.npartitions == rows.npartitions
    frame = hasattr(rows, "map_partitions")
    assert isinstance(labels, dd.Series if frame else da.Array)
    if not frame:
        mean, covariance = model.deconvolve(rows, noise)
        assert covariance.shape == (500, 3, 3)
        assert mean.chunks[0] == covariance.chunks[0] == rows.chunks[0]
        filled, std = model.impute(rows, noise=noise, return_std=True)
        assert filled.chunks == std.chunks == rows.chunks


@pytest.mark.parametrize("case", ["dask", "dataframe", "zarr", "source"])
def test_imputed_values_and_draws(case):
    rows = CASES[case][0]
    model = MODEL["exact"]
    expected = model.impute(HOLES, return_std=True)
    for found, needed in zip(model.impute(rows, return_std=True), expected, strict=True):
        np.testing.assert_allclose(np.asarray(found), needed, rtol=1e-10, atol=1e-10)
    if case == "dataframe":
        with pytest.raises(ConfigError, match="chunk sizes of the data are unknown"):
            model.impute(rows, n_draws=2)
        rows = rows.to_dask_array(lengths=True)
    drawn = np.asarray(model.impute(rows, n_draws=2, random_state=4))
    expected = model.impute(HOLES, n_draws=2, random_state=4)
    np.testing.assert_allclose(drawn, expected, rtol=1e-9, atol=1e-9)


def test_nothing_is_computed_until_it_is_asked_for():
    def refuse(block):
        raise AssertionError("computed")

    lazy = dask_array(X).map_blocks(refuse, dtype=float, meta=np.empty((0, 0)))
    model = MODEL["diag"]
    model.predict(lazy, noise=lazy)
    model.deconvolve(lazy, noise=lazy)
    MODEL["exact"].impute(lazy, n_draws=3)


def test_unknown_chunks():
    keep = da.from_array(np.ones(500, bool), chunks=130)
    rows, noise = dask_array(HOLES)[keep], dask_array(DIAG)[keep]
    labels = MODEL["diag"].predict(rows, noise=noise)
    np.testing.assert_array_equal(labels.compute(), MODEL["diag"].predict(HOLES, noise=DIAG))
    with pytest.raises(DataError, match=r"5 chunks of rows.*4.*compute_chunk_sizes"):
        MODEL["diag"].predict(rows, noise=dask_array(DIAG, 100))


MISFITS = {
    "other rows": (dask_array(HOLES), dask_array(DIAG)[:499], "noise has 499 rows"),
    "in memory": (dask_array(HOLES), DIAG[:499], "noise has 499 rows"),
    "stored beside dask": (dask_array(HOLES), stored(DIAG), "stored noise came for Dask data"),
    "dask beside stored": (stored(HOLES), dask_array(DIAG), "the values did not"),
    "stored, other rows": (stored(HOLES), stored(DIAG[:499]), "noise has 499 rows"),
    "stored, other columns": (stored(HOLES), stored(DIAG[:, :2]), "noise has shape"),
}


@pytest.mark.parametrize("name", MISFITS)
@pytest.mark.parametrize("method", ["fit", "predict"])
def test_what_does_not_fit_is_refused_before_a_computation(name, method):
    rows, noise, message = MISFITS[name]
    with pytest.raises(DataError, match=message):
        getattr(MODEL["diag"], method)(rows, noise=noise)


def test_stored_weights_are_one_number_a_row():
    with pytest.raises(DataError, match="sample_weight has 2 columns; one number for each row"):
        GaussianMixture(2).fit(stored(X), sample_weight=stored(X[:, :2]))
    with pytest.raises(DataError, match="sample_weight has 400 rows, the values have 500"):
        GaussianMixture(2).fit(stored(X), sample_weight=stored(WEIGHT[:400]))
    with pytest.raises(DataError, match="stored sample_weight came for Dask data"):
        GaussianMixture(2).fit(dask_array(X), sample_weight=stored(WEIGHT))
    wrong = WEIGHT.copy()
    wrong[321] = -1.0
    with pytest.raises(DataError, match=r"row 321: sample_weight is -1\.0"):
        GaussianMixture(2).fit(stored(X), sample_weight=stored(wrong))


def test_frames_in_other_partitions_are_refused():
    with pytest.raises(DataError, match="same partitions"):
        MODEL["diag"].predict(dask_frame(HOLES), noise=dask_array(DIAG))


@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_impossible_noise_of_lazy_data_names_its_row(kind):
    noise = DIAG.copy()
    noise[321, 0] = -1.0
    rows = dask_array(HOLES) if kind == "dask" else stored(HOLES)
    with pytest.raises(DataError, match="row 321: its noise"):
        GaussianMixture(2, **WORDS).fit(rows, noise=dask_array(noise) if kind == "dask" else noise)
    uneven = FULL.copy()
    uneven[321, 0, 1] += 1.0
    with pytest.raises(DataError, match=r"row 321: .*symmetric"):
        GaussianMixture(2, **WORDS).fit(
            rows, noise=dask_array(uneven) if kind == "dask" else uneven
        )


@pytest.mark.parametrize("make", [dask_array, dask_frame, stored, ArraySource])
@pytest.mark.parametrize("method", ["predict", "score", "impute"])
def test_infinite_values_of_lazy_data_are_never_missing(make, method):
    rows = HOLES.copy()
    rows[321, 1] = np.inf
    with pytest.raises(DataError, match=r"Input contains infinity: 1 of|infinite"):
        np.asarray(getattr(MODEL["exact"], method)(make(rows)))


@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_single_precision_stays_single(kind):
    rows = HOLES.astype(np.float32)
    data = dask_array(rows) if kind == "dask" else stored(rows)
    source = joined_source(data, given(3, "marginalize", WEIGHT, DIAG))
    assert source.dtype == np.float32
    assert source.read(0, 500).values.dtype == np.float32
    assert source.columns == ("x0", "x1", "x2", "sample_weight", "noise 0", "noise 1", "noise 2")


def test_fingerprints_see_values_weights_and_noise():
    def fingerprint(rows, weight, noise):
        return joined_source(stored(rows), given(3, "marginalize", weight, noise)).fingerprint

    first = fingerprint(HOLES, WEIGHT, DIAG)
    assert first != fingerprint(HOLES, WEIGHT + 1, DIAG)
    assert first != fingerprint(HOLES, WEIGHT, DIAG * 2)
    lazy = [joined_source(dask_array(HOLES), given(3, "error", w, DIAG)) for w in (WEIGHT, -WEIGHT)]
    assert lazy[0].fingerprint != lazy[1].fingerprint
