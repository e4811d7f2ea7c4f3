"""What is wrong with a mixture, read from its parameters, in sentences."""

from __future__ import annotations

import numpy as np

from gmm_dask.mixture import Mixture


def problems_of(mixture: Mixture) -> tuple[str, ...]:
    """Return sentences about flat, empty and identical components; none for a sound mixture."""
    weights = mixture.pooled
    empty = tuple(f"component {k} is empty" for k in np.flatnonzero(weights < 1e-8))
    try:
        return mixture.family.check(mixture.params) + empty + _twins(mixture)
    except np.linalg.LinAlgError:
        return ("a covariance is not finite",)


def _twins(mixture: Mixture) -> tuple[str, ...]:
    """Return a sentence for each component that equals an earlier one: EM cannot part them."""
    means, dense = mixture.params.means, mixture.family.dense(mixture.params)
    size = np.sqrt(np.diagonal(dense, axis1=1, axis2=2))
    unit = size[:, :, None] * size[:, None, :]
    found = []
    for k in range(1, len(means)):
        apart = np.abs((means[:k] - means[k]) / size[k]).max(axis=1)
        shape = np.abs((dense[:k] - dense[k]) / unit[k]).max(axis=(1, 2))
        found += [
            f"components {j} and {k} are identical: begin with means that differ"
            for j in np.flatnonzero(np.maximum(apart, shape) < 1e-10)[:1]
        ]
    return tuple(found)
