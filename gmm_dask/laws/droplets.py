"""The law of droplets: weights of (copies of A) x (copies of B) follow from Poisson numbers.

References
----------
Dube, Qin and Ramakrishnan 2008, PLoS ONE 3:e2876 (lambda of partitions); Whale, Huggett and Tzonev
2016, Biomol. Detect. Quantif. 10:15 (two targets on one molecule).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import ConfigError
from gmm_dask.laws.base import WeightLaw, along, need_components, shares
from gmm_dask.laws.copies import TAILS
from gmm_dask.laws.droplet_cells import Cells, best_rates, cells

LINKAGES = ("free", "none")
SPECIES = ("lambda_A", "lambda_B", "lambda_AB")
MOST_LEVELS = 20


@dataclass(frozen=True)
class Droplets(WeightLaw):
    """Poisson-locked weights of one target, or of two that may be linked.

    Components are numbered by copies, those of the last target fastest: (0, 0), (0, 1), (1, 0),
    (1, 1) for two targets that are there or not.

    Parameters
    ----------
    levels : tuple of one or two int
        Largest number of copies told apart, of each target: 1 tells positive from negative.
    tail : {"lumped", "renormalised", "open"}
        The last class holds all higher numbers; or no droplet has more; or those that have
        belong to no component. They give different lambdas.
    linkage : {"free", "none"}
        Of two targets: a third species of molecules carries both; or targets are independent.

    Raises
    ------
    ConfigError
    """

    levels: tuple[int, ...] = (1, 1)
    tail: str = "lumped"
    linkage: str = "free"

    def __post_init__(self) -> None:
        fine = len(self.levels) in (1, 2) and all(1 <= m <= MOST_LEVELS for m in self.levels)
        if not fine:
            raise ConfigError(
                f"copies up to {self.levels} came; one or two targets, each with at least 1 and "
                f"at most {MOST_LEVELS} copies told apart, are needed"
            )
        if self.tail not in TAILS:
            raise ConfigError(f"tail is {self.tail!r}; one of {', '.join(TAILS)} is needed")
        if self.linkage not in LINKAGES:
            raise ConfigError(f"linkage is {self.linkage!r}; one of free, none is needed")

    @property
    def ordered(self) -> bool:
        """Components are numbers of copies."""
        return True

    @property
    def n_components(self) -> int:
        """K."""
        return int(np.prod([m + 1 for m in self.levels]))

    @property
    def n_species(self) -> int:
        """Kinds of molecules, S: one target; two; two and those that carry both."""
        return len(self.levels) + (len(self.levels) == 2 and self.linkage == "free")

    @property
    def copies(self) -> IntArray:
        """Copies of each target in each component, (K, targets)."""
        grid = np.meshgrid(*(np.arange(m + 1) for m in self.levels), indexing="ij")
        return np.stack([axis.ravel() for axis in grid], axis=1)

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the most likely weights (G, K) of counts (G, K)."""
        self.n_free(count.shape[1])
        return self.at(best_rates(shares(count), self.levels, self.tail, self.n_species)).weights

    def at(self, rates: FloatArray) -> Cells:
        """Return the weights at lambdas (G, S), with derivatives."""
        return cells(rates, self.levels, self.tail)

    def rates(self, weights: FloatArray) -> FloatArray:
        """Return the lambdas (G, S) of weights inside the law."""
        # of an open law the weights inside are shares of a renormalised one
        tail = "renormalised" if self.tail == "open" else self.tail
        return best_rates(weights, self.levels, tail, self.n_species)

    def project(self, weights: FloatArray) -> FloatArray:
        """Return weights of the law near others; those inside come back to rounding."""
        return self.at(self.rates(weights)).weights

    def n_free(self, n_components: int) -> int:
        """Return the number of lambdas of one group."""
        needed = f"{self.n_components} components for copies up to {self.levels}"
        need_components("droplets", needed, n_components, fits=n_components == self.n_components)
        return self.n_species

    def parameters(self, weights: FloatArray) -> dict[str, FloatArray]:
        """Return lambda_A, lambda_B and lambda_AB, molecules of each species per droplet, (G,)."""
        rates = self.rates(weights)
        return {SPECIES[s]: rates[:, s] for s in range(self.n_species)}

    def arranged(self, count: FloatArray, means: FloatArray) -> IntArray:  # noqa: ARG002
        """Return clusters by the first column, and those of as many copies by the second."""
        if len(self.levels) == 1 or means.shape != (self.n_components, 2):
            return along(means)
        rows = np.argsort(means[:, 0], kind="stable").reshape(self.levels[0] + 1, -1)
        inner = np.argsort(means[rows, 1], axis=1, kind="stable")
        return np.take_along_axis(rows, inner, axis=1).ravel()
