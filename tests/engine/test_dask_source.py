from __future__ import annotations

import pickle
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from gmm_dask import tree
from gmm_dask.engine import LocalEngine
from gmm_dask.engine.dask_source import LazySource
from gmm_dask.errors import DataError, DataWarning

from .toys import ColumnSums, rows_of

X = rows_of(0, 0, 10_000, 3)


def lazy(values: Any, chunks: Any = (1000, 3)) -> Any:
    return da.from_array(values, chunks=chunks)


@pytest.mark.parametrize("rows", [1, 7, 1000, 10_000, (1, 9998, 1), (0, 5000, 0, 5000)])
def test_any_row_chunks_give_one_answer(rows: Any) -> None:
    n = {1: 50, 7: 1500}.get(rows, 10_000)
    source = LazySource.of(lazy(X[:n], (rows, 3)))
    fold, engine = ColumnSums((0.0, 1.0, 2.0)), LocalEngine(2, block_rows=4096)
    expected = LocalEngine(1, block_rows=4096).fold(fold, source.materialise())
    assert source.n_rows == n
    assert tree.fingerprint(engine.fold(fold, source)) == tree.fingerprint(expected)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("<f8", "<f8"),
        ("<f4", "<f4"),
        (">f8", "<f8"),
        (">f4", "<f4"),
        ("<f2", "<f4"),
        ("i1", "<f8"),
        ("<u2", "<f8"),
        (">i4", "<f8"),
        ("<i8", "<f8"),
    ],
)
def test_real_numbers_become_native_floats(dtype: str, expected: str) -> None:
    values = np.arange(-60, 60).reshape(40, 3).astype(dtype)
    block = LazySource.of(lazy(values, (7, 3))).read(5, 33)
    assert block.values.dtype == np.dtype(expected)
    assert block.values.dtype.isnative
    assert block.values.flags.c_contiguous
    assert block.start == 5
    np.testing.assert_array_equal(block.values, values[5:33].astype(expected))


@pytest.mark.parametrize("dtype", [bool, complex, object, str, "datetime64[s]"])
def test_other_types_are_refused(dtype: Any) -> None:
    with pytest.raises(DataError, match="needed: real numbers"):
        LazySource.of(lazy(np.zeros((10, 2), int).astype(dtype), (5, 2)))


@pytest.mark.parametrize("shape", [(10,), (10, 2, 2)])
def test_other_shapes_are_refused(shape: Any) -> None:
    with pytest.raises(DataError, match=f"{len(shape)} dimensions"):
        LazySource.of(da.zeros(shape))


def test_integers_that_float64_cannot_hold_are_named() -> None:
    values = np.zeros((50, 2), np.int64)
    values[33, 1] = 2**53 + 1
    source = LazySource.of(lazy(values, (20, 2)))
    source.read(0, 20)
    with pytest.raises(DataError, match=f"row 33, column 1: the integer {2**53 + 1}"):
        source.read(0, 50)
    values[33, 1] = -(2**53)
    assert LazySource.of(lazy(values, (20, 2))).read(33, 34).values[0, 1] == -(2.0**53)


def test_masked_entries_become_nan() -> None:
    masked = np.ma.masked_greater(X[:100], 0.5)
    values = LazySource.of(lazy(masked, (30, 3))).read(0, 100).values
    np.testing.assert_array_equal(np.isnan(values), X[:100] > 0.5)
    np.testing.assert_array_equal(values[X[:100] <= 0.5], X[:100][X[:100] <= 0.5])
    hidden = np.ma.masked_equal(np.array([[1, 2**60]] * 4), 2**60)
    assert np.isnan(LazySource.of(lazy(hidden, (2, 2))).read(0, 4).values[:, 1]).all()


def test_sparse_chunks_become_dense_and_very_wide_ones_are_refused() -> None:
    sparse = lazy(X[:100], (30, 3)).map_blocks(sp.csr_matrix)
    values = LazySource.of(sparse).read(7, 77).values
    assert type(values) is np.ndarray
    np.testing.assert_array_equal(values, X[7:77])
    wide = da.map_blocks(
        lambda _: sp.csr_matrix((10, 40_000)),
        da.zeros((10, 1)),
        chunks=((10,), (40_000,)),
        meta=sp.csr_matrix((0, 0)),
    )
    with pytest.raises(DataError, match="sparse chunks of 40000 columns"):
        LazySource.of(wide)


