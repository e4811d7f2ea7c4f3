"""Parameters that callers give for fits to begin with, brought into the frame of a fit."""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.families.held import Held
from gmm_dask.fits.given import Given
from gmm_dask.mixture import Mixture


def nothing_to_choose(given: dict[str, FloatArray], n_components: int) -> bool:
    """Return whether all restarts would begin alike: a value is given for each parameter."""
    names = ("weights", "means", "covariances")
    whole = all(name in given and not np.isnan(given[name]).any() for name in names)
    return whole and len(given["means"]) == n_components


def in_frame(given: dict[str, FloatArray], base: Mixture, held: Held | None = None) -> Given:
    """Return given parameters (source units) in the frame of a mixture, NaN for those not given.

    Weights of fewer components than the mixture has say nothing, but for those that are held.

    Raises
    ------
    ConfigError
        They are of more components than the mixture has.
    """
    weights, means, covariances = (given.get(k) for k in ("weights", "means", "covariances"))
    scale, kind, K = base.frame.scale, base.family.covariance_type, len(base.params.means)
    if covariances is not None:
        divisor = {
            "full": np.outer(scale, scale),
            "tied": np.outer(scale, scale),
            "diag": scale**2,
            "spherical": scale[0] ** 2,
        }[kind]
        covariances = covariances / divisor
        covariances = covariances if kind == "tied" else padded(covariances, K)
    held = Held() if held is None else held
    if weights is not None and weights.shape[-1] < K:
        known = np.isin(np.arange(weights.shape[-1]), held.weights)
        weights = np.where(known, weights, np.nan)
    return Given(
        None if weights is None else padded(np.atleast_2d(weights).T, K).T,
        None if means is None else padded(base.frame.forward(means), K),
        covariances,
        held,
        None if means is None else padded(means, K),
    )


def padded(values: FloatArray, n_components: int) -> FloatArray:
    """Return values of some components (m, ...) as those of K, with NaN behind."""
    more = n_components - len(values)
    if more < 0:
        raise ConfigError(
            f"parameters of {len(values)} components are given to begin with, and n_components is "
            f"{n_components}: raise it, or give fewer"
        )
    return np.concatenate([values, np.full((more, *values.shape[1:]), np.nan)])
