"""Parameters that a fit begins with, or holds, put in place of a start's own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.families.held import Held, HeldGaussian, check_held, constrained
from gmm_dask.laws.base import along
from gmm_dask.laws.held import HeldWeights
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
    source_means: FloatArray | None = None
    """(K, D) the means as they were given, source units."""

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
        if self.means is not None and not mixture.law.ordered:
            mixture = reordered(mixture, matched(mixture, self.means))
        elif self.means is None:
            mixture = reordered(mixture, along_lines(mixture, self.held))
        params = mixture.params
        params = params._replace(
            means=placed(params.means, self.means),
            covariances=placed(params.covariances, self.covariances),
        )
        mixture = replace(mixture, params=params)
        if self.weights is not None:
            weights = _placed_weights(mixture.weights, self.weights)
            mixture = replace(mixture, weights=mixture.law.project(weights))
        return self._held_in(mixture) if self.held != Held() else mixture

    def _held_in(self, mixture: Mixture) -> Mixture:
        """Return the mixture under its constraints."""
        assert isinstance(mixture.family, Gaussian)  # compound families refuse what is held
        assert isinstance(mixture.params, GaussianParams)
        family, law = constrained(mixture.family, self.held, self.source_means), mixture.law
        if self.held.weights:
            values = mixture.weights.mean(axis=0)[list(self.held.weights)]
            law = HeldWeights(self.held.weights, tuple(float(value) for value in values))
        weights = law.project(mixture.weights)
        params = mixture.params
        if isinstance(family, HeldGaussian):
            params = family.entered(params, weights.mean(axis=0))
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


def along_lines(mixture: Mixture, held: Held) -> IntArray:
    """Return the order (K,) in which a start's components lie along their lines as they should."""
    order = np.arange(len(mixture.params.means))
    for line in held.lines:
        if line.n_free > 1:
            of = np.array(line.components)
            found = of[along(mixture.params.means[of])]
            order[of[np.argsort(line.places, kind="stable")]] = found
    return order


def placed(own: FloatArray, given: FloatArray | None) -> FloatArray:
    """Return parameters with those given, where they are not NaN, in place of a start's own."""
    return own if given is None else np.where(np.isnan(given), own, given)


def _placed_weights(own: FloatArray, given: FloatArray) -> FloatArray:
    """Return weights (G, K) of which the rest share what is left by those given."""
    if not np.isnan(given).any():
        return given
    free = np.isnan(given)
    left = 1.0 - np.where(free, 0.0, given).sum(axis=1, keepdims=True)
    share = np.where(free, own, 0.0)
    return np.where(free, left * share / share.sum(axis=1, keepdims=True), given)


def matched(mixture: Mixture, means: FloatArray) -> IntArray:
    """Return the order (K,) in which a start's components stand nearest to given means (K, D).

    Places of NaN take the other components as they come. Distances are in standard deviations of
    all rows.
    """
    K = len(mixture.params.means)
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
