"""How fits begin: the kinds of starts, and what each makes of a sample of the rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Frame
from gmm_dask.fits.clustering import kmeans_centres, plusplus_centres
from gmm_dask.fits.given import Given
from gmm_dask.fits.merging import MergeTree, merge_tree, merged_start
from gmm_dask.fits.starts import (
    FromCentres,
    FromRandomResp,
    KMeansParallel,
    Start,
    choose_rows,
    start_seed,
)
from gmm_dask.folds.rows import RowShare
from gmm_dask.grouping import grouped
from gmm_dask.mixture import Mixture

INIT_PARAMS = (
    *("auto", "merging", "kmeans", "k-means||", "k-means++", "random", "random_from_data"),
)
# What `auto` does in turn: starts that fail on different data.
AUTO = ("merging", "kmeans whitened", "k-means||", "kmeans", "random_from_data")
MERGING_MOST = 128
"""Components beyond which the pairs of small clusters are too many to compare."""
MERGING_ROWS = 8
"""Rows of the sample for each component that merging needs."""
SAMPLE = 16384


def sample_size(n_components: int) -> int:
    """Return the rows that the starts of K components look at, whatever else is in the grid."""
    return max(SAMPLE, 50 * n_components)


Trees = dict[tuple[str, int, int], MergeTree]


class Ground(NamedTuple):
    """What the starts stand on."""

    frame: Frame
    sample: FloatArray
    """(m, D) random rows in source units."""


def metric_of(frame: Frame, kind: str = "standardised") -> FloatArray:
    """Return the matrix (D, D) by which starts measure distances in the frame.

    Parameters
    ----------
    frame : Frame
    kind : {"standardised", "whitened"}
        Each column over its own standard deviation; whitened also decorrelated by the total
        covariance, with directions below 1e-8 of the largest left at that size.
    """
    deviation = np.sqrt(np.where(frame.variance > 0, frame.variance, 1.0))
    if kind == "standardised":
        return np.diag(1.0 / deviation)
    values, vectors = np.linalg.eigh(frame.scatter / np.outer(deviation, deviation))
    root = np.sqrt(np.maximum(values, 1e-8 * values.max()))
    metric: FloatArray = (vectors / root) / deviation[:, None]
    return metric


def auto(index: int, n_components: int, n_sample: int) -> str:
    """Return what `auto` does for one restart: k-means in place of merging where that cannot be."""
    init = AUTO[index % len(AUTO)]
    small = n_sample < MERGING_ROWS * n_components
    if init == "merging" and (small or n_components > MERGING_MOST):
        return "kmeans whitened"
    return init


def _merged(seed: int, ground: Ground, base: Mixture, index: int, trees: Trees) -> Mixture:
    """Return the merging start; one tree of merges serves several K.

    Which K share a tree depends on K alone, so a fit starts alike alone and in a grid.
    """
    most = max(1 << (base.n_components - 1).bit_length(), 16)
    key = (base.family.covariance_type, most, index)
    if key not in trees:
        sample = base.frame.forward(ground.sample[: sample_size(most)])
        drawn = start_seed(seed, "merging", most, index)
        metric = metric_of(base.frame, "whitened")
        trees[key] = merge_tree(sample, None, key[0], most, drawn, metric)
    return merged_start(base, trees[key])


def start_of(
    init: str,
    seed: int,
    rows: RowShare | None,
    ground: Ground,
    base: Mixture,
    index: int,
    trees: Trees,
) -> Start | Mixture:
    """Return a start, or the mixture that it makes where no pass over the data is needed.

    Parameters
    ----------
    init : str
        One of ``INIT_PARAMS`` but not auto; k-means may be followed by `` whitened``.
    seed : int
    rows : RowShare, optional
        Training rows.
    ground : Ground
    base : Mixture
        Equal weights, total covariance.
    index : int
        Number of the restart.
    trees : dict
        Trees of merges made so far; a new one is put in.
    """
    if base.family.compound:
        return grouped(init, start_seed(seed, init, base.n_components, index), ground.sample, base)
    if init == "merging":
        return _merged(seed, ground, base, index, trees)
    K = base.n_components
    sample = base.frame.forward(ground.sample[: sample_size(K)])  # samples are nested
    init, _, kind = init.partition(" ")
    metric = metric_of(base.frame, kind or "standardised")
    drawn = start_seed(seed, init, K, index)
    if init == "random":
        return FromRandomResp(base, seed, index, rows)
    if init == "random_from_data":
        return _at(base, choose_rows(sample, K, drawn))
    if init == "k-means||":
        first = choose_rows(sample, 1, drawn)
        return KMeansParallel(base, metric, first, seed, index, rows)
    if init == "k-means++":
        centres = plusplus_centres(sample, K, metric, drawn)
    else:
        centres = kmeans_centres(sample, None, K, metric, drawn)
    return FromCentres(_at(base, centres), metric, rows)


def _at(base: Mixture, means: FloatArray) -> Mixture:
    order = base.law.arranged(np.ones(len(means)), means)
    return Given(means=means[order]).into(base)
