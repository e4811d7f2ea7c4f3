"""Unconstrained coordinates of a mixture, in which an extrapolation is always a mixture.

Weights are logarithms, means are in units of each component's own standard deviations at the
beginning of a cycle, covariances are log-Cholesky factors relative to the same. Each is scaled by
the root of its Fisher information per row in the complete data (rows with their labels), so that
the Euclidean norm is, near the origin, the metric in which EM is self-adjoint: the rates that
extrapolations read off two steps are then true averages of those of EM, and a component of few
rows, whose parameters move much and matter little, does not drown the others.

References
----------
Pinheiro and Bates 1996, Stat. Comput. 6:289 (log-Cholesky); Dempster, Laird and Rubin 1977, J. R.
Stat. Soc. B 39:1, section 3 (the rates of EM); Titterington 1984, J. R. Stat. Soc. B 46:257 (the
information of the complete data).
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
        means = mixture.params.means - self.origin.params.means
        whitened = np.einsum("kd,kde->ke", means, self._unit()) * self._root()[:, None]
        shape = self._shape(self._lower(mixture)) * self._shape_scale()
        return np.concatenate([self._logs(mixture).ravel(), whitened.ravel(), shape.ravel()])

    def unpack(self, point: FloatArray) -> Mixture:
        """Return the mixture at some coordinates (p,)."""
        G, K = self.origin.weights.shape
        D = self.origin.n_columns
        logs, means, shape = np.split(point, [G * K, G * K + K * D])
        logits = logs.reshape(G, K) / (self._roots() * self._group_roots())
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        params = self.origin.params
        whitened = means.reshape(K, D) / self._root()[:, None]
        back = np.linalg.solve(self._unit().transpose(0, 2, 1), whitened[:, :, None])[:, :, 0]
        scale = self._shape_scale()
        covariances = self._covariances(shape.reshape(scale.shape) / scale)
        leapt = params._replace(means=params.means + back, covariances=covariances)
        return replace(
            self.origin,
            weights=self.origin.law.project(share / share.sum(axis=1, keepdims=True)),
            params=self.origin.family.restored(leapt, params),
        )

    def _logs(self, mixture: Mixture) -> FloatArray:
        """Return centred log weights times the origin's root weights, (G, K).

        The information of a multinomial is that of its logs about their mean under the weights.
        """
        logs = np.log(np.maximum(mixture.weights, SMALLEST_WEIGHT))
        roots = self._roots()
        centred: FloatArray = logs - (roots**2 * logs).sum(axis=1, keepdims=True)
        return centred * roots * self._group_roots()

    def _roots(self) -> FloatArray:
        """Return the roots of the origin's weights, (G, K)."""
        roots: FloatArray = np.sqrt(np.maximum(self.origin.weights, SMALLEST_WEIGHT))
        return roots

    def _group_roots(self) -> FloatArray:
        """Return the roots of the groups' shares of the rows, (G, 1)."""
        roots: FloatArray = np.sqrt(np.maximum(self.origin.shares, SMALLEST_WEIGHT))[:, None]
        return roots

    def _root(self) -> FloatArray:
        """Return the root of the share of rows of each component, (K,)."""
        root: FloatArray = np.sqrt(np.maximum(self.origin.pooled, SMALLEST_WEIGHT))
        return root

    def _shape_scale(self) -> FloatArray:
        """Return root informations of the shape coordinates: diagonal 2, below it 1, per row.

        With S = L T T' L' and T near 1, half the squared norm of ``L^{-1} dS L'^{-1}`` is
        ``2 sum dt_ii^2 + sum_{i>j} dt_ij^2``.
        """
        D = self.origin.n_columns
        kind, root = self.origin.family.covariance_type, self._root()
        triangle: FloatArray = np.r_[np.full(D, np.sqrt(2.0)), np.ones(D * (D - 1) // 2)]
        if kind == "tied":
            return triangle[None]
        if kind == "spherical":
            return np.asarray(np.sqrt(2.0 * D) * root)
        return np.outer(root, triangle if kind == "full" else triangle[:D])

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
        """Return covariances from log-Cholesky coordinates."""
        kind, D = self.origin.family.covariance_type, self.origin.n_columns
        start = self._lower(self.origin)
        if kind in ("diag", "spherical"):
            deviations: FloatArray = start * np.exp(shape)
            return deviations**2
        relative = np.zeros_like(start)
        relative[:, *np.tril_indices(D, -1)] = shape[:, D:]
        relative[:, np.arange(D), np.arange(D)] = np.exp(shape[:, :D])
        lower = start @ relative
        matrices = lower @ lower.transpose(0, 2, 1)
        return matrices[0] if kind == "tied" else matrices
