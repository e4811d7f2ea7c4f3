"""Which columns tell the components apart, and where few of many can be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.report.results import Array, ComponentRow


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

    The pairs are those of the best separating columns, in the order of their summed separation.

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
    values = separation(components)
    # n columns make n(n-1)/2 pairs; one more column than needed leaves a choice.
    enough = leading_columns(components, int(np.ceil(np.sqrt(2 * limit))) + 1)
    pairs = [(a, b) for a in enough for b in enough if a < b]
    pairs.sort(key=lambda pair: -(values[pair[0]] + values[pair[1]]))
    return pairs[:limit]


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
