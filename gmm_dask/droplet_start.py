"""Where a fit of droplets begins: clusters on the grid of copies, however unequal in size.

Each target is cut on its own axis, by Lloyd's algorithm between the lowest and the highest rows of
a sample (some of the very extreme ones aside): negatives may outnumber positives a thousand to
one, and a start that looks for K clusters of all rows together would cut the negatives instead.
Cells of the grid without enough rows begin where copies add up.
"""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.laws.droplets import Droplets

ASIDE = 1e-4
"""Share of the rows at either end that may be outliers."""
FEW = 8
"""Rows of the sample below which a cell is taken for empty."""


def cuts(values: FloatArray, n_classes: int) -> FloatArray:
    """Return the limits between classes (n_classes - 1,) of values (m,), by Lloyd's algorithm."""
    ordered = np.sort(values)
    rank = min(max(3, int(ASIDE * len(ordered))), (len(ordered) - 1) // 4)
    centres = np.linspace(ordered[rank], ordered[-1 - rank], n_classes)
    total = np.concatenate([[0.0], np.cumsum(ordered - ordered[0])])
    for _ in range(200):
        places = np.searchsorted(ordered, 0.5 * (centres[1:] + centres[:-1]))
        ends = np.concatenate([[0], places, [len(ordered)]])
        n = np.diff(ends)
        means = ordered[0] + np.diff(total[ends]) / np.maximum(n, 1)
        moved = np.where(n > 0, means, centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return np.asarray(0.5 * (centres[1:] + centres[:-1]))


def droplet_start(sample: FloatArray, law: Droplets, covariance_type: str) -> dict[str, FloatArray]:
    """Return weights (K,), means (K, D) and covariances to begin with, in the units of the sample.

    Parameters
    ----------
    sample : (m, D)
        Random droplets of all wells; column d is the amplitude of target d.
    law : Droplets
    covariance_type : {"full", "tied", "diag"}

    Raises
    ------
    DataError
        Another number of columns than targets, or no cell of the grid has enough rows.
    """
    D = len(law.levels)
    if sample.shape[1] != D:
        raise DataError(
            f"{sample.shape[1]} columns came for {D} targets; each target needs one column, its "
            "amplitude"
        )
    classes = [
        np.searchsorted(cuts(sample[:, d], m + 1), sample[:, d]) for d, m in enumerate(law.levels)
    ]
    label = np.asarray(np.ravel_multi_index(tuple(classes), [m + 1 for m in law.levels]))
    count = np.bincount(label, minlength=law.n_components).astype(np.float64)
    if count.max() < FEW:
        raise DataError(
            f"{len(sample)} droplets came for {law.n_components} clusters; at least {FEW} in one "
            "of them are needed"
        )
    means, variances = _cells(sample, label, law, count)
    weights = law.weights((count + 0.5 / len(count))[None])[0]
    return {
        "weights": weights / weights.sum(),
        "means": means,
        "covariances": _covariances(variances, count, covariance_type),
    }


def _cells(
    sample: FloatArray, label: IntArray, law: Droplets, count: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return medians (K, D), and variances (K, D) by absolute deviations: rain moves neither."""
    K, D = law.n_components, sample.shape[1]
    means, variances = np.zeros((K, D)), np.zeros((K, D))
    for k in np.flatnonzero(count >= FEW):
        rows = sample[label == k]
        means[k] = np.median(rows, axis=0)
        variances[k] = (1.4826 * np.median(np.abs(rows - means[k]), axis=0)) ** 2
    full = count >= FEW
    variances = np.maximum(variances, 1e-6 * sample.var(axis=0))
    if not full.all():
        design = np.column_stack([np.ones(K), law.copies])
        root = np.sqrt(count[full])[:, None]
        line = np.linalg.lstsq(root * design[full], root * means[full], rcond=None)[0]
        means[~full] = (design @ line)[~full]
        pooled = count[full] @ variances[full] / count[full].sum()
        variances[~full] = pooled
    return means, variances


def _covariances(variances: FloatArray, count: FloatArray, covariance_type: str) -> FloatArray:
    if covariance_type == "diag":
        return variances
    if covariance_type == "tied":
        return np.diag(count @ variances / count.sum())
    full: FloatArray = variances[:, :, None] * np.eye(variances.shape[1])
    return full
