"""What users hand in, turned into a `Source` and the engine that reads it.

NumPy and pandas stay in this process and never import ``distributed``; Dask collections run on
the current client, or on threads without one; zarr arrays are read block by block.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gmm_dask.blocks import FLOAT_DTYPES, ArraySource, Source, default_columns
from gmm_dask.engine.base import Engine
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import DataError

# A Dask collection without a cluster is held in memory up to this share of what is available.
MEMORY_SHARE = 0.4
EXACT = 2**53  # the largest integer up to which float64 holds all of them


def is_dask(data: Any) -> bool:
    """Return whether `data` is a Dask array or dataframe."""
    return hasattr(data, "dask") and hasattr(data, "__dask_graph__")


def is_zarr(data: Any) -> bool:
    """Return whether `data` is a zarr array, without importing zarr."""
    zarr = sys.modules.get("zarr")
    return zarr is not None and isinstance(data, zarr.Array)


def is_lazy(data: Any) -> bool:
    """Return whether `data` should not be looked at as a whole in memory."""
    return is_dask(data) or is_zarr(data) or is_source(data)


def column_names(data: Any) -> tuple[str, ...] | None:
    """Return the names of the columns of a dataframe, or None where there are none.

    Raises
    ------
    DataError
        If some names are strings and some are not.
    """
    if is_source(data):
        return None if data.columns == default_columns(len(data.columns)) else data.columns
    names = list(getattr(data, "columns", ()))
    if not names or not any(isinstance(name, str) for name in names):
        return None
    if not all(isinstance(name, str) for name in names):
        raise DataError(f"column names {names} are partly strings: name all columns by strings")
    return tuple(names)


def open_source(data: Any, names: Sequence[str] = ()) -> Source:
    """Return a `Source` for a NumPy array, Dask collection, zarr array or `Source`.

    Raises
    ------
    DataError
        For anything else.
    """
    if is_source(data):
        source: Source = data
        return source
    if is_dask(data):
        from gmm_dask.engine.dask_source import LazySource

        lazy: Source = LazySource.of(data, column_names(data) or ())
        return lazy
    if is_zarr(data):
        from gmm_dask.store.zarr_source import from_array

        stored: Source = from_array(data)
        return stored
    if isinstance(data, np.ndarray):
        return ArraySource(data, tuple(names))
    raise DataError(
        f"data of type {type(data).__name__} came; a NumPy array, pandas or Dask dataframe, Dask "
        "array, zarr array or gmm_dask.Source is needed"
    )


def open_weight(data: Any) -> Source:
    """Return a `Source` of one column for stored weights: a zarr array (N,), or one of (N, 1).

    Raises
    ------
    DataError
        It has more than one number for each row, or is no such array.
    """
    if is_zarr(data) and data.ndim == 1:
        from gmm_dask.store.zarr_source import from_array

        found: Source = from_array(data, vector=True)
        return found
    source = open_source(data)
    if len(source.columns) != 1:
        raise DataError(
            f"sample_weight has {len(source.columns)} columns; one number for each row is needed"
        )
    return source


def open_engine(source: Source, **options: Any) -> tuple[Engine, Source]:
    """Return the engine for a source, and the source as that engine should read it.

    Parameters
    ----------
    source : Source
    **options
        ``block_rows`` and ``fan_in`` of the plan.
    """
    client = current_client()
    if client is not None and not isinstance(source, ArraySource):
        from gmm_dask.engine.dask_engine import DaskEngine

        return DaskEngine(client, **options), source
    return LocalEngine(**options), _materialised(source)


def current_client() -> Any:
    """Return the current ``distributed`` client, or None; never imports ``distributed``."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.get_client()
    except ValueError:
        return None


def _materialised(source: Source) -> Source:
    """Return a lazy Dask source in memory, or in a scratch zarr if it is too large."""
    if not hasattr(source, "materialise"):
        return source
    size = source.n_rows * len(source.columns) * source.dtype.itemsize
    if size <= MEMORY_SHARE * psutil.virtual_memory().available:
        in_memory: Source = source.materialise()
        return in_memory
    from gmm_dask.store.spool import spool

    folder = Path(tempfile.mkdtemp(prefix="gmm-dask-spool-"))
    spooled: Source = spool(source, folder / "spool.zarr", 65536)
    return spooled


