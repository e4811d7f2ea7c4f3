"""Two components as a mixture of their own, and what one direction shows of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from gmm_dask.blocks import FloatArray
from gmm_dask.mixture import Mixture

REACH = 12.0
"""Standard deviations beyond which a density is not integrated: 1e-32 of it is left out."""
PANEL = 0.25
"""Standard deviations of the narrower density that a panel spans at most."""
NODES = 10


class Pair(NamedTuple):
    """Two components, in any affine coordinates."""

    weights: FloatArray
    """(2,) sum to one."""
    means: FloatArray
    """(2, D)."""
    covariances: FloatArray
    """(2, D, D)."""

    @property
    def pooled(self) -> FloatArray:
        """Mean of both covariances, (D, D)."""
        mean: FloatArray = self.covariances.mean(axis=0)
        return mean

    @property
    def merged(self) -> tuple[FloatArray, FloatArray]:
        """Mean (D,) and covariance (D, D) of the pair as one."""
        mean = self.weights @ self.means
        away = self.means - mean
        own = np.tensordot(self.weights, self.covariances, 1)
        return mean, own + (away * self.weights[:, None]).T @ away

    def along(self, direction: FloatArray) -> Line:
        """Return what one direction (D,) shows, in pooled standard deviations."""
        w = direction / np.sqrt(direction @ self.pooled @ direction)
        spread = np.sqrt(np.einsum("d,kde,e->k", w, self.covariances, w))
        return Line(self.weights, self.means @ w, spread)

    def discriminant(self) -> FloatArray:
        """Return Fisher's direction (D,); zeros where the means are the same."""
        apart: FloatArray = np.linalg.solve(self.pooled, self.means[1] - self.means[0])
        return apart

    def widest(self) -> FloatArray:
        """Return the direction (D,) in which the widths differ most."""
        values, vectors = eigh(self.covariances[0], self.covariances[1])
        chosen: FloatArray = vectors[:, np.argmax(np.abs(np.log(values)))]
        return chosen

    def directions(self) -> list[FloatArray]:
        """Return the directions in which the pair shows most."""
        own = self.discriminant()
        return [own, self.widest()] if own.any() else [self.widest()]


class Line(NamedTuple):
    """Two Gaussian densities on a line."""

    weights: FloatArray
    """(2,)."""
    means: FloatArray
    """(2,)."""
    spread: FloatArray
    """(2,) standard deviations."""

    def densities(self, x: FloatArray) -> FloatArray:
        """Return weight times density of each, (n, 2)."""
        z = (x[:, None] - self.means) / self.spread
        scaled = self.weights / (self.spread * np.sqrt(2 * np.pi))
        found: FloatArray = scaled * np.exp(-0.5 * z**2)
        return found

    def nodes(self) -> tuple[FloatArray, FloatArray]:
        """Return points and weights of a rule that integrates functions times the densities.

        Gauss and Legendre's on panels that end at all quarters of a standard deviation of either
        density: within 1e-10 for responsibilities as steep as those of densities 15 standard
        deviations apart.
        """
        steps = np.arange(-REACH, REACH + PANEL / 2, PANEL)
        edges = np.unique(self.means[:, None] + self.spread[:, None] * steps)
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
        x, w = np.polynomial.legendre.leggauss(NODES)
        points = middle[:, None] + half[:, None] * x
        return points.ravel(), (half[:, None] * w).ravel()


def pair_of(mixture: Mixture, first: int, second: int) -> Pair:
    """Return two components of a mixture, in the frame."""
    both = [first, second]
    weights = mixture.pooled[both]
    dense = mixture.family.dense(mixture.params)[both]
    return Pair(weights / weights.sum(), mixture.params.means[both], dense)
