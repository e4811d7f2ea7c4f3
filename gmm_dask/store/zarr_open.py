"""Opening a user's zarr array and judging, before a row is read, whether it can be used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import zarr
from zarr.storage import FsspecStore, LocalStore, ZipStore

from gmm_dask.errors import DataError, StoreError
from gmm_dask.store.redact import Label, is_url
from gmm_dask.store.strict_store import WAITS, StrictStore, UnreadableChunkError

MOST_COLUMNS = 100_000
# float32 holds all values of these types, float64 all of the others (but the largest integers).
AS_FLOAT32 = ("float16", "float32", "int8", "int16", "uint8", "uint16")
AS_FLOAT64 = ("float64", "int32", "uint32", "int64", "uint64")
EXACT_INTEGERS = 2**53


def make_store(label: Label) -> Any:
    """Return the zarr store of a folder, a ``.zip`` file or an fsspec URL, for reading.

    Raises
    ------
    DataError
        If the protocol is unknown, a package for it is missing, or nothing is there.
    """
    if is_url(label.path):
        return _remote(label)
    place = Path(label.path).expanduser().absolute()
    if place.suffix == ".zip" and place.is_file():
        return ZipStore(place, mode="r", read_only=True)
    if not place.is_dir():
        raise DataError(f"{label.path}: there is no zarr store (a folder or a .zip file) here")
    return LocalStore(place, read_only=True)


def _remote(label: Label) -> Any:
    try:
        options = dict(label.options)
        return FsspecStore.from_url(label.path, storage_options=options, read_only=True)
    except Exception as error:
        # Types differ with the library behind the protocol
        reason = f"{type(error).__name__}: {label.scrub(error)}"
    # Outside the except: the chained message could hold the password that was just removed
    raise DataError(f"{label} cannot be opened: {reason}")


def open_array(
    store: Any, label: Label, allow_missing: bool, *, vector: bool = False
) -> zarr.Array[Any]:
    """Return the array of a store, found usable as rows.

    Raises
    ------
    DataError
        If there is no array, or it is not numeric and two-dimensional (`vector`: or
        one-dimensional).
    StoreError
        If the store cannot be reached.
    """
    node = _open(StrictStore(store, WAITS, allow_missing), label)
    if not isinstance(node.metadata.attributes, dict):  # zarr reads them unseen
        raise DataError(f"{label}: the metadata cannot be read: attributes are no JSON object")
    if not isinstance(node, zarr.Array):
        raise DataError(f"{label} is a group, not an array; set the key to one of: {_arrays(node)}")
    check_array(node, str(label), vector=vector)
    if isinstance(node.store, StrictStore):
        node.store.blosc = _ends_in_blosc(node)
    return node


def _ends_in_blosc(array: zarr.Array[Any]) -> bool:
    """Return whether the last thing done to a chunk was to make a Blosc frame of it."""
    last = array.compressors[-1] if array.compressors and array.shards is None else None
    return "blosc" in type(last).__name__.lower()


def _open(store: Any, label: Label) -> Any:
    try:
        return zarr.open(store=store, path=label.key, mode="r")
    except FileNotFoundError:
        problem: Exception = DataError(f"{label}: there is no zarr array or group")
    except UnreadableChunkError as error:
        problem = unreachable(error, label)
    except Exception as error:
        # Hostile or damaged metadata raise whatever the parser met first
        problem = DataError(f"{label}: the metadata cannot be read: {label.scrub(error)}")
    raise problem


def unreachable(error: UnreadableChunkError, label: Label, rows: str = "") -> Exception:
    """Return what the user is told when the store failed on a key."""
    key, cause, attempts = error.args
    reason = f"{label}: {key}{rows} cannot be read: {type(cause).__name__}: {label.scrub(cause)}"
    if isinstance(cause, PermissionError):
        return DataError(f"{reason}. Check the permissions, or the credentials in storage_options")
    return StoreError(f"{reason} ({attempts} attempts). Check the connection and repeat")


def _arrays(group: zarr.Group) -> str:
    """Return the keys of the first two-dimensional arrays below a group."""
    names: list[str] = []
    for name, node in group.members(max_depth=3):
        if isinstance(node, zarr.Array) and node.ndim == 2:
            names.append(f"{name} {node.shape}")
    return ", ".join(names[:12]) or "(it holds no two-dimensional array)"


def check_array(array: zarr.Array[Any], where: str, *, vector: bool = False) -> None:
    """Raise DataError unless the array is two-dimensional, numeric, not empty, and readable.

    What it claims is judged here by its metadata alone: a hostile shape is refused before anything
    of that size is allocated.
    """
    if array.ndim != (1 if vector else 2):
        wanted = "one number for each row (N,)" if vector else "rows and columns (N, D)"
        raise DataError(
            f"{where} has shape {array.shape}; needed: {'one' if vector else 'two'} "
            f"dimension{'' if vector else 's'}, {wanted}"
        )
    if array.dtype.name not in AS_FLOAT32 + AS_FLOAT64:
        raise DataError(
            f"{where} has dtype {array.dtype}; needed: real numbers "
            f"({', '.join(AS_FLOAT32 + AS_FLOAT64)})"
        )
    if 0 in array.shape or math.prod(array.shape[1:]) > MOST_COLUMNS:
        raise DataError(
            f"{where} has shape {array.shape}; needed: at least one row and "
            f"1 to {MOST_COLUMNS} columns"
        )
    _check_chunk(array, where)


def _check_chunk(array: zarr.Array[Any], where: str) -> None:
    step = array.chunks
    if 0 in step:
        raise DataError(
            f"{where} has chunks of {step}; a chunk without rows or "
            "columns cannot be read. Write it again with chunks of at least (1, 1)"
        )
    inner = math.prod(array.shards or step) // math.prod(step)
    # A shard comes with an index of two 8-byte numbers for each chunk in it
    bytes_needed = max(math.prod(step) * array.dtype.itemsize, 16 * inner)
    memory = psutil.virtual_memory().total
    if bytes_needed > memory:
        raise DataError(
            f"{where} has chunks of {step}, {bytes_needed} bytes each in memory; this machine has "
            f"{memory}. Write it again with smaller chunks, such as "
            f"{(_rows(array), *array.shape[1:])}"
        )


def _rows(array: zarr.Array[Any]) -> int:
    return max(1, (64 << 20) // (math.prod(array.shape[1:]) * array.dtype.itemsize))


def result_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 or float64: the type in which rows are handed out."""
    return np.dtype(np.float32 if stored.name in AS_FLOAT32 else np.float64)


def check_integers(values: np.ndarray[Any, Any], start: int, where: str) -> None:
    """Raise DataError if integers are too large to be told apart in float64."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
        return
    large = (values > EXACT_INTEGERS) | (
        values < -EXACT_INTEGERS if values.dtype.kind == "i" else 0
    )
    if large.any():
        row, column = (int(i[0]) for i in np.nonzero(large))
        raise DataError(
            f"{where}: row {start + row}, column {column} holds {values[row, column]}: integers "
            "beyond 2**53 lose digits in float64. Subtract an offset or rescale first"
        )
