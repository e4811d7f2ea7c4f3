"""Runs generated code over blocks of rows: allocates, calls, and collects.

Everything that a call writes belongs to that call, so that any number of threads may run at once;
the interpreter's lock is released while machine code runs.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FLOAT_DTYPES
from gmm_dask.errors import DataError
from gmm_dask.kernels.compile import load, machine_code, vector_registers
from gmm_dask.kernels.layout import Layout, aligned
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.module import module
from gmm_dask.kernels.native.passes import TABLE, scratch_size

REAL_DTYPES = {"double": np.float64, "float": np.float32}

_lock = Lock()


@cache
def _function(key: Key) -> Any:
    return load(machine_code(module(key)), "run")


def function(key: Key) -> Any:
    """Return the compiled pass of a key, made or loaded once per process."""
    with _lock:
        return _function(key)


class Piece(NamedTuple):
    """Whole tiles of rows."""

    rows: npt.NDArray[Any]
    """(a multiple of the tile, D), C order."""
    start: int
    """Of its first row in the block."""
    valid: int
    """How many rows count."""


def pieces(values: npt.NDArray[Any], tile: int) -> list[Piece]:
    """Return the whole tiles of a block, without a copy, and its last rows padded to one tile."""
    n = len(values)
    whole = n // tile * tile
    found = [Piece(values[:whole], 0, whole)] if whole else []
    if whole < n:
        last = np.repeat(values[-1:], tile, axis=0)
        last[: n - whole] = values[whole:]
        found.append(Piece(last, whole, n - whole))
    return found


def checked(values: npt.NDArray[Any], n_columns: int) -> npt.NDArray[Any]:
    """Return rows in C order and native byte order.

    Raises
    ------
    DataError
        If they are not (n, D) float32 or float64.
    """
    known = values.dtype.newbyteorder("=") in FLOAT_DTYPES
    if values.ndim != 2 or values.shape[1] != n_columns or not known:
        raise DataError(
            f"rows of shape {values.shape} and dtype {values.dtype} came; "
            f"float32 or float64 of shape (n, {n_columns}) are needed"
        )
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def key_of(task: str, model: Layout, rows: npt.NDArray[Any], hard: bool) -> Key:
    """Return the key of the code that computes a task."""
    method = model.method
    return Key(
        task=task,
        form=method.form,
        n_columns=rows.shape[1],
        kind="float" if rows.dtype == np.float32 else "double",
        hard=hard,
        registers=vector_registers(),
        tile=method.tile,
        lists=method.lists,
        projected=0 if task in ("log_prob", "moments") else method.projected,
        metric=method.metric,
        compute=method.compute,
        near=method.row == "near",
    )


def call(key: Key, model: Layout, piece: Piece, **arrays: npt.NDArray[Any]) -> None:
    """Run one pass over a piece; `arrays` are named as in the table of addresses.

    Of those that are not given, counts are those of whole tiles.
    """
    A = len(model.means)
    own = {
        "rows": piece.rows,
        "scratch": aligned((scratch_size(key, A),), REAL_DTYPES[key.compute], fill=None),
        "counts": np.array([len(piece.rows), piece.valid, A], dtype=np.int64),
    }
    arrays = own | arrays
    found = model.addresses | {name: array.ctypes.data for name, array in arrays.items()}
    table = np.array([found.get(name, 0) for name in TABLE], dtype=np.uintp)
    function(key)(table.ctypes.data)
