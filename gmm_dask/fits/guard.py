"""What keeps an accelerated fit safe: the plain step, and the judgement of a leap by its pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import DataError
from gmm_dask.fits.coordinates import Coordinates
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture, m_step

PLAIN_FIRST = 10
"""Plain EM steps before the first leap: far from the optimum leaps are wild."""
COLLAPSE = 10.0
"""A leap that gains more per row has fallen into a singularity, not found a mode."""


def stepped(mixture: Mixture, answer: EStepSums) -> Mixture | None:
    """Return the M-step, or None where it is degenerate."""
    if not np.isfinite(answer.log_likelihood):
        return None
    try:
        following = m_step(mixture, answer)
        following.family.validate(following.params)
    except (DataError, np.linalg.LinAlgError):
        return None
    return following


def is_acceptable(mixture: Mixture, before: float, bound: float, answer: EStepSums) -> bool:
    """Return whether a leap may be kept: no fall, no collapse, no component starved.

    Parameters
    ----------
    mixture : Mixture
        Where the leap landed.
    before : float
        Lower bound per row of the last mixture that was kept.
    bound : float
        That of the leap.
    answer : EStepSums
        The sums of the pass at the leap.
    """
    count = np.delete(answer.count.sum(axis=0), mixture.kept)  # what is held cannot collapse
    fewest = float(count.min(initial=np.inf))
    return before <= bound <= before + COLLAPSE and fewest > mixture.n_columns


def landed(coordinates: Coordinates, point: FloatArray) -> Mixture:
    """Return the mixture at the end of a leap, raised to the floor.

    Raises
    ------
    DataError
        A covariance is not positive definite, or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a wild leap is refused below
        mixture = coordinates.unpack(point)
        raised = replace(mixture, params=mixture.family.clipped(mixture.params))
    raised.family.validate(raised.params)
    return raised
