"""Lazy row-by-row outputs on the user's own Dask chunks; no plan, no pass."""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.delayed import delayed


def map_rows(
    data: Any, function: Callable[[Any], Any], n_outputs: int | None, dtype: Any, name: str
) -> Any:
    """Return a lazy array or series with one output a row, on the same row chunks.

    Parameters
    ----------
    data : dask array (N, D) or dask dataframe
        Unknown chunk sizes stay unknown.
    function : callable
        From a NumPy array (n, D) to (n,) or (n, n_outputs); travels once per graph.
    n_outputs : int or None
        Columns of the output; None for one value a row.
    dtype : dtype of the output
    name : str
        Name of a series, and prefix of the columns of a dataframe.

    Returns
    -------
    dask array, or dask series / dataframe with the index kept
    """
    shared = delayed(function, pure=True, name=f"rows-{tokenize(function)}")
    if hasattr(data, "map_partitions"):
        columns = None if n_outputs is None else [f"{name}_{k}" for k in range(n_outputs)]
        meta = _frame_meta(data, dtype, name, columns)
        wrapped = partial(_frame, name=name, columns=columns, dtype=dtype)
        return data.map_partitions(wrapped, shared, meta=meta, enforce_metadata=False)
    if len(data.chunks[1]) > 1:
        data = data.rechunk({1: -1})
    if n_outputs is None:
        meta = np.empty(0, dtype)
        return da.map_blocks(_array, data, shared, drop_axis=1, dtype=dtype, meta=meta)
    chunks = (data.chunks[0], (n_outputs,))
    meta = np.empty((0, 0), dtype)
    return da.map_blocks(_array, data, shared, chunks=chunks, dtype=dtype, meta=meta)


def sample_array(
    draw: Callable[[int, int], Any], n_rows: int, n_columns: int, chunks: int, *, labels: bool
) -> Any:
    """Return a lazy array of drawn rows (n_rows, n_columns), or of their labels (n_rows,).

    Parameters
    ----------
    draw : callable
        ``draw(lo, hi) -> (values, labels)`` of absolute rows.
    n_rows, n_columns : int
    chunks : int
        Rows a chunk.
    labels : bool
    """
    shared = delayed(draw, pure=True, name=f"draw-{tokenize(draw)}")
    parts = []
    for lo in range(0, n_rows, chunks):
        hi = min(lo + chunks, n_rows)
        piece = delayed(_draw, pure=True)(shared, lo, hi, labels)
        shape = (hi - lo,) if labels else (hi - lo, n_columns)
        parts.append(da.from_delayed(piece, shape, np.int64 if labels else np.float64))
    return da.concatenate(parts)


def _draw(draw: Callable[[int, int], Any], lo: int, hi: int, labels: bool) -> Any:
    return draw(lo, hi)[1 if labels else 0]


def _array(values: Any, function: Callable[[Any], Any]) -> Any:
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    kept = dense if dense.dtype in (np.float32, np.float64) else dense.astype(np.float64)
    return function(kept)


def _frame_meta(data: Any, dtype: Any, name: str, columns: list[str] | None) -> Any:
    import pandas as pd

    index = data._meta.index
    if columns is None:
        return pd.Series(np.empty(0, dtype), index=index[:0], name=name)
    return pd.DataFrame(np.empty((0, len(columns)), dtype), index=index[:0], columns=columns)


def _frame(part: Any, function: Callable[[Any], Any], name: str, columns: Any, dtype: Any) -> Any:
    import pandas as pd

    result = np.asarray(function(part.to_numpy(dtype=np.float64)), dtype)
    if columns is None:
        return pd.Series(result, index=part.index, name=name)
    return pd.DataFrame(result, index=part.index, columns=columns)
