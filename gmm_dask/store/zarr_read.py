"""Reading rows of a zarr array so that nothing that went wrong looks like data."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from gmm_dask.errors import DataError, StoreError
from gmm_dask.store import chunks
from gmm_dask.store.redact import Label
from gmm_dask.store.strict_store import MissingChunkError, UnreadableChunkError
from gmm_dask.store.zarr_open import check_integers, result_dtype, unreachable

Values = npt.NDArray[Any]
ALLOW = "Restore it, or set allow_missing_chunks if it was left out because all its values are"


def read_rows(
    array: zarr.Array[Any], lo: int, hi: int, label: Label, allow_missing: bool
) -> Values:
    """Return rows lo to hi as float32 or float64, (hi - lo, D), C order.

    Raises
    ------
    DataError
        Naming the chunk and its rows, if it is missing or damaged; or the row and column of an
        integer beyond 2**53.
    StoreError
        If the store cannot be reached.
    """
    values = _fetch(array, lo, hi, label)
    if array.shards is not None and not allow_missing:
        _check_inside_shards(array, lo, hi, label, values)
    check_integers(values, lo, str(label))
    return np.ascontiguousarray(values, result_dtype(array.dtype))


def survey(array: zarr.Array[Any], label: Label, allow_missing: bool) -> dict[str, str]:
    """Return the chunks that are stored, key -> token of the contents; none is read.

    Where a store cannot list, a number of chunks is asked for one by one.

    Raises
    ------
    DataError
        If a chunk is missing.
    StoreError
        If the store cannot be reached.
    """
    try:
        found = chunks.listing(array)
        if found is None:
            return chunks.sampled(array, allow_missing)
    except MissingChunkError as error:
        problem: Exception = missing(array, error.args[0], label)
    except Exception as error:
        reason = f"{type(error).__name__}: {label.scrub(error)}"
        problem = StoreError(f"{label} cannot be listed: {reason}. Check the connection and repeat")
    else:
        lost = None if allow_missing else chunks.first_missing(array, found)
        if lost is None:
            return found
        problem = missing(array, lost, label)
    raise problem


def _fetch(array: zarr.Array[Any], lo: int, hi: int, label: Label) -> Values:
    try:
        return np.asarray(array[lo:hi]).reshape(hi - lo, *(array.shape[1:] or (1,)))
    except MissingChunkError as error:
        problem: Exception = missing(array, error.args[0], label)
    except UnreadableChunkError as error:
        problem = unreachable(error, label, _rows(array, error.args[0]))
    except MemoryError:
        raise
    except Exception as error:
        # Each codec raises types of its own on damage
        problem = _damaged(array, lo, hi, label, error)
    raise problem


def _rows(array: zarr.Array[Any], key: str) -> str:
    lo, hi = chunks.rows_of(array, key)
    return f" (rows {lo} to {hi - 1})"


def missing(array: zarr.Array[Any], key: str, label: Label) -> DataError:
    """Return the error that a chunk is not stored."""
    where = f"{label}: chunk {key}{_rows(array, key)} is missing"
    return DataError(f"{where}. {ALLOW} the fill value {array.fill_value}")


def _damaged(array: zarr.Array[Any], lo: int, hi: int, label: Label, error: Exception) -> Exception:
    """Return the error that a chunk does not decode; find which by reading them one by one."""
    for key, rows, columns in _objects(array, lo, hi):
        try:
            array[(rows, columns)[: array.ndim]]
        except Exception as cause:
            reason = f"{type(cause).__name__}: {label.scrub(cause)}"
            return DataError(
                f"{label}: chunk {key}{_rows(array, key)} is damaged or cut short: {reason}. "
                "Restore it from the original"
            )
    return DataError(f"{label}: rows {lo} to {hi - 1} cannot be decoded: {label.scrub(error)}")


def _objects(array: zarr.Array[Any], lo: int, hi: int) -> Iterator[tuple[str, slice, slice]]:
    """Yield key, rows and columns of each stored object that rows lo to hi touch."""
    height, width = (*(array.shards or array.chunks), 1)[:2]
    across = range((*chunks.grid(array), 1)[1])
    for i, j in itertools.product(range(lo // height, (hi - 1) // height + 1), across):
        rows = slice(max(lo, i * height), min(hi, (i + 1) * height))
        columns = slice(j * width, min((j + 1) * width, (*array.shape, 1)[1]))
        yield array.metadata.encode_chunk_key((i, j)[: array.ndim]), rows, columns


def _check_inside_shards(
    array: zarr.Array[Any], lo: int, hi: int, label: Label, values: Values
) -> None:
    """Raise DataError if a chunk inside a shard is not stored.

    The store cannot tell, and zarr fills in. So where values equal the fill value, which is rare
    in measured data, the rows are read again with another fill value: what changes was not there.
    """
    fill = array.dtype.type(array.fill_value)
    if not (np.isnan(values).any() if _is_nan(fill) else (values == fill).any()):
        return
    other = array.dtype.type(1 if fill == 0 else 0)
    changed = dataclasses.replace(array.metadata, fill_value=other)
    again = _fetch(zarr.Array(zarr.AsyncArray(changed, array.store_path)), lo, hi, label)
    absent = (again != values) & ~(np.isnan(again) & np.isnan(values))
    if absent.any():
        row = lo + int(np.nonzero(absent.any(axis=1))[0][0])
        height = array.chunks[0]
        first = row // height * height
        raise DataError(
            f"{label}: the chunk of rows {first} to {min(first + height, array.shape[0]) - 1} is "
            f"missing inside its shard. {ALLOW} the fill value {array.fill_value}"
        )


def _is_nan(value: Any) -> bool:
    return bool(value != value)
