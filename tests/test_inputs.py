"""What users may hand in, without a cluster."""

from __future__ import annotations

import sys

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr

from gmm_dask import GaussianMixture
from gmm_dask.blocks import ArraySource
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import DataError
from gmm_dask.inputs import (
    as_numbers,
    check_same_columns,
    column_names,
    current_client,
    is_dask,
    is_lazy,
    is_source,
    is_zarr,
    open_engine,
    open_source,
)

X = np.random.default_rng(0).normal(size=(100, 2))


def stored(values: np.ndarray, chunks: int = 30) -> zarr.Array:
    array = zarr.create_array({}, shape=values.shape, chunks=(chunks, 2), dtype=values.dtype)
    array[:] = values
    return array


def test_kinds_are_told_apart():
    lazy, array, frame = da.from_array(X), stored(X), pd.DataFrame(X)
    assert [is_dask(v) for v in (lazy, array, frame, X)] == [True, False, False, False]
    assert [is_zarr(v) for v in (lazy, array, frame, X)] == [False, True, False, False]
    assert [is_lazy(v) for v in (lazy, array, frame, X)] == [True, True, False, False]
    assert is_lazy(ArraySource(X))
    assert [is_source(v) for v in (ArraySource(X), lazy, array, frame, X)] == [True] + [False] * 4


@pytest.mark.parametrize("make", [lambda v: v, da.from_array, stored, ArraySource])
def test_sources_read_the_same_rows(make):
    source = open_source(make(X))
    assert source.n_rows == 100
    assert len(source.columns) == 2
    np.testing.assert_array_equal(source.read(13, 57).values, X[13:57])


def test_engines_without_a_client():
    assert current_client() is None or "distributed" in sys.modules
    engine, source = open_engine(open_source(da.from_array(X, chunks=30)))
    assert isinstance(engine, LocalEngine)
    assert isinstance(source, ArraySource)  # a lazy graph would be computed in every pass
    np.testing.assert_array_equal(source.values, X)


def test_options_reach_the_plan():
    engine, source = open_engine(ArraySource(X), block_rows=8192, fan_in=3)
    assert (engine.plan(source).block_rows, engine.plan(source).fan_in) == (8192, 3)


def test_names_of_columns():
    assert column_names(X) is None
    assert column_names(pd.DataFrame(X)) is None
    assert column_names(pd.DataFrame(X, columns=["a", "b"])) == ("a", "b")
    assert column_names(ArraySource(X)) is None
    assert column_names(ArraySource(X, ("a", "b"))) == ("a", "b")
    with pytest.raises(DataError, match="partly strings"):
        column_names(pd.DataFrame(X, columns=["a", 1]))


@pytest.mark.parametrize("bad", [[[1.0, 2.0]], "text", None, {"a": 1}])
def test_other_things_are_refused_with_what_is_needed(bad):
    with pytest.raises(DataError, match=f"{type(bad).__name__} came; a NumPy array"):
        open_source(bad)


def test_columns_are_compared_by_name_and_number():
    check_same_columns(["a", "b"], ["a", "b"], 2, 2)
    check_same_columns(None, ["a", "b"], 2, 2)
    check_same_columns(["a", "b"], None, 2, 2)
    with pytest.raises(DataError, match=r"X has 3 features, but .* 2"):
        check_same_columns(None, None, 2, 3)
    with pytest.raises(DataError, match=r"missing: \['b'\]; unknown: \['c'\]"):
        check_same_columns(["a", "b"], ["a", "c"], 2, 2)
    with pytest.raises(DataError, match="in another order"):
        check_same_columns(["a", "b"], ["b", "a"], 2, 2)


def test_masked_values_are_missing_not_forgotten():
    rows = np.ma.array(np.arange(20.0).reshape(10, 2), mask=False)
    rows[3, 1] = np.ma.masked
    assert np.isnan(as_numbers(rows)[3, 1])
    with pytest.raises(DataError, match="1 of 10 rows have no x1 \\(first: row 3\\)"):
        GaussianMixture().fit(rows)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.Categorical(["x", "y"] * 5)),
        pd.Series(pd.date_range("2020", periods=10)),
        pd.Series(list("abcdefghij"), dtype="string"),
    ],
    ids=["category", "dates", "text"],
)
def test_columns_that_are_no_numbers_are_named(column):
    frame = pd.DataFrame({"size": np.arange(10.0), "colour": column})
    with pytest.raises(DataError, match="colour"):
        GaussianMixture().fit(frame)


def test_text_is_not_read_as_numbers():
    with pytest.raises(DataError, match="numbers are needed"):
        GaussianMixture().fit(np.arange(20.0).reshape(10, 2).astype(str))
