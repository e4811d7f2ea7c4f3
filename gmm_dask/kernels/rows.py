"""Values per row by generated code: densities, responsibilities, labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.kernels import reference
from gmm_dask.kernels.call import call, checked, pieces
from gmm_dask.kernels.fused import Model, lost_rows
from gmm_dask.kernels.layout import Layout
from gmm_dask.kernels.native.density import TILE
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.types import GaussianPrepared


class Assignments(NamedTuple):
    """The likeliest component of each row."""

    label: IntArray
    """(n,), the first of equals."""
    probability: FloatArray
    """(n,) of the label."""
    log_prob_norm: FloatArray
    """(n,) log density under the mixture, source units."""


def _whole_tiles(n: int, *shape: int) -> FloatArray:
    """Return room for n rows of results and for the padding of the last tile."""
    return np.empty((-(-n // TILE) * TILE, *shape))


def log_prob(prepared: GaussianPrepared, model: Layout, values: npt.NDArray[Any]) -> FloatArray:
    """Return the log density (n, K) of each row under each component, at least -1e300.

    Parameters
    ----------
    model : Layout
        For log weights of 0.
    """
    rows = checked(values, prepared.means.shape[1])
    result = _whole_tiles(len(rows), len(prepared.means))
    for piece in pieces(rows):
        call("log_prob", model, piece, False, out=result[piece.start :])
    result += model.offset
    return result[: len(rows)]


def _sweep(task: str, model: Model, rows: npt.NDArray[Any], *shape: int) -> tuple[Any, ...]:
    """Return the task's output, row maxima, totals, and the numbers of the lost rows."""
    out = _whole_tiles(len(rows), *shape)
    top, total = _whole_tiles(len(rows)), _whole_tiles(len(rows))
    bits = np.empty(len(top) // LANES, dtype=np.uint8)
    for piece in pieces(rows):
        here = slice(piece.start, None)
        of_row = {"out": out[here], "top": top[here], "total": total[here]}
        lost_bits = bits[piece.start // LANES :]
        call(task, model.layout, piece, model.hard, lost=lost_bits, **of_row)
    n = len(rows)
    lost = np.flatnonzero(lost_rows(bits, n))
    return out[:n], top[:n] + model.layout.offset, total[:n], lost


def resp(model: Model, values: npt.NDArray[Any]) -> FloatArray:
    """Return responsibilities (n, K)."""
    rows = checked(values, model.prepared.means.shape[1])
    K, alive = len(model.prepared.means), model.layout.alive
    out, _, _, lost = _sweep("resp", model, rows, len(alive))
    if len(alive) < K:
        shares, out = out, np.zeros((len(rows), K))
        out[:, alive] = shares
    if len(lost):
        out[lost] = reference.nearest(model.prepared, rows[lost], model.log_weights)
    result: FloatArray = out
    return result


def assign(model: Model, values: npt.NDArray[Any]) -> Assignments:
    """Return each row's likeliest component, its probability, and the row's log density."""
    rows = checked(values, model.prepared.means.shape[1])
    out, top, total, lost = _sweep("label", model, rows)
    label = model.layout.alive[out.astype(np.int64)]
    log_prob_norm = top + np.log(total)
    if len(lost):
        nearest = reference.nearest(model.prepared, rows[lost], model.log_weights)
        label[lost] = nearest.argmax(axis=1)
        log_joint = reference.log_prob(model.prepared, rows[lost]) + model.log_weights
        log_prob_norm[lost] = reference.log_sum_exp(log_joint)
    return Assignments(label, 1.0 / total, log_prob_norm)
