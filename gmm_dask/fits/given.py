"""Parameters that a fit begins with, or holds, put in place of a start's own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.held import Held, check_held, constrained
from gmm_dask.laws.held import HeldWeights
from gmm_dask.laws.simple import Free
from gmm_dask.mixture import Mixture, reordered


class Given(NamedTuple):
    """Parameters that the caller wants EM to begin with; None leaves the start's own.

    NaN leaves those of a component to the start.
    """

    weights: FloatArray | None = None
    """(G, K)."""
    means: FloatArray | None = None
    """(K, D) in the frame."""
    covariances: FloatArray | None = None
    """In the frame, in the shape of the covariance type."""
    held: Held = Held()
    """Which parameters are not free."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left for a start to choose."""
        return not any(part is None or np.isnan(part).any() for part in self[:3])

    def into(self, mixture: Mixture) -> Mixture:
        """Return the mixture with what is given put in place, under its constraints.

        Where some means are given and others are not, the clusters of the start that lie nearest
        to those given make way for them.

        Raises
        ------
        ConfigError
            The constraints make no sense for this mixture, or the value of a held parameter is
            not given.
        """
        check_held(self.held, mixture.n_components, mixture.family.covariance_type)
        self._refuse_missing(mixture.family.covariance_type)
        if self.means is not None:
            mixture = reordered(mixture, matched(mixture, self.means))
        params = mixture.params
        params = params._replace(
            means=placed(params.means, self.means),
            covariances=placed(params.covariances, self.covariances),
        )
        weights = _placed_weights(mixture.weights, self.weights)
        mixture = replace(mixture, params=params, weights=mixture.law.project(weights))
        return self._held_in(mixture) if self.held != Held() else mixture

    def _held_in(self, mixture: Mixture) -> Mixture:
        """Return the mixture under its constraints."""
        assert isinstance(mixture.family, Gaussian)  # compound families refuse what is held
        assert isinstance(mixture.params, GaussianParams)
        family, law = constrained(mixture.family, self.held), mixture.law
        if self.held.weights:
            if not isinstance(law, Free):
                raise ConfigError(
                    "frozen weights go with weights that are free otherwise; weights follow the "
                    f"law {type(law).__name__}: leave one of the two out"
                )
            values = mixture.weights.mean(axis=0)[list(self.held.weights)]
            law = HeldWeights(self.held.weights, tuple(float(value) for value in values))
        weights = law.project(mixture.weights)
        params = family.restored(mixture.params, mixture.params)
        return replace(mixture, family=family, law=law, weights=weights, params=params)

    def _refuse_missing(self, covariance_type: str) -> None:
        weights = None if self.weights is None else self.weights[0]
        parts = {"weight": weights, "mean": self.means, "covariance": self.covariances}
        for (name, value), which in zip(parts.items(), self.held[:3], strict=True):
            for k in which:
                tied = (name, covariance_type) == ("covariance", "tied")
                of = value if value is None or tied else value[k]
                if of is None or np.isnan(of).any():
                    raise ConfigError(
                        f"frozen: the {name} of component {k} is to be held, and no value is "
                        "given: give weights_init, means_init or precisions_init, or start_from"
                    )


def placed(own: FloatArray, given: FloatArray | None) -> FloatArray:
    """Return parameters with those given, where they are not NaN, in place of a start's own."""
    return own if given is None else np.where(np.isnan(given), own, given)


def _placed_weights(own: FloatArray, given: FloatArray | None) -> FloatArray:
    """Return weights (G, K) of which the rest share what is left by those given."""
    if given is None or not np.isnan(given).any():
        return own if given is None else given
    free = np.isnan(given)
    left = 1.0 - np.where(free, 0.0, given).sum(axis=1, keepdims=True)
    share = np.where(free, own, 0.0)
    return np.where(free, left * share / share.sum(axis=1, keepdims=True), given)


def matched(mixture: Mixture, means: FloatArray) -> IntArray:
    """Return the order (K,) in which a start's components stand nearest to given means (K, D).

    Places of NaN take the other components as they come. Distances are in standard deviations of
    all rows.
    """
    K = mixture.n_components
    known = np.asarray(~np.isnan(means).any(axis=1))
    if known.all() or not known.any():
        return np.arange(K)
    variance = mixture.frame.variance
    unit = np.sqrt(np.where(variance > 0, variance, 1.0))
    apart = (means[known][:, None] - mixture.params.means) / unit
    _, taken = linear_sum_assignment((apart**2).sum(axis=2))
    order = np.empty(K, dtype=np.int64)
    order[known] = taken
    order[~known] = np.setdiff1d(np.arange(K), taken)
    return order
