"""Weights that are free, equal, given, or free under a Dirichlet prior.

References
----------
Fraley and Raftery 2007, J. Classification 24:155 (priors in mixtures); Gelman et al. 2013, Bayesian
Data Analysis, section 3.4 (Dirichlet).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import ConfigError
from gmm_dask.laws.base import WeightLaw, along, need_components, shares


@dataclass(frozen=True)
class Free(WeightLaw):
    """Each component's weight is its share of the rows."""

    @property
    def ordered(self) -> bool:
        """False: components are exchangeable."""
        return False

    def weights(self, count: FloatArray) -> FloatArray:
        """Return weights (G, K) from counts (G, K); each row sums to one."""
        return shares(count)

    def n_free(self, n_components: int) -> int:
        """Return K - 1."""
        return n_components - 1

    def project(self, weights: FloatArray) -> FloatArray:
        """Return the weights: all are inside."""
        return weights


@dataclass(frozen=True)
class Equal(WeightLaw):
    """All components have the same weight."""

    @property
    def ordered(self) -> bool:
        """False: components are exchangeable."""
        return False

    def weights(self, count: FloatArray) -> FloatArray:
        """Return 1 / K everywhere, (G, K)."""
        return np.full(count.shape, 1.0 / count.shape[1])

    def n_free(self, n_components: int) -> int:  # noqa: ARG002
        """Return 0."""
        return 0


@dataclass(frozen=True)
class Fixed(WeightLaw):
    """Weights that are known, the same in every group.

    Parameters
    ----------
    values : tuple of K float
        At least 0, of sum 1. The first is the weight of the first component.

    Raises
    ------
    ConfigError
        A value is negative, or the sum is not 1 (to 1e-6).
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        given = np.asarray(self.values, dtype=np.float64)
        if given.ndim != 1 or not (given >= 0).all() or not abs(given.sum() - 1) <= 1e-6:
            raise ConfigError(
                f"weights are {list(self.values)}, of sum {given.sum()}; numbers of at least 0 "
                "and of sum 1 are needed"
            )
        object.__setattr__(self, "values", tuple(float(value) for value in given))

    @property
    def ordered(self) -> bool:
        """True: the first weight is that of the first component."""
        return True

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights that were given, (G, K)."""
        self.n_free(count.shape[1])
        given = np.array(self.values)
        result: FloatArray = np.tile(given / given.sum(), (len(count), 1))
        return result

    def n_free(self, n_components: int) -> int:
        """Return 0."""
        K = len(self.values)
        fits = n_components == K
        need_components(f"a list of {K} weights", f"{K} components", n_components, fits=fits)
        return 0

    def arranged(self, count: FloatArray, means: FloatArray) -> IntArray:
        """Return the order in which larger weights have larger clusters."""
        result = np.empty(len(count), dtype=np.int64)
        order = along(means)  # equal counts: as they lie
        by_weight = np.argsort(self.values, kind="stable")
        result[by_weight] = order[np.argsort(count[order], kind="stable")]
        return result


@dataclass(frozen=True)
class Dirichlet(WeightLaw):
    """Free weights under a Dirichlet prior: the maximum of the posterior.

    Parameters
    ----------
    alpha : float or tuple of K float
        At least 1; 1 is no prior, 2 one more row for each component of each group.

    Raises
    ------
    ConfigError
        A value is below 1: the posterior then grows without bound as a weight vanishes.
    """

    alpha: float | tuple[float, ...]

    def __post_init__(self) -> None:
        given = np.asarray(self.alpha, dtype=np.float64)
        if given.ndim > 1 or not (np.isfinite(given) & (given >= 1)).all():
            raise ConfigError(
                f"weights: dirichlet {self.alpha!r} came; finite numbers of at least 1 are needed "
                "(1 is no prior)"
            )
        plain = tuple(map(float, given)) if given.ndim else float(given)
        object.__setattr__(self, "alpha", plain)

    @property
    def ordered(self) -> bool:
        """Whether each component has an alpha of its own."""
        return isinstance(self.alpha, tuple)

    def weights(self, count: FloatArray) -> FloatArray:
        """Return ``(count + alpha - 1) / sum`` by group, (G, K)."""
        self.n_free(count.shape[1])
        return shares(count + (np.asarray(self.alpha) - 1.0))

    def n_free(self, n_components: int) -> int:
        """Return K - 1: a prior changes no count of parameters."""
        if isinstance(self.alpha, tuple):
            K = len(self.alpha)
            fits = n_components == K
            need_components(f"dirichlet of {K} numbers", f"{K} components", n_components, fits=fits)
        return n_components - 1

    def log_prior(self, weights: FloatArray) -> float:
        """Return ``sum((alpha - 1) log weights)``; -inf where a weight of alpha above 1 is 0."""
        more = np.broadcast_to(np.asarray(self.alpha) - 1.0, weights.shape)
        held = more > 0
        with np.errstate(divide="ignore"):
            return float((more[held] * np.log(weights[held])).sum())

    def project(self, weights: FloatArray) -> FloatArray:
        """Return the weights: all are inside."""
        return weights
