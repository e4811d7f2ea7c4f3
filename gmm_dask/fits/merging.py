"""A start for elongated clusters: many small clusters, merged two by two as a model sees them.

k-means cuts a long cluster across. Here it only makes an over-fine partition of a sample, in a
metric that is sharpened round by round to the shape of the small clusters themselves. Groups are
then merged greedily, always the pair that costs the classification likelihood least. The costs
need nothing but moments, so memory grows with the number of small clusters, not with the square
of the rows, and one sequence of merges serves every number of components.

References
----------
Fraley 1998, SIAM J. Sci. Comput. 20:270 (merging by a model); Art, Gnanadesikan and Kettenring
1982, Utilitas Mathematica 21A:75 (a metric from within the clusters, before they are known).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.fits.clustering import kmeans_labels
from gmm_dask.fits.groups import Groups, grouped, mixture_of, pooled
from gmm_dask.fits.merge_cost import costs, joined, tied_costs
from gmm_dask.mixture import Mixture

FEWEST, MOST = 64, 256
LLOYD_STEPS = 5
"""Small clusters need not be the best that k-means can do."""
ROUNDS = 8
"""At D = 30 a gap that k-means hardly sees makes its small clusters a few per cent narrower across
it; in the metric of their own shape the next ones see it better. They are drawn afresh each round:
Lloyd steps from the last ones leave the gap unseen."""
ROUND = 1.3
"""Small clusters whose variances differ by less, over all directions, need no other metric."""
NARROWEST = 1e-8
"""Smallest variance within small clusters, relative to the largest of all rows in a metric."""


class MergeTree(NamedTuple):
    """Small clusters, and the order in which they merge."""

    groups: Groups
    """M small clusters, in the frame."""
    merges: IntArray
    """(M - 1, 2): at each step the second group joins the first."""

    def cut(self, n_components: int) -> Groups:
        """Return the moments of K groups.

        Raises
        ------
        DataError
            There are fewer small clusters than K.
        """
        M = len(self.groups.weights)
        if n_components > M:
            raise DataError(
                f"{M} distinct small clusters were found in the sample, {n_components} components "
                "asked for: lower n_components, or start otherwise than by merging"
            )
        label = np.arange(M)
        for kept, gone in self.merges[: M - n_components]:
            label[label == gone] = kept
        return pooled(self.groups, np.unique(label, return_inverse=True)[1])


def merge_tree(
    points: FloatArray,
    weights: FloatArray | None,
    covariance_type: str,
    most: int,
    seed: int,
    metric: FloatArray,
) -> MergeTree:
    """Return the tree of merges of a sample.

    Parameters
    ----------
    points : (n, D)
        Complete rows of the sample, in the frame.
    weights : (n,), optional
    covariance_type : str
        Decides the costs and the metrics that the small clusters may take on: any for full and
        tied, one scale a column for diag, the frame's own for spherical.
    most : int
        Largest number of components that will be asked for.
    seed : int
    metric : (D, D)
        Metric of the first small clusters. If it is the whitened one, the tree does not depend on
        affine maps of the rows (full, tied), but for rounding.
    """
    mass = np.ones(len(points)) if weights is None else weights
    M = small_clusters(len(points), points.shape[1], most)
    rows = points
    if covariance_type in ("full", "tied"):  # rows, not moments, are mapped: no digit is lost
        rows, metric = points @ metric, np.eye(points.shape[1])
    for _ in range(ROUNDS):
        found = kmeans_labels(rows, weights, M, metric, seed, LLOYD_STEPS)
        label = np.unique(found, return_inverse=True)[1]
        groups = grouped(rows, mass, label)
        metric, elongation = sharpened(groups, covariance_type, metric)
        if elongation < ROUND:
            break
    order = merges(groups.seen(metric), covariance_type)
    return MergeTree(grouped(points, mass, label), order)


def small_clusters(n_rows: int, n_columns: int, most: int) -> int:
    """Return how many small clusters to make: four a component, with rows enough for a shape."""
    wanted = min(max(4 * most, FEWEST), max(2 * most, MOST))
    return min(max(min(wanted, n_rows // (n_columns + 2)), most), n_rows)


class Sharpened(NamedTuple):
    """The metric of small clusters themselves."""

    metric: FloatArray
    """(D, D): the covariance within the clusters is the unit matrix."""
    elongation: float
    """Largest over smallest variance within the clusters, seen in the metric they came from."""


def sharpened(groups: Groups, covariance_type: str, metric: FloatArray) -> Sharpened:
    """Return the metric in which small clusters are round, as far as a covariance type allows.

    Any for full and tied; one scale a column for diag, so that the diagonal is that of the unit
    matrix; the frame's own for spherical, with the trace of the unit matrix.
    """
    within = groups.scatters.sum(axis=0) / groups.weights.sum()
    whole = pooled(groups, np.zeros(len(groups.weights), dtype=np.int64))
    total = whole.scatters[0] / whole.weights[0]
    if covariance_type in ("full", "tied"):
        values, vectors = np.linalg.eigh(metric.T @ within @ metric)
        floor = NARROWEST * np.linalg.eigvalsh(metric.T @ total @ metric)[-1]
        values = np.maximum(values, floor)
        return Sharpened(metric @ (vectors / np.sqrt(values)), float(values[-1] / values[0]))
    spread = np.diagonal(total)
    spread = np.where(spread > 0, spread, 1.0)
    if covariance_type == "spherical":
        variance = np.maximum(np.trace(within), NARROWEST * np.trace(total)) / len(spread)
        return Sharpened(np.eye(len(spread)) / np.sqrt(variance), 1.0)
    values = np.maximum(np.diagonal(within), NARROWEST * spread)
    seen = values * (metric**2).sum(axis=1)
    return Sharpened(np.diag(1.0 / np.sqrt(values)), float(seen.max() / seen.min()))


def merges(groups: Groups, covariance_type: str) -> IntArray:
    """Return the order (G - 1, 2) of greedy merging.

    Parameters
    ----------
    groups : Groups
        In the metric in which the covariance within them is the unit matrix.
    covariance_type : str
    """
    prior = groups.means.shape[1] + 2.0
    if covariance_type == "tied":
        return _tied_merges(groups, prior)
    return _separate_merges(groups, covariance_type, prior)


def _tied_merges(groups: Groups, prior: float) -> IntArray:
    """Merge under one covariance: every cost changes with each merge."""
    within = groups.scatters.sum(axis=0) + prior * np.eye(groups.means.shape[1])
    left = np.arange(len(groups.weights))
    order = []
    while len(left) > 1:
        cost = tied_costs(groups.weights[left], groups.means[left], within)
        np.fill_diagonal(cost, np.inf)
        i, j = sorted(left[list(np.unravel_index(cost.argmin(), cost.shape))])
        union = joined(groups, i, np.array([j]))
        within = within + union.scatters[0] - groups.scatters[i] - groups.scatters[j]
        groups = _replaced(groups, i, union)
        left = left[left != j]
        order.append((i, j))
    return np.array(order, dtype=np.int64).reshape(-1, 2)


def _separate_merges(groups: Groups, kind: str, prior: float) -> IntArray:
    """Merge under separate covariances: a merge changes the costs of the new group only."""
    M = len(groups.weights)
    cost = np.full((M, M), np.inf)
    for i in range(M - 1):
        cost[i, i + 1 :] = costs(groups, i, np.arange(i + 1, M), kind, prior)
    left = np.arange(M)
    order = []
    while len(left) > 1:
        i, j = (int(index) for index in np.unravel_index(cost.argmin(), cost.shape))
        groups = _replaced(groups, i, joined(groups, i, np.array([j])))
        left = left[left != j]
        cost[j], cost[:, j] = np.inf, np.inf
        others = left[left != i]
        new = costs(groups, i, others, kind, prior)
        cost[np.minimum(i, others), np.maximum(i, others)] = new
        order.append((i, j))
    return np.array(order, dtype=np.int64).reshape(-1, 2)


def _replaced(groups: Groups, i: int, by: Groups) -> Groups:
    copies = Groups(*(part.copy() for part in groups))
    for part, new in zip(copies, by, strict=True):
        part[i] = new[0]
    return copies


def merged_start(base: Mixture, tree: MergeTree) -> Mixture:
    """Return the mixture of the K groups of a tree, under the family and floor of `base`.

    Parameters
    ----------
    base : Mixture
        K components, in the frame of the tree's rows.
    tree : MergeTree
    """
    return mixture_of(base, tree.cut(base.n_components))
