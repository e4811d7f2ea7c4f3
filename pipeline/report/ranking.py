"""Which columns tell the components apart, and where few of many can be shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipeline.report.results import Array, ComponentRow, Results

MAX_JUDGED = 100


def standardized_means(components: Sequence[ComponentRow]) -> Array:
    """Return the means as distances from the overall mean, in overall standard deviations.

    Parameters
    ----------
    components : sequence of ComponentRow

    Returns
    -------
    array of shape (n_components, n_columns)
        0 for constant columns and where a number is missing.
    """
    weights, means, variances = _moments(components)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near 1e300 are shown as 0
        center = weights @ means
        total = weights @ (variances + (means - center) ** 2)
        scale = np.sqrt(np.where(total > 0, total, 1.0))
        return np.nan_to_num((means - center) / scale, nan=0.0, posinf=0.0, neginf=0.0)


def separation(components: Sequence[ComponentRow]) -> Array:
    """Return per column the share of its variance that lies between the components, 0 to 1.

    Parameters
    ----------
    components : sequence of ComponentRow
    """
    weights = _moments(components)[0]
    return np.asarray(weights @ standardized_means(components) ** 2, dtype=np.float64)


def leading_columns(components: Sequence[ComponentRow], limit: int) -> list[int]:
    """Return the positions of the columns that separate best; all in order if there are few.

    Parameters
    ----------
    components : sequence of ComponentRow
    limit : int
    """
    n_columns = len(components[0].mean)
    if n_columns <= limit:
        return list(range(n_columns))
    order = np.argsort(-separation(components), kind="stable")
    return [int(column) for column in order[:limit]]


def leading_pairs(components: Sequence[ComponentRow], limit: int) -> list[tuple[int, int]]:
    """Return the pairs of columns worth a figure, the most telling first.

    A pair is judged by how far the means spread in its plane: by the sum of the semi-axes of the
    ellipse of their covariance, so that two columns that say the same count little more than one.

    Parameters
    ----------
    components : sequence of ComponentRow
    limit : int
        Number of pairs.

    Returns
    -------
    list of (int, int)
        Positions of columns, the first below the second.
    """
    columns = sorted(leading_columns(components, MAX_JUDGED))
    means = standardized_means(components)[:, columns]
    between = (means * _moments(components)[0][:, None]).T @ means
    a, b = np.triu_indices(len(columns), 1)
    trace = between[a, a] + between[b, b]
    determinant = between[a, a] * between[b, b] - between[a, b] ** 2
    # (sqrt(l1) + sqrt(l2))^2 for the eigenvalues l1, l2 of the two by two matrix.
    scores = trace + 2 * np.sqrt(np.maximum(determinant, 0))
    order = np.argsort(-scores, kind="stable")[:limit]
    return [(columns[a[k]], columns[b[k]]) for k in order]


def best_candidates(results: Results, limit: int) -> list[int]:
    """Return positions of candidates in their order: all, or the choice and the best of many.

    Parameters
    ----------
    results : Results
    limit : int
    """
    positions = range(len(results.candidates))
    if len(positions) <= limit:
        return list(positions)
    sign = -1 if results.criterion in ("held_out", "stability") else 1
    found = [getattr(row, results.criterion, math.nan) for row in results.candidates]
    values = [sign * value if math.isfinite(value) else math.inf for value in found]
    order = sorted(positions, key=lambda i: (i != results.chosen, values[i]))
    return sorted(order[:limit])


def _moments(components: Sequence[ComponentRow]) -> tuple[Array, Array, Array]:
    weights = np.array([component.weight for component in components])
    weights = np.nan_to_num(weights, nan=0.0)
    weights = weights / (weights.sum() or 1.0)
    means = np.array([component.mean for component in components], dtype=np.float64)
    stds = np.array([component.std for component in components], dtype=np.float64)
    # A missing number takes the column's middle, so that it tells nothing.
    found = np.isfinite(means)
    middle = np.where(found, means, 0.0).sum(axis=0) / np.maximum(found.sum(axis=0), 1)
    means = np.where(found, means, middle)
    return weights, means, np.where(np.isfinite(stds), stds, 0.0) ** 2
