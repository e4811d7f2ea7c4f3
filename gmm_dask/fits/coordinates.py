"""Unconstrained coordinates of a mixture, in which an extrapolation is always a mixture.

Weights are log ratios to the first, means are in units of each component's own standard
deviations at the beginning of a cycle, covariances are log-Cholesky factors relative to the same.

References
----------
Pinheiro and Bates 1996, Stat. Comput. 6:289 (log-Cholesky).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.families.linalg import cholesky, inverse_factor
from gmm_dask.mixture import Mixture

SMALLEST_WEIGHT = 1e-300


@dataclass(frozen=True)
class Coordinates:
    """Coordinates around one mixture, whose scales they use.

    Parameters
    ----------
    origin : Mixture
        The mixture at the beginning of a cycle.
    """

    origin: Mixture

    def pack(self, mixture: Mixture) -> FloatArray:
        """Return the coordinates of a mixture of the same family and size, (p,)."""
        weights = np.maximum(mixture.weights, SMALLEST_WEIGHT)
        ratios = np.log(weights[:, 1:] / weights[:, :1])
        lower, unit = self._lower(mixture), self._unit()
        means = mixture.params.means - self.origin.params.means
        whitened = np.einsum("kd,kde->ke", means, unit)
        return np.concatenate([ratios.ravel(), whitened.ravel(), self._shape(lower).ravel()])

    def unpack(self, point: FloatArray) -> Mixture:
        """Return the mixture at some coordinates (p,)."""
        G, K = self.origin.weights.shape
        D = self.origin.n_columns
        ratios, means, shape = np.split(point, [G * (K - 1), G * (K - 1) + K * D])
        logits = np.concatenate([np.zeros((G, 1)), ratios.reshape(G, K - 1)], axis=1)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        params = self.origin.params
        back = np.linalg.solve(self._unit().transpose(0, 2, 1), means.reshape(K, D, 1))[:, :, 0]
        return replace(
            self.origin,
            weights=share / share.sum(axis=1, keepdims=True),
            params=params._replace(means=params.means + back, covariances=self._covariances(shape)),
        )

    def _unit(self) -> FloatArray:
        """Return inverse Cholesky factors of the origin, (K, D, D)."""
        return inverse_factor(cholesky(self.origin.family.dense(self.origin.params)))

    def _matrices(self, mixture: Mixture) -> FloatArray:
        S = mixture.params.covariances
        return S[None] if mixture.family.covariance_type == "tied" else S

    def _lower(self, mixture: Mixture) -> FloatArray:
        """Return lower factors (K or 1, D, D), or standard deviations for diag and spherical."""
        if mixture.family.covariance_type in ("full", "tied"):
            return cholesky(self._matrices(mixture))
        return np.sqrt(mixture.params.covariances)

    def _shape(self, lower: FloatArray) -> FloatArray:
        """Return log-Cholesky coordinates relative to the origin's factor."""
        if lower.ndim < 3:
            relative: FloatArray = np.log(lower / self._lower(self.origin))
            return relative
        factor = np.linalg.solve(self._lower(self.origin), lower)
        D = lower.shape[1]
        below = factor[:, *np.tril_indices(D, -1)]
        diagonal = np.log(np.diagonal(factor, axis1=1, axis2=2))
        return np.concatenate([diagonal, below], axis=1)

    def _covariances(self, shape: FloatArray) -> FloatArray:
        kind, D = self.origin.family.covariance_type, self.origin.n_columns
        start = self._lower(self.origin)
        if kind in ("diag", "spherical"):
            deviations: FloatArray = start * np.exp(shape.reshape(start.shape))
            return deviations**2
        parts = shape.reshape(len(start), -1)
        relative = np.zeros_like(start)
        relative[:, *np.tril_indices(D, -1)] = parts[:, D:]
        relative[:, np.arange(D), np.arange(D)] = np.exp(parts[:, :D])
        lower = start @ relative
        matrices = lower @ lower.transpose(0, 2, 1)
        return matrices[0] if kind == "tied" else matrices
