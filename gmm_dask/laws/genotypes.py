"""Weights of a binomial number of copies, and of genotypes.

References
----------
Hardy 1908, Science 28:49; Weinberg 1908; Wright 1951, Annals of Eugenics 15:323 (inbreeding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import ConfigError
from gmm_dask.laws.base import WeightLaw, need_components, shares


@dataclass(frozen=True)
class Binomial(WeightLaw):
    """Component k holds k of n copies, each there with the same probability.

    Parameters
    ----------
    n : int, optional
        Copies that there can be: n + 1 components. None: one less than there are components.

    Raises
    ------
    ConfigError
        n is no positive integer.
    """

    n: int | None = None

    def __post_init__(self) -> None:
        if self.n is not None and (type(self.n) is not int or self.n < 1):
            raise ConfigError(
                f"weights: binomial {self.n!r} came; an integer of at least 1 is needed"
            )

    @property
    def ordered(self) -> bool:
        """True: component k holds k copies."""
        return True

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights of ``p = sum_k k n_k / (n sum_k n_k)``, (G, K)."""
        K = count.shape[1]
        self.n_free(K)
        n, k = K - 1, np.arange(K)
        p = self.parameters(shares(count))["p"][:, None]
        choices = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
        result: FloatArray = np.exp(choices + xlogy(k, p) + xlog1py(n - k, -p))
        return result

    def n_free(self, n_components: int) -> int:
        """Return 1: p."""
        needed = "at least 2 components" if self.n is None else f"{self.n + 1} components"
        law = "binomial" if self.n is None else f"binomial {self.n}"
        fits = n_components >= 2 if self.n is None else n_components == self.n + 1
        need_components(law, needed, n_components, fits=fits)
        return 1

    def parameters(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return ``p``, the probability of each copy, (G,)."""
        n = weights.shape[1] - 1
        return {"p": np.clip(weights @ np.arange(n + 1.0) / n, 0.0, 1.0)}


@dataclass(frozen=True)
class HardyWeinberg(WeightLaw):
    """Three genotypes, with 0, 1 and 2 copies of an allele, in Hardy-Weinberg proportions.

    Parameters
    ----------
    inbreeding : bool
        Free the share of heterozygotes: ``2 p (1 - p) (1 - F)``. Weights are then free; what is
        gained is F, 0 in Hardy-Weinberg proportions.
    """

    inbreeding: bool = False

    @property
    def ordered(self) -> bool:
        """True: component k holds k copies."""
        return True

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights of ``p = (n_1 + 2 n_2) / (2 n)``, and of F if it is free, (G, 3)."""
        self.n_free(count.shape[1])
        return shares(count) if self.inbreeding else Binomial(2).weights(count)

    def n_free(self, n_components: int) -> int:
        """Return 1, p; or 2, p and F."""
        need_components("hardy_weinberg", "3 components", n_components, fits=n_components == 3)
        return 2 if self.inbreeding else 1

    def parameters(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return ``p``, the frequency of the allele, and ``F`` if it is free, (G,) each.

        Where one allele is all there is, F is 0.
        """
        found = Binomial(2).parameters(weights)
        if self.inbreeding:
            by_chance = 2.0 * found["p"] * (1.0 - found["p"])
            ratio = np.ones_like(by_chance)
            np.divide(weights[:, 1], by_chance, out=ratio, where=by_chance > 0)
            found["F"] = 1.0 - ratio
        return found
