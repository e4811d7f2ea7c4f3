"""Values per row by generated code: densities, responsibilities, labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.kernels import reference
from gmm_dask.kernels.call import call, checked, key_of, pieces
from gmm_dask.kernels.densities import whole_tiles
from gmm_dask.kernels.fused import Model, lost_rows
from gmm_dask.kernels.native.values import LANES


class Assignments(NamedTuple):
    """The likeliest component of each row."""

    label: IntArray
    """(n,), the first of equals."""
    probability: FloatArray
    """(n,) of the label."""
    log_prob_norm: FloatArray
    """(n,) log density under the mixture, per unit volume of the frame."""
    entropy: FloatArray
    """(n,) of the responsibilities, nats."""


def _sweep(task: str, model: Model, rows: npt.NDArray[Any], *shape: int) -> tuple[Any, ...]:
    """Return the task's output, row maxima, totals, entropies and the lost rows' numbers."""
    key = key_of(task, model.layout, rows, model.hard)
    n = len(rows)
    out = whole_tiles(n, key.tile, *shape)
    top, total, entropy = (whole_tiles(n, key.tile) for _ in range(3))
    bits = np.empty(len(top) // LANES, dtype=np.uint8)
    for piece in pieces(rows, key.tile):
        here = slice(piece.start, None)
        of_row = {"out": out, "top": top, "total": total, "entropy": entropy}
        of_piece = {name: array[here] for name, array in of_row.items()}
        call(key, model.layout, piece, lost=bits[piece.start // LANES :], **of_piece)
    lost = np.flatnonzero(lost_rows(bits, n))
    return out[:n], top[:n] + model.layout.offset, total[:n], entropy[:n], lost


def posterior(model: Model, values: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,) under the mixture and responsibilities (n, K)."""
    model = model if model.near is None else model.exact
    rows = checked(values, model.prepared.means.shape[1])
    K, alive = len(model.prepared.means), model.layout.alive
    out, top, total, _, lost = _sweep("resp", model, rows, len(alive))
    log_prob_norm = top + np.log(total)
    if len(alive) < K:
        shares, out = out, np.zeros((len(rows), K))
        out[:, alive] = shares
    if len(lost) and model.single:
        log_prob_norm[lost], out[lost] = posterior(model.exact, rows[lost])
    elif len(lost):
        out[lost] = reference.nearest(model.prepared, rows[lost], model.log_weights)
        log_prob_norm[lost] = _of_lost(model, rows[lost])[1]
    return log_prob_norm, out


def assign(model: Model, values: npt.NDArray[Any]) -> Assignments:
    """Return each row's likeliest component, its probability, and the row's log density."""
    model = model if model.near is None else model.exact
    rows = checked(values, model.prepared.means.shape[1])
    out, top, total, entropy, lost = _sweep("assign", model, rows)
    label = model.layout.alive[out.astype(np.int64)]
    log_prob_norm = top + np.log(total)
    found = Assignments(label, 1.0 / total, log_prob_norm, np.log(total) + entropy / total)
    if len(lost) and model.single:
        for array, values_of_lost in zip(found, assign(model.exact, rows[lost]), strict=True):
            array[lost] = values_of_lost
    elif len(lost):
        label[lost], log_prob_norm[lost] = _of_lost(model, rows[lost])
    return found


def _of_lost(model: Model, rows: npt.NDArray[Any]) -> tuple[IntArray, FloatArray]:
    """Return labels and log densities of rows that no density represents."""
    if model.metric is not None:
        far = [reference.nearest_centre(model.prepared, model.metric, row[None]) for row in rows]
        return (
            np.array([sums.count.argmax() for sums in far], dtype=np.int64),
            np.array([float(sums.log_likelihood) for sums in far]),
        )
    nearest = reference.nearest(model.prepared, rows, model.log_weights)
    log_joint = reference.log_prob(model.prepared, rows) + model.log_weights
    return nearest.argmax(axis=1), reference.log_sum_exp(log_joint)
