"""E-steps, densities and responsibilities by generated code.

Rows whose density under every component is not representable are left out by the generated code
and computed by the oracle, so that they obey the same rule; float32 code leaves rows far from every
component to float64 code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import BoolArray, FloatArray
from gmm_dask.kernels import reference
from gmm_dask.kernels.call import call, checked, key_of, pieces
from gmm_dask.kernels.layout import Layout, layout
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.near import Near, sums_of
from gmm_dask.kernels.single import from_tiles, lost_of_constants
from gmm_dask.kernels.types import EStepSums, GaussianMoments, GaussianPrepared, zero_sums
from gmm_dask.kernels.unpack import empty_sums, moments_of
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
    metric : (D, m), optional
        Give each row to the component of the nearest mean in this metric.
    near : Near, optional
        By which rows without weights are summed, where components are many.
    """

    prepared: GaussianPrepared
    log_weights: FloatArray
    layout: Layout
    hard: bool = False
    metric: FloatArray | None = None
    near: Near | None = None

    @property
    def single(self) -> bool:
        """Whether tiles are float32."""
        return self.layout.method.compute == "float"

    @cached_property
    def exact(self) -> Model:
        """The same in float64, in whole tiles: for rows that need it (see `single`, `near`)."""
        return replace(self, layout=layout(self.prepared, self.log_weights), near=None)

    def oracle(self, values: npt.NDArray[Any]) -> EStepSums:
        """Return the same sums of lost rows by wider arithmetic, or by plain NumPy."""
        if self.single:
            return e_step(self.exact, values)
        if self.metric is not None:
            return reference.nearest_centre(self.prepared, self.metric, values)
        step = reference.hard_step if self.hard else reference.e_step
        return step(self.prepared, self.log_weights, values)


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
    if model.near is not None:
        found, missing = sums_of(model.near, rows)
        return add(found, model.oracle(rows[missing])) if len(missing) else found
    key = key_of("e_step", model.layout, rows, model.hard)
    n_tiles = -(-len(rows) // key.tile)
    sums = empty_sums(key, model.layout)
    top, total = np.empty((n_tiles, LANES)), np.empty((n_tiles, LANES))
    bits = np.empty((n_tiles, key.tile // LANES), dtype=np.uint8)
    for piece in pieces(rows, key.tile):
        at = piece.start // key.tile
        of_row = {"top": top[at:], "total": total[at:]}
        call(key, model.layout, piece, lost=bits[at:], **of_row, **sums)
    lost = lost_rows(bits.ravel(), len(rows))
    n = len(rows) - int(lost.sum())
    log_likelihood = top.sum() + np.log(total).sum() + n * model.layout.offset
    count, moments = moments_of(model.layout, key, **sums)
    if model.single:
        moments = from_tiles(model.prepared, model.layout, count, moments)
        log_likelihood += lost_of_constants(model.layout, model.log_weights, count)
    result = EStepSums(
        np.asarray(log_likelihood), np.asarray(float(n)), count[None, :], moments, np.zeros(())
    )
    if not lost.any():
        return result
    return add(result, model.oracle(rows[lost]))


def given_moments(
    prepared: GaussianPrepared, model: Layout, values: npt.NDArray[Any], resp: FloatArray
) -> GaussianMoments:
    """Return the sums about the means, given responsibilities (n, K), none negative.

    Parameters
    ----------
    model : Layout
        With all components alive.
    """
    rows = checked(values, prepared.means.shape[1])
    key = key_of("moments", model, rows, hard=False)
    sums = empty_sums(key, model)
    for piece in pieces(rows, key.tile):
        given = np.ascontiguousarray(resp[piece.start : piece.start + piece.valid], np.float64)
        if piece.valid < len(piece.rows):
            given = np.pad(given, [(0, len(piece.rows) - piece.valid), (0, 0)])
        call(key, model, piece, given=given, **sums)
    return moments_of(model, key, **sums)[1]
