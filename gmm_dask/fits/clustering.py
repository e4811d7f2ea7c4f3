"""k-means on a sample in memory, by scikit-learn, in the metric of a start."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from gmm_dask.blocks import FloatArray


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
    model = KMeans(n_clusters, init="k-means++", n_init=1, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than K
        model.fit(points @ metric, sample_weight=weights)
    centres: FloatArray = np.linalg.solve(metric.T, model.cluster_centers_.T).T
    return centres


def plusplus_centres(
    points: FloatArray, n_clusters: int, metric: FloatArray, seed: int
) -> FloatArray:
    """Return K of the points (K, D) chosen by k-means++ in a metric.

    References
    ----------
    Arthur and Vassilvitskii 2007, SODA.
    """
    _, chosen = kmeans_plusplus(points @ metric, n_clusters, random_state=seed)
    rows: FloatArray = points[chosen]
    return rows
