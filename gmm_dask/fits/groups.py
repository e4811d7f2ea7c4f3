"""Moments of groups of rows, and the mixtures they make: what starts and moves work on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.fits.starts import started, with_means
from gmm_dask.kernels.types import EStepSums, GaussianMoments
from gmm_dask.mixture import Mixture


class Groups(NamedTuple):
    """Moments of G groups of rows, in the frame."""

    weights: FloatArray
    """(G,) rows, or their total weight."""
    means: FloatArray
    """(G, D)."""
    scatters: FloatArray
    """(G, D, D) sums of squares and products about each group's own mean."""

    def select(self, chosen: IntArray) -> Groups:
        """Return some of the groups, in this order."""
        return Groups(*(part[chosen] for part in self))

    def seen(self, metric: FloatArray) -> Groups:
        """Return the moments of the rows ``y @ metric``."""
        return Groups(self.weights, self.means @ metric, metric.T @ self.scatters @ metric)


def grouped(points: FloatArray, weights: FloatArray, label: IntArray) -> Groups:
    """Return the moments of labelled rows, in two passes: no digit is lost to cancellation.

    Parameters
    ----------
    points : (n, D)
    weights : (n,)
    label : (n,)
        Labels 0 to G - 1, each at least once.
    """
    found = [_moments(points[label == g], weights[label == g]) for g in range(label.max() + 1)]
    total, means, scatters = zip(*found, strict=True)
    return Groups(np.array(total), np.array(means), np.array(scatters))


def _moments(points: FloatArray, weights: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    total = float(weights.sum())
    mean = weights @ points / total
    y = points - mean
    return total, mean, (y * weights[:, None]).T @ y


def pooled(groups: Groups, label: IntArray) -> Groups:
    """Return the moments of unions of groups.

    Parameters
    ----------
    groups : Groups
    label : (G,)
        Number of the union of each group, from 0 without gaps.
    """
    member = np.zeros((int(label.max()) + 1, len(label)))
    member[label, np.arange(len(label))] = 1.0
    weights = member @ groups.weights
    means = member @ (groups.weights[:, None] * groups.means) / weights[:, None]
    apart = groups.means - means[label]
    between = groups.weights[:, None, None] * apart[:, :, None] * apart[:, None, :]
    scatters = np.einsum("ug,gde->ude", member, groups.scatters + between)
    return Groups(weights, means, scatters)


SMALLEST = 1e-6
"""Rows that a component without any counts for: logarithms and ratios stay finite."""


def groups_of(mixture: Mixture, n_rows: float) -> Groups:
    """Return the moments that the components of a mixture expect of some rows."""
    weights = np.maximum(mixture.pooled * n_rows, SMALLEST)
    scatters = weights[:, None, None] * mixture.family.dense(mixture.params)
    return Groups(weights, mixture.params.means, scatters)


def mixture_of(base: Mixture, groups: Groups) -> Mixture:
    """Return the M-step of groups under the family and the floor of a mixture.

    Parameters
    ----------
    base : Mixture
        Family, frame and law; its own covariances stay where those of a group are singular and
        there is no floor.
    groups : Groups
        As many as the mixture has components.
    """
    kind = base.family.covariance_type
    none, total = np.zeros(()), np.asarray(groups.weights.sum())
    moments = GaussianMoments(np.zeros_like(groups.means), second_moments(groups.scatters, kind))
    count = np.repeat(groups.weights[None] / len(base.weights), len(base.weights), axis=0)
    sums = EStepSums(none, total, count, moments, none)
    return started(with_means(base, groups.means), sums)


def second_moments(scatters: FloatArray, covariance_type: str) -> FloatArray:
    """Return scatters (K, D, D) in the shape that a covariance type keeps."""
    if covariance_type == "full":
        return scatters
    if covariance_type == "tied":
        tied: FloatArray = scatters.sum(axis=0)
        return tied
    if covariance_type == "diag":
        return np.diagonal(scatters, axis1=1, axis2=2).copy()
    trace: FloatArray = np.trace(scatters, axis1=1, axis2=2)
    return trace
