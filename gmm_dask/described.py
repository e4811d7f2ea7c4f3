"""Each component of a mixture in words and moments, a background among them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.families.background import WithBackground
from gmm_dask.families.product import Product
from gmm_dask.mixture import Mixture


class Described(NamedTuple):
    """All K components, source units."""

    means: FloatArray
    """(K, D): mean directions of angles from 0 to their period; of a background, the middle of its
    box."""
    covariances: FloatArray
    """(K, D, D): circular variances of angles; of a background, those of its box."""
    periods: FloatArray
    """(D,): inf in columns that are no angles."""
    names: tuple[str, ...]
    """"0", "1", ...; the last one "background", where there is one."""


def describe(mixture: Mixture) -> Described:
    """Return the moments of all components."""
    means, covariances = mixture.means, mixture.dense_covariances
    names = [str(k) for k in range(len(means))]
    family = mixture.family
    if isinstance(family, WithBackground):
        middle = 0.5 * (family.lowest + family.highest)
        of_box = np.diag((family.highest - family.lowest) ** 2 / 12.0)
        means = np.append(means, middle[None], axis=0)
        covariances = np.append(covariances, of_box[None], axis=0)
        names.append("background")
    inner = family.inner if isinstance(family, WithBackground) else family
    periods = np.full(mixture.n_columns, np.inf)
    if isinstance(inner, Product):
        periods[inner.angles] = inner.von_mises.periods
    return Described(means, covariances, periods, tuple(names))