def is_source(data: Any) -> bool:
    """Return whether `data` can be read by absolute row; see `blocks.Source`."""
    return hasattr(data, "read") and hasattr(data, "fingerprint") and hasattr(data, "n_rows")


def as_numbers(data: Any) -> Any:
    """Return data in memory with masked values as NaN, refusing what is no plain number.

    scikit-learn's own checks drop the mask of a masked array, read numbers out of text, take
    truths for 0 and 1 and round large integers.

    Raises
    ------
    DataError
        Text, truths, dates, categories, records, complex numbers, or integers that float64 cannot
        hold; naming the columns of a dataframe.
    """
    if isinstance(data, list | tuple):
        data = _array_of(data)
    if isinstance(data, np.ndarray):
        _check_array(data)
    if isinstance(data, np.ma.MaskedArray):
        kind = data.dtype if data.dtype in FLOAT_DTYPES else np.dtype(np.float64)
        return np.ma.filled(data.astype(kind), np.nan)
    if hasattr(getattr(data, "dtypes", None), "items"):
        _check_frame(data)
    return data


def _array_of(data: Any) -> Any:
    """Return lists as an array, or as they are if they are none."""
    try:
        return np.asarray(data)
    except ValueError:  # rows of different lengths: scikit-learn's message says so
        return data


def _check_array(values: np.ndarray[Any, Any]) -> None:
    if values.dtype.kind == "c":
        raise DataError(
            f"Complex data not supported: values have dtype {values.dtype}; give real and "
            "imaginary parts as two columns"
        )
    if values.dtype.kind in "bUSMmVT":
        raise DataError(f"values have dtype {values.dtype}; numbers are needed")
    _check_entries(values)


def _check_frame(frame: Any) -> None:
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"more than one column is called {', '.join(twice)}; rename them")
    wrong = [f"{name} ({dtype})" for name, dtype in frame.dtypes.items() if not _is_number(dtype)]
    if wrong:
        raise DataError(f"columns that hold no numbers: {', '.join(wrong)}; leave them out")
    for name in frame.columns:
        kind = getattr(frame[name].dtype, "kind", "")
        if kind in "iuO":
            values = frame[name].dropna()
            _check_entries(np.asarray(values, dtype=object if kind == "O" else f"{kind}8"), name)


def _check_entries(values: np.ndarray[Any, Any], column: object = None) -> None:
    """Raise DataError for text or truths among objects, and for integers beyond 2^53."""
    if values.dtype.kind == "O":
        wrong = (v for v in values.flat if isinstance(v, str | bytes | bool | np.bool_))
        what = "no number; numbers are needed, text and truths are not read as such"
    elif values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size:
        wrong = (v for v in (values.max(), values.min()) if abs(int(v)) > EXACT)
        what = (
            "an integer beyond 2^53 that float64 cannot hold; subtract an offset, or leave it out"
        )
    else:
        return
    for value in wrong:
        place = "values hold" if column is None else f"column {column} holds"
        raise DataError(f"{place} {value!s:.60}, {what}")


def _is_number(dtype: Any) -> bool:
    """Return whether a column's type is numeric; plain objects may be (decimals) and are tried."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return (bool(is_numeric_dtype(dtype)) and not is_bool_dtype(dtype)) or dtype == np.dtype(object)


def check_same_columns(
    fitted: Sequence[str] | None, found: Sequence[str] | None, n_fitted: int, n_found: int
) -> None:
    """Raise DataError unless new data have the columns a model was fitted on."""
    if n_fitted != n_found:
        raise DataError(f"X has {n_found} features, but the model was fitted with {n_fitted}")
    if fitted is None or found is None or list(fitted) == list(found):
        return
    missing = [name for name in fitted if name not in found]
    unknown = [name for name in found if name not in fitted]
    detail = f"missing: {missing}; unknown: {unknown}" if missing else "in another order"
    raise DataError(
        "The feature names should match those that were passed during fit "
        f"({detail}): {list(found)} came, {list(fitted)} are needed"
    )
