"""Dask and zarr input without a client: the same model, lazy outputs on the same chunks."""

from __future__ import annotations

import warnings

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import zarr

from gmm_dask import ArraySource, DataError, DataWarning, GaussianMixture, fit_many
from tests.strategies import clusters

X, _ = clusters(1000, 3, 3, apart=6.0)
MODEL = GaussianMixture(3, random_state=0).fit(X)


def zarr_array(values: np.ndarray, zarr_format: int = 3) -> zarr.Array:
    array = zarr.create_array(
        {}, shape=values.shape, chunks=(300, 3), dtype=values.dtype, zarr_format=zarr_format
    )
    array[:] = values
    return array


def frame(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values.copy(), columns=["a", "b", "c"])


def unknown_chunks(values: np.ndarray) -> da.Array:
    lazy = da.from_array(values, chunks=(170, 3))
    return lazy[da.from_array(np.ones(len(values), bool), chunks=170)]


INPUTS = {
    "dask array": lambda v: da.from_array(v, chunks=(130, 3)),
    "one chunk": lambda v: da.from_array(v, chunks=-1),
    "dask dataframe": lambda v: dd.from_pandas(frame(v), npartitions=4),
    "zarr 2": lambda v: zarr_array(v, 2),
    "zarr 3": zarr_array,
    "pandas": frame,
    "source": ArraySource,
    "fortran": np.asfortranarray,
    "list": lambda v: v.tolist(),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_input_gives_the_same_bits(kind):
    data = INPUTS[kind](X)
    model = GaussianMixture(3, random_state=0).fit(data)
    np.testing.assert_array_equal(model.means_, MODEL.means_)
    np.testing.assert_array_equal(model.covariances_, MODEL.covariances_)
    for method in ("predict", "predict_proba", "score_samples"):
        answer = np.asarray(getattr(model, method)(data))
        np.testing.assert_array_equal(answer, getattr(MODEL, method)(X))
    for method in ("score", "bic", "aic", "icl"):
        value = getattr(model, method)(data)
        assert isinstance(value, float)
        assert value == getattr(MODEL, method)(X)
    named = kind in ("dask dataframe", "pandas")
    assert hasattr(model, "feature_names_in_") == named


def test_unknown_chunks_are_counted_with_a_warning():
    with pytest.warns(DataWarning, match="chunk sizes are unknown"):
        model = GaussianMixture(3, random_state=0).fit(unknown_chunks(X))
    np.testing.assert_array_equal(model.means_, MODEL.means_)
    labels = model.predict(unknown_chunks(X))  # stays lazy, and unknown
    assert np.isnan(labels.shape[0])
    np.testing.assert_array_equal(labels.compute(), MODEL.predict(X))


def test_several_column_chunks_are_joined_with_a_warning():
    lazy = da.from_array(X, chunks=(130, 1))
    with pytest.warns(DataWarning, match="3 column chunks"):
        model = GaussianMixture(3, random_state=0).fit(lazy)
    np.testing.assert_array_equal(model.means_, MODEL.means_)
    np.testing.assert_array_equal(model.predict(lazy).compute(), MODEL.predict(X))


@pytest.mark.parametrize("chunk", [1, 130, 999])
def test_outputs_are_lazy_on_the_same_chunks(chunk):
    lazy = da.from_array(X, chunks=(chunk, 3))
    labels, resp, logs = (
        MODEL.predict(lazy),
        MODEL.predict_proba(lazy),
        MODEL.score_samples(lazy),
    )
    for answer in (labels, resp, logs):
        assert isinstance(answer, da.Array)
        assert answer.chunks[0] == lazy.chunks[0]
    assert labels.dtype == np.int64
    assert resp.shape == (1000, 3)
    assert logs.ndim == 1
    if chunk > 1:
        np.testing.assert_array_equal(labels.compute(), MODEL.predict(X))
        np.testing.assert_allclose(resp.compute(), MODEL.predict_proba(X), rtol=1e-12)


def test_nothing_is_computed_until_it_is_asked_for():
    def refuse(block):
        raise AssertionError("computed")

    lazy = da.from_array(X, chunks=130).map_blocks(refuse, dtype=float, meta=np.empty((0, 0)))
    MODEL.predict(lazy)
    MODEL.score_samples(lazy)


def test_dataframes_keep_their_index():
    table = frame(X)
    table.index = [f"star {i}" for i in range(1000)]
    lazy = dd.from_pandas(table, npartitions=3, sort=False)
    model = GaussianMixture(3, random_state=0).fit(lazy)
    labels, resp = model.predict(lazy), model.predict_proba(lazy)
    assert labels.npartitions == 3
    computed = labels.compute()
    assert list(computed.index) == list(table.index)
    np.testing.assert_array_equal(computed.to_numpy(), MODEL.predict(X))
    assert resp.compute().shape == (1000, 3)
    with pytest.raises(DataError, match="feature names should match"):
        model.predict(lazy[["b", "a", "c"]])


@pytest.mark.parametrize("kind", ["dask array", "zarr 3", "dask dataframe"])
def test_bad_values_of_lazy_data_are_named(kind):
    rows = X.copy()
    rows[[700, 900], 1] = np.nan
    column = "b" if kind == "dask dataframe" else "x1"
    data = INPUTS[kind](rows)
    with pytest.raises(DataError, match=rf"2 of 1000 rows have no {column} \(first: row 700\)"):
        GaussianMixture(2).fit(data)


@pytest.mark.parametrize("kind", ["dask array", "zarr 3", "source", "dask dataframe"])
@pytest.mark.parametrize("method", ["predict", "score_samples", "score", "bic"])
def test_bad_values_at_predict_are_refused(kind, method):
    rows = X.copy()
    rows[700, 1] = np.nan
    model = GaussianMixture(3, random_state=0).fit(INPUTS[kind](X))
    with pytest.raises(DataError, match="NaN"):
        np.asarray(getattr(model, method)(INPUTS[kind](rows)))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.float16, ">f8", np.uint8])
