"""The E-step of rows in many small groups, each with weights of its own.

A call of the fused code measures rows under one vector of weights, and costs some 200 us beside
its rows. Where groups are smaller than that is worth, densities and moments are computed for rows
of all groups together, with the shares between: slower per row, but whatever the number of groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.kernels import densities, fused, reference
from gmm_dask.kernels.types import LOG_PROB_MIN, EStepSums, zero_sums
from gmm_dask.kernels.weighted import times
from gmm_dask.tree import add

TILE = 4096
SMALL = 512
"""Rows of a group, on average, below which groups are measured together."""
LOST = 0.9 * LOG_PROB_MIN
"""Log densities below are those of rows that no density represents."""


def e_step(
    model: fused.Model,
    values: npt.NDArray[Any],
    log_weights: FloatArray,
    group: IntArray,
    sample_weight: FloatArray,
) -> tuple[EStepSums, FloatArray]:
    """Return the E-step sums of rows in groups, and the counts (G, K) by group.

    Parameters
    ----------
    model : Model
        Of log weights 0: all components alive.
    values : (n, D) float32 or float64, source units
    log_weights : (G, K)
    group : (n,)
        Ascending.
    sample_weight : (n,)
    """
    total, count = zero_sums(model.prepared), np.zeros(log_weights.shape)
    for lo in range(0, len(values), TILE):
        tile = slice(lo, lo + TILE)
        mine, y, a = group[tile], values[tile], sample_weight[tile]
        joint = densities.log_prob(model.prepared, model.layout, y) + log_weights[mine]
        top = joint.max(axis=1)
        lost = top < LOST
        a = np.where(lost, 0.0, a)
        parts = np.exp(joint - top[:, None])
        whole = parts.sum(axis=1)
        resp = parts * (a / whole)[:, None]
        begins = np.flatnonzero(np.r_[True, mine[1:] != mine[:-1]])
        count[mine[begins]] += np.add.reduceat(resp, begins, axis=0)
        sums = EStepSums(
            np.asarray((a * (top + np.log(whole))).sum()),
            np.asarray(a.sum()),
            resp.sum(axis=0)[None],
            fused.given_moments(model.prepared, model.layout, y, resp),
            np.zeros(()),
        )
        total = add(total, sums)
        for i in np.flatnonzero(lost) + lo:
            alone = reference.e_step(model.prepared, log_weights[group[i]], values[i : i + 1])
            total = add(total, times(alone, float(sample_weight[i])))
            count[group[i]] += sample_weight[i] * alone.count[0]
    return total, count
