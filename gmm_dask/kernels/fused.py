"""E-steps, densities and responsibilities by generated code.

Rows whose density under every component is not representable are left out by the generated code
and computed by the oracle, so that they obey the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import BoolArray, FloatArray
from gmm_dask.kernels import reference
from gmm_dask.kernels.call import call, checked, pieces
from gmm_dask.kernels.layout import Layout, aligned, moments_of
from gmm_dask.kernels.native.density import TILE
from gmm_dask.kernels.native.moments import sums_of
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.types import EStepSums, GaussianMoments, GaussianPrepared, zero_sums
from gmm_dask.tree import add


@dataclass(frozen=True)
class Model:
    """A mixture and its layout.

    Parameters
    ----------
    prepared : GaussianPrepared
    log_weights : (K,)
    layout : Layout
    hard : bool
        Give each row to its likeliest component alone.
    """

    prepared: GaussianPrepared
    log_weights: FloatArray
    layout: Layout
    hard: bool = False


def empty_sums(model: Layout, n_columns: int) -> dict[str, Any]:
    """Return the arrays to which a pass adds its sums."""
    sizes = len(sums_of(model.form, n_columns)), len(sums_of("full", n_columns))
    return {
        "sums": aligned((len(model.parameters), sizes[0], LANES)),
        "scatter": aligned((sizes[1], LANES)),
    }


def lost_rows(bits: npt.NDArray[np.uint8], n: int) -> BoolArray:
    """Return which of n rows have their bit set."""
    return np.unpackbits(bits, bitorder="little")[:n].astype(bool)


def e_step(model: Model, values: npt.NDArray[Any]) -> EStepSums:
    """Return the E-step sums of rows (n, D), float32 or float64, in source units.

    The bits depend on the rows and the model alone.
    """
    rows = checked(values, model.prepared.means.shape[1])
    if not len(rows):
        return zero_sums(model.prepared)
    n_tiles = -(-len(rows) // TILE)
    sums = empty_sums(model.layout, rows.shape[1])
    top, total = np.empty((n_tiles, LANES)), np.empty((n_tiles, LANES))
    bits = np.empty((n_tiles, TILE // LANES), dtype=np.uint8)
    for piece in pieces(rows):
        at = piece.start // TILE
        of_row = {"top": top[at:], "total": total[at:]}
        call("e_step", model.layout, piece, model.hard, lost=bits[at:], **of_row, **sums)
    lost = lost_rows(bits.ravel(), len(rows))
    n = len(rows) - int(lost.sum())
    log_likelihood = top.sum() + np.log(total).sum() + n * model.layout.offset
    result = collect(model, sums, n, log_likelihood)
    if not lost.any():
        return result
    return add(result, reference.e_step(model.prepared, model.log_weights, rows[lost]))


def collect(model: Model, sums: dict[str, Any], n: int, log_likelihood: float) -> EStepSums:
    """Return the statistics of n rows from the sums of generated code."""
    count, moments = moments_of(model.prepared, model.layout, **sums)
    return EStepSums(
        np.asarray(log_likelihood),
        np.asarray(float(n)),
        count[None, :],
        moments,
        np.zeros(()),
    )


def given_moments(
    prepared: GaussianPrepared, model: Layout, values: npt.NDArray[Any], resp: FloatArray
) -> GaussianMoments:
    """Return the sums about the means, given responsibilities (n, K).

    Parameters
    ----------
    model : Layout
        With all components alive.
    """
    rows = checked(values, prepared.means.shape[1])
    sums = empty_sums(model, rows.shape[1])
    for piece in pieces(rows):
        given = np.zeros((len(piece.rows), resp.shape[1]))
        given[: piece.valid] = resp[piece.start : piece.start + piece.valid]
        call("moments", model, piece, False, given=given, **sums)
    return moments_of(prepared, model, **sums)[1]