@pytest.mark.parametrize("kind", ["numpy", "dask array", "zarr 3"])
def test_other_types_are_numbers(kind, dtype):
    values = np.abs(np.round(X)).clip(0, 200).astype(dtype)
    exact = np.asarray(values, dtype=np.float64)
    data = values if kind == "numpy" else INPUTS[kind](values)
    model = GaussianMixture(1).fit(data)
    np.testing.assert_allclose(model.means_[0], exact.mean(axis=0), rtol=1e-12)
    assert np.asarray(model.score_samples(data)).dtype == np.float64
    assert (np.asarray(model.predict(data)) == 0).all()


@pytest.mark.parametrize("kind", ["dask array", "zarr 3"])
def test_text_and_complex_are_refused(kind):
    with pytest.raises((DataError, ValueError), match=r"complex128|real"):
        GaussianMixture(1).fit(INPUTS[kind](X.astype(complex)))


def test_other_widths_are_refused_before_a_computation():
    wide = da.zeros((10, 4), chunks=5)
    with pytest.raises(DataError, match=r"X has 4 features, but .* 3"):
        MODEL.predict(wide)
    with pytest.raises(DataError, match="4 features"):
        MODEL.score(wide)


def test_one_dimension_is_refused():
    with pytest.raises((DataError, ValueError), match="dimension"):
        GaussianMixture(1).fit(da.zeros(10, chunks=5))


def test_empty_chunks_are_no_rows():
    parts = [da.from_array(X[:500], chunks=250), da.zeros((0, 3)), da.from_array(X[500:])]
    lazy = da.concatenate(parts)
    model = GaussianMixture(3, random_state=0).fit(lazy)
    np.testing.assert_array_equal(model.means_, MODEL.means_)
    np.testing.assert_array_equal(model.predict(lazy).compute(), MODEL.predict(X))


def test_a_grid_on_a_dask_array():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lazy = fit_many(da.from_array(X, chunks=(130, 3)), [1, 3], random_state=0)
    plain = fit_many(X, [1, 3], random_state=0)
    np.testing.assert_array_equal(lazy.best.means_, plain.best.means_)
