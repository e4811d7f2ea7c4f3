"""Two components are not two modes: how many peaks a pair makes.

References
----------
Ray and Lindsay 2005, Ann. Stat. 33:2042 (the ridgeline holds all modes); Ashman, Bird and Zepf
1994, Astron. J. 108:2348 (D).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.asking import fitted
from gmm_dask.diagnostics.goodness import check_shape
from gmm_dask.errors import ConfigError
from gmm_dask.mixture import Mixture

STEPS = 4001


class ModeCount(NamedTuple):
    """Peaks of the density of two components alone."""

    first: int
    second: int
    modes: int
    """1 or more; two Gaussians can have three in several columns."""
    ashman: float
    """Distance of the means over the root mean square deviation along the line between them; two
    equal components have two modes above 2."""


def count_modes(model: Any, first: int = 0, second: int = 1) -> ModeCount:
    """Return how many peaks two components of a fitted model make.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    first, second : int

    Raises
    ------
    ConfigError
        There are no such two components.
    """
    mixture: Mixture = fitted(model).mixture_
    check_shape(mixture, "count_modes")
    K = mixture.n_components
    if not (0 <= first < K and 0 <= second < K and first != second):
        raise ConfigError(f"components {first} and {second}; two of 0 to {K - 1} are needed")
    return count_modes_of(mixture, first, second)


def count_modes_of(mixture: Mixture, first: int, second: int) -> ModeCount:
    """Return the same of a mixture: maxima of the density along the ridgeline."""
    pair = [first, second]
    means, S = mixture.params.means[pair], mixture.family.dense(mixture.params)[pair]
    weights = mixture.weights.mean(axis=0)[pair]
    density = _along_ridge(means, S, weights / max(float(weights.sum()), 1e-300))
    # a plateau counts once: steps that change nothing are left out
    step = np.sign(np.diff(density))
    step = step[step != 0]
    inner = int(np.sum((step[:-1] > 0) & (step[1:] < 0)))
    ends = int(step.size > 0 and step[0] < 0) + int(step.size > 0 and step[-1] > 0)
    return ModeCount(first, second, max(inner + ends, 1), _ashman(means, S))


def _along_ridge(means: FloatArray, S: FloatArray, weights: FloatArray) -> FloatArray:
    """Return log densities on the curve on which all modes lie."""
    P = np.linalg.inv(S)
    log_det = np.linalg.slogdet(S)[1]
    a = np.sin(np.linspace(0, np.pi / 2, STEPS)) ** 2  # finer near both means
    both = (1 - a)[:, None, None] * P[0] + a[:, None, None] * P[1]
    right = (1 - a)[:, None] * (P[0] @ means[0]) + a[:, None] * (P[1] @ means[1])
    x = np.linalg.solve(both, right[:, :, None])[:, :, 0]
    with np.errstate(divide="ignore"):
        logs = [
            np.log(weights[k])
            - 0.5 * log_det[k]
            - 0.5 * np.einsum("nd,de,ne->n", x - means[k], P[k], x - means[k])
            for k in (0, 1)
        ]
    found: FloatArray = np.logaddexp(*logs)
    return found


def _ashman(means: FloatArray, S: FloatArray) -> float:
    apart = means[1] - means[0]
    length = float(np.sqrt(apart @ apart))
    if length == 0:
        return 0.0
    along = apart / length
    return length / float(np.sqrt(0.5 * sum(along @ C @ along for C in S)))
