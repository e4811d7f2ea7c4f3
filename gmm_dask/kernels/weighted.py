"""The E-step of rows with weights, by generated code: a row of weight 2 is a row that occurs twice.

The weights multiply the shares inside the pass; log-likelihoods leave it row by row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.call import REAL_DTYPES, call, checked, key_of, pieces
from gmm_dask.kernels.fused import Model, lost_rows
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.single import from_tiles, lost_of_constants
from gmm_dask.kernels.types import EStepSums, GaussianMoments, zero_sums
from gmm_dask.kernels.unpack import empty_sums, moments_of
from gmm_dask.tree import add


def e_step(model: Model, values: npt.NDArray[Any], sample_weight: FloatArray) -> EStepSums:
    """Return the E-step sums of rows with weights.

    Parameters
    ----------
    model : Model
    values : (n, D) float32 or float64, source units
    sample_weight : (n,)
        None negative. In units of a power of two above the largest, those below 2^-72 add to
        counts alone; float32 tiles round weights to float32.

    Returns
    -------
    EStepSums
        Of which `n_rows` is the sum of the weights.
    """
    model = model if model.near is None else model.exact
    rows = checked(values, model.prepared.means.shape[1])
    sample_weight = np.asarray(sample_weight, dtype=np.float64)
    largest = sample_weight.max(initial=0.0)
    if not largest > 0:
        return zero_sums(model.prepared)
    unit = 2.0 ** np.ceil(np.log2(largest))
    weight = sample_weight / unit
    sums, lost = _of_units(model, rows, weight)
    lost &= weight > 0
    for one in np.unique(weight[lost]):
        sums = add(sums, times(model.oracle(rows[lost & (weight == one)]), one))
    return times(sums, unit)


def _of_units(
    model: Model, rows: npt.NDArray[Any], weight: FloatArray
) -> tuple[EStepSums, npt.NDArray[np.bool_]]:
    """Return sums, and which rows they lack."""
    key = key_of("e_step", model.layout, rows, model.hard)._replace(weighted=True)
    n, T = len(rows), key.tile
    sums = empty_sums(key, model.layout)
    top, total = np.empty((2, -(-n // T) * T))
    bits = np.empty(len(top) // LANES, dtype=np.uint8)
    own = np.zeros(len(top), dtype=REAL_DTYPES[key.compute])
    own[:n] = weight
    for piece in pieces(rows, T):
        at = slice(piece.start, None)
        of_row = {"top": top[at], "total": total[at], "row_weights": own[at]}
        call(key, model.layout, piece, lost=bits[piece.start // LANES :], **of_row, **sums)
    lost = lost_rows(bits, n)
    weight = np.where(lost, 0.0, weight)
    norm = top[:n] + np.log(total[:n]) + model.layout.offset
    log_likelihood = float((norm * weight).sum())
    count, moments = moments_of(model.layout, key, **sums)
    if model.single:
        moments = from_tiles(model.prepared, model.layout, count, moments)
        log_likelihood += lost_of_constants(model.layout, model.log_weights, count)
    of_rows = np.asarray(log_likelihood), np.asarray(float(weight.sum()))
    return EStepSums(*of_rows, count[None, :], moments, np.zeros(())), lost


def times(sums: EStepSums, factor: float) -> EStepSums:
    """Return the sums of as many copies of rows."""
    moments = GaussianMoments(sums.moments.first * factor, sums.moments.second * factor)
    return EStepSums(
        np.asarray(sums.log_likelihood * factor),
        np.asarray(sums.n_rows * factor),
        sums.count * factor,
        moments,
        np.asarray(sums.n_underflow * factor),
    )
