"""Starts of mixtures with angles or a background: a sample in memory, grouped and measured.

Distances are between standardised columns. An angle enters as a point on the circle, scaled to a
total variance of one where the angles are close together (there they are as on a line) and of two
where they are all around (there the circle has two coordinates).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray, Observed
from gmm_dask.families.background import WithBackground
from gmm_dask.families.product import Product
from gmm_dask.fits.clustering import kmeans_labels, plusplus_centres
from gmm_dask.fits.starts import choose_rows, started
from gmm_dask.folds.assign import pairwise, sums_of
from gmm_dask.mixture import Mixture
from gmm_dask.observed_angles import ProductObserver

LLOYD = 300


def grouped(init: str, seed: int, sample: FloatArray, base: Mixture) -> Mixture:
    """Return the mixture with which EM begins.

    Parameters
    ----------
    init : str
        ``random`` and ``random_from_data`` are what they are elsewhere, ``k-means++`` the rows
        nearest to each of the chosen ones; all others are k-means.
    seed : int
    sample : (m, D)
        Complete rows, source units.
    base : Mixture
        Equal weights, total covariance.
    """
    K = len(base.params.means)
    if init == "random_from_data":
        return _at(base, choose_rows(base.frame.forward(sample), K, seed))
    if init == "random":
        resp = np.random.default_rng(seed).random((len(sample), K))
        return _measured(base, sample, resp / resp.sum(axis=1, keepdims=True))
    points = embedded(sample, base)
    return _measured(base, sample, np.eye(K)[_labels(init, points, K, seed)])


def _labels(init: str, points: FloatArray, K: int, seed: int) -> IntArray:
    unit = np.eye(points.shape[1])
    if len(points) <= K:
        return np.arange(len(points))
    if init == "k-means++":
        centres = plusplus_centres(points, K, unit, seed)
        nearest: IntArray = pairwise(points, centres, unit).argmin(axis=1)
        return nearest
    return kmeans_labels(points, None, K, unit, seed, LLOYD)


def embedded(sample: FloatArray, base: Mixture) -> FloatArray:
    """Return rows (m, L + 2 C) in which the distance of angles is that of points on a circle."""
    frame, angles = base.frame, _angles(base)
    deviation = np.sqrt(np.where(frame.variance > 0, frame.variance, 1.0))
    y = frame.forward(sample)
    lines = np.delete(y / deviation, angles, axis=1)
    spread = np.minimum(0.5 * frame.variance[angles], 1.0)
    total = spread * (2.0 - spread)  # variance of the points: 1 - R^2
    a, size = y[:, angles], np.sqrt(total / (1.0 + total))
    return np.concatenate([lines, np.cos(a) / size, np.sin(a) / size], axis=1)


def _angles(base: Mixture) -> IntArray:
    angles: IntArray = getattr(base.family, "angles", np.empty(0, dtype=np.int64))
    return angles


def _at(base: Mixture, means: FloatArray) -> Mixture:
    """Return the template at other means (K, D), in the frame."""
    means = means.copy()
    angles = _angles(base)
    means[:, angles] = np.remainder(means[:, angles], 2 * np.pi)
    return replace(base, params=base.params._replace(means=means))


def _measured(base: Mixture, sample: FloatArray, resp: FloatArray) -> Mixture:
    """Return the M-step of responsibilities (m, K); a background keeps its share."""
    if isinstance(base.family, WithBackground):
        inside = replace(base, family=base.family.inner, weights=base.weights[:, :-1])
        begun, behind = _measured(inside, sample, resp), base.weights[:, -1:]
        weights = np.append(begun.weights * (1.0 - behind), behind, axis=1)
        return replace(base, params=begun.params, weights=weights)
    if isinstance(base.family, Product):
        sums = ProductObserver(base, base.family).given(Observed(sample), resp)
    else:
        sums = sums_of(base.prepare(), sample, resp, 0.0)
    return started(base, sums)