def test_unknown_chunks_are_computed_with_a_warning() -> None:
    array = lazy(X)
    with pytest.warns(DataWarning, match="chunk sizes are unknown"):
        source = LazySource.of(array[array[:, 0] > 0])
    np.testing.assert_array_equal(source.materialise().values, X[X[:, 0] > 0])


def test_column_chunks_are_joined_with_a_warning() -> None:
    with pytest.warns(DataWarning, match="2 column chunks"):
        source = LazySource.of(lazy(X, (1000, 2)))
    np.testing.assert_array_equal(source.read(10, 20).values, X[10:20])


def test_column_names() -> None:
    assert LazySource.of(lazy(X)).columns == ("x0", "x1", "x2")
    assert LazySource.of(lazy(X), ["a", "b", "c"]).columns == ("a", "b", "c")
    with pytest.raises(DataError, match="2 column names came for 3 columns"):
        LazySource.of(lazy(X), ["a", "b"])


def test_dataframes_with_holes_and_empty_partitions() -> None:
    frame = pd.DataFrame(
        {"a": X[:100, 0], "b": pd.array([*range(99), None], dtype="Int64"), "c": range(100)}
    )
    lazy_frame = dd.from_pandas(frame, npartitions=5)
    source = LazySource.of(lazy_frame)
    assert source.columns == ("a", "b", "c")
    np.testing.assert_array_equal(
        source.read(90, 100).values, frame[90:].astype(np.float64).to_numpy()
    )
    few = LazySource.of(lazy_frame[lazy_frame["c"] >= 70])
    assert few.n_rows == 30
    np.testing.assert_array_equal(few.read(0, 30).values[:, 2], np.arange(70, 100))
    single = LazySource.of(dd.from_pandas(frame[["a"]].astype(np.float32), npartitions=2))
    assert single.dtype == np.float32


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["x"] * 10),
        pd.Series([True] * 10),
        pd.Series(pd.date_range("2026", periods=10)),
        pd.Series(["x"] * 10, dtype="category"),
    ],
)
def test_dataframe_columns_that_are_no_numbers_are_named(column: Any) -> None:
    frame = pd.DataFrame({"fine": np.arange(10.0), "wrong": column})
    with pytest.raises(DataError, match="wrong"):
        LazySource.of(dd.from_pandas(frame, npartitions=2))


def test_dataframe_identifiers_beyond_float64_are_refused() -> None:
    frame = pd.DataFrame({"id": np.full(10, 2**60), "x": np.arange(10.0)})
    with pytest.raises(DataError, match="is the column an identifier"):
        LazySource.of(dd.from_pandas(frame, npartitions=2)).read(0, 5)


def test_fingerprint_follows_the_data_and_survives_pickling() -> None:
    source = LazySource.of(lazy(X))
    assert LazySource.of(lazy(X.copy())).fingerprint == source.fingerprint
    assert LazySource.of(lazy(X + 1)).fingerprint != source.fingerprint
    assert LazySource.of(lazy(X), "abc").fingerprint != source.fingerprint
    again = pickle.loads(pickle.dumps(source))
    assert again.fingerprint == source.fingerprint
    np.testing.assert_array_equal(again.read(3, 9).values, X[3:9])


def test_chunks_are_read_whole() -> None:
    loads = []

    def load(chunk: Any) -> Any:
        loads.append(len(chunk))
        return chunk

    array = da.zeros((32_768, 3), chunks=(16_384, 3)).map_blocks(load, meta=np.empty((0, 0)))
    loads.clear()
    source = LazySource.of(array)
    engine = LocalEngine(1, block_rows=16_384)
    asked = engine.plan(source)
    assert source.chunk_rows == 16_384
    engine.fold(ColumnSums((0.0,) * 3), source)
    assert loads == [16_384] * asked.n_blocks
