"""Weights of which some are held and the others share what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.laws.base import WeightLaw, shares

ROUNDING = 1e-12


@dataclass(frozen=True)
class HeldWeights(WeightLaw):
    """Free weights but for those of some components, which are held.

    Parameters
    ----------
    components : tuple of int
    values : tuple of float
        Of these components, in every group of rows; at most 1 together.

    Raises
    ------
    ConfigError
        Values are negative or sum to more than 1.
    """

    components: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        total = sum(self.values)
        if not all(0 <= value <= 1 for value in self.values) or total > 1 + ROUNDING:
            raise ConfigError(
                f"frozen weights are {list(self.values)}; each is at least 0, and together they "
                "are at most 1"
            )

    @property
    def ordered(self) -> bool:
        """False: the free ones are exchangeable; the held ones keep their places otherwise."""
        return False

    @property
    def kept(self) -> tuple[int, ...]:
        """The components whose weights are held."""
        return self.components

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights (G, K): held ones as they are, the rest by counts (G, K)."""
        G, K = count.shape
        free = self._free(K)
        result = np.empty((G, K))
        result[:, list(self.components)] = self.values
        if len(free):
            counted = count[:, free]
            # where no row is left for them, equal shares of what is left
            some = counted if counted.sum() > 0 else np.ones_like(counted)
            result[:, free] = max(1.0 - sum(self.values), 0.0) * shares(some)
        return result

    def n_free(self, n_components: int) -> int:
        """Return the number of weights that are neither held nor what is left by the others."""
        return max(len(self._free(n_components)) - 1, 0)

    def _free(self, n_components: int) -> list[int]:
        free = [k for k in range(n_components) if k not in self.components]
        if max(self.components, default=-1) >= n_components:
            raise ConfigError(
                f"frozen: component {max(self.components)} is to be held; there are {n_components}"
            )
        if not free and abs(sum(self.values) - 1) > 1e-9:
            raise ConfigError(
                f"frozen: the weights of all {n_components} components are held, and their sum is "
                f"{sum(self.values):g}; it must be 1"
            )
        return free
