"""k-means on a sample in memory, by scikit-learn, in the metric of a start."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from gmm_dask.blocks import FloatArray, IntArray

if TYPE_CHECKING:
    from sklearn.cluster import KMeans


def kmeans_centres(
    points: FloatArray,
    weights: FloatArray | None,
    n_clusters: int,
    metric: FloatArray,
    seed: int,
) -> FloatArray:
    """Return centres (K, D) of k-means++ and Lloyd in a metric, mapped back.

    Parameters
    ----------
    points : (m, D)
        Rows in the frame.
    weights : (m,), optional
    n_clusters : int
        At most m.
    metric : (D, D)
        Invertible; points are compared as ``|(y - c) @ metric|``.
    seed : int
    """
    if len(points) < n_clusters:
        extra = np.resize(np.arange(len(points)), n_clusters - len(points))
        return np.concatenate([points, points[extra]])
    model = _kmeans(points, weights, n_clusters, metric, seed)
    centres: FloatArray = np.linalg.solve(metric.T, model.cluster_centers_.T).T
    return centres


def kmeans_labels(
    points: FloatArray,
    weights: FloatArray | None,
    n_clusters: int,
    metric: FloatArray,
    seed: int,
    max_iter: int,
) -> IntArray:
    """Return the cluster of each point (m,), some empty, after at most so many steps of Lloyd.

    The rest is as for `kmeans_centres`; `n_clusters` is at most m.
    """
    model = _kmeans(points, weights, n_clusters, metric, seed, max_iter)
    labels: IntArray = model.labels_.astype(np.int64)
    return labels


def _kmeans(
    points: FloatArray,
    weights: FloatArray | None,
    n_clusters: int,
    metric: FloatArray,
    seed: int,
    max_iter: int = 300,
) -> KMeans:
    # scikit-learn takes a second to import: only where it is used
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model = KMeans(n_clusters, init="k-means++", n_init=1, max_iter=max_iter, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than K
        model.fit(points @ metric, sample_weight=weights)
    return model


def plusplus_centres(
    points: FloatArray, n_clusters: int, metric: FloatArray, seed: int
) -> FloatArray:
    """Return K of the points (K, D) chosen by k-means++ in a metric.

    References
    ----------
    Arthur and Vassilvitskii 2007, SODA.
    """
    from sklearn.cluster import kmeans_plusplus

    _, chosen = kmeans_plusplus(points @ metric, n_clusters, random_state=seed)
    rows: FloatArray = points[chosen]
    return rows
