"""Values, weights and noise of Dask collections joined row by row, lazily."""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt

from gmm_dask.errors import DataError

Join = Callable[..., npt.NDArray[Any]]
AXES = {"sample_weight": "i", "noise": "ibc", "groups": "i", "projection": "ide"}
"""Letters of the axes of each part; rows are i."""


def join_arrays(values: Any, beside: Mapping[str, Any], join: Join, width: int) -> Any:
    """Return one lazy array (N, width) on the row chunks of the values.

    Parameters
    ----------
    values : dask array (N, D)
    beside : mapping
        By name None, or a NumPy or Dask array, or Dask dataframe or series, of N rows each; cut
        as the values are.
    join : callable
        ``join(values, start=start, **parts)`` of one chunk.
    width : int

    Raises
    ------
    DataError
        The rows differ in number, or are of unknown number and in different chunks.
    """
    if len(values.chunks[1]) > 1:
        values = values.rechunk({1: -1})
    dtype = np.dtype(np.float32 if values.dtype == np.float32 else np.float64)
    known = not np.isnan(values.shape[0])
    parts = {
        "values": (values, "ia"),
        **{name: (_aligned(name, beside[name], values), AXES[name]) for name in beside},
        "row": (da.arange(values.shape[0], chunks=values.chunks[:1]) if known else None, "i"),
    }
    present = {name: (part, index) for name, (part, index) in parts.items() if part is not None}
    pairs = [(part, index[: part.ndim]) for part, index in present.values()]
    return da.blockwise(
        _join,
        "iz",
        *(item for pair in pairs for item in pair),
        names=tuple(present),
        join=join,
        new_axes={"z": width},
        concatenate=True,
        align_arrays=False,
        dtype=dtype,
        meta=np.empty((0, 0), dtype),
    )


def join_frames(frame: Any, noise: Any, join: Join, columns: tuple[str, ...]) -> Any:
    """Return a lazy dataframe of values and noise, partition by partition, its index kept.

    Parameters
    ----------
    frame : dask dataframe
    noise : dask dataframe
        Variances, in partitions of the same rows.
    join : callable
        See `join_arrays`.
    columns : tuple of str
        Names of all columns of the result.

    Raises
    ------
    DataError
        The noise is not a Dask dataframe with as many partitions.
    """
    if not hasattr(noise, "map_partitions") or noise.npartitions != frame.npartitions:
        raise DataError(
            f"noise of type {type(noise).__name__} came for a Dask dataframe of "
            f"{frame.npartitions} partitions; a Dask dataframe with the same partitions is needed "
            "(or give both as Dask arrays)"
        )
    meta = _join_parts(frame._meta, noise._meta, join, columns)
    return frame.map_partitions(
        _join_parts, noise, join, columns, meta=meta, align_dataframes=False
    )


def _aligned(name: str, part: Any, values: Any) -> Any:
    """Return a part as a Dask array on the row chunks of the values."""
    if part is None:
        return None
    if hasattr(part, "to_dask_array"):
        part = part.to_dask_array(lengths=True)
    if not isinstance(part, da.Array):
        if len(part) != values.shape[0]:
            raise DataError(_rows(name, len(part), values.shape[0]))
        part = da.from_array(part, chunks=(values.chunks[0], *part.shape[1:]))
    rest = dict.fromkeys(range(1, part.ndim), -1)
    if np.isnan(values.shape[0]) or np.isnan(part.shape[0]):
        if part.numblocks[0] != values.numblocks[0]:
            raise DataError(
                f"{name} has {part.numblocks[0]} chunks of rows, the values have "
                f"{values.numblocks[0]}, and not all sizes are known: call compute_chunk_sizes() "
                "first"
            )
        return part.rechunk(rest)
    if part.shape[0] != values.shape[0]:
        raise DataError(_rows(name, part.shape[0], values.shape[0]))
    return part.rechunk({0: values.chunks[0], **rest})


def _rows(name: str, found: Any, needed: Any) -> str:
    return f"{name} has {found} rows, the values have {needed}: one for each row is needed"


def _join(*parts: Any, names: tuple[str, ...], join: Join) -> npt.NDArray[Any]:
    """Join the parts of one chunk; chunks may be sparse, or of integers."""
    of = dict(zip(names, parts, strict=True))
    values = of["values"]
    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float64)
    rows = of.get("row")
    start = int(rows[0]) if rows is not None and len(rows) else 0
    beside = {name: part for name, part in of.items() if name not in ("values", "row")}
    return join(values, **beside, start=start)


def _join_parts(part: Any, noise: Any, join: Join, columns: tuple[str, ...]) -> Any:
    import pandas as pd

    numbers = [p.to_numpy(dtype=np.float64) for p in (part, noise)]
    joined = join(numbers[0], noise=numbers[1])
    return pd.DataFrame(joined, index=part.index, columns=list(columns))
