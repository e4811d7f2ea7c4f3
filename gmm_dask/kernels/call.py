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
from gmm_dask.kernels.native.density import TILE
from gmm_dask.kernels.native.passes import TABLE, Key, module

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
    """(a multiple of TILE, D), C order."""
    start: int
    """Of its first row in the block."""
    valid: int
    """How many rows count."""


def pieces(values: npt.NDArray[Any]) -> list[Piece]:
    """Return the whole tiles of a block, without a copy, and its last rows padded to one tile."""
    n = len(values)
    whole = n // TILE * TILE
    found = [Piece(values[:whole], 0, whole)] if whole else []
    if whole < n:
        last = np.repeat(values[-1:], TILE, axis=0)
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
    if values.ndim != 2 or values.shape[1] != n_columns or values.dtype not in FLOAT_DTYPES:
        raise DataError(
            f"rows of shape {values.shape} and dtype {values.dtype} came; "
            f"float32 or float64 of shape (n, {n_columns}) are needed"
        )
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def call(task: str, model: Layout, piece: Piece, hard: bool, **arrays: npt.NDArray[Any]) -> None:
    """Run one pass over a piece; `arrays` are named as in the table of addresses."""
    D, A = piece.rows.shape[1], len(model.parameters)
    kind = "float" if piece.rows.dtype == np.float32 else "double"
    run = function(Key(task, model.form, D, kind, hard, vector_registers()))
    everything = {
        "rows": piece.rows,
        "shift": model.shift,
        "inverse_scale": model.inverse_scale,
        "origin": model.origin,
        "factor": model.factor,
        "parameters": model.parameters,
        "zeros": np.zeros(D + 1),
        "scratch": aligned(((2 * D + 3 + 2 * A) * TILE,), fill=None),
        "counts": np.array([len(piece.rows), piece.valid, A], dtype=np.int64),
        **arrays,
    }
    addresses = [everything[name].ctypes.data if name in everything else 0 for name in TABLE]
    table = np.array(addresses, dtype=np.uintp)
    run(table.ctypes.data)
