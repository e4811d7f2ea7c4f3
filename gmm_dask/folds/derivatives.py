"""First and second derivatives of a Gaussian log density, in the component's own coordinates.

With L the lower factor of a covariance S, parameters move as ``mean + L a`` and ``S + L B L'``,
B symmetric. Of a row that shows ``R x`` of its values x with errors of covariance C, all that
matters is ``g = L' R' T^-1 (w - R mean)`` and ``G = L' R' T^-1 R L``, where ``T = R S R' + C``;
of a complete row without errors g is the whitened row and G the unit matrix. Then

    d log f   =  a'g + tr(B (gg' - G)) / 2,
    d2 log f  = -a'G a - 2 a'G B g - g'B G B g + tr(G B G B) / 2.

The covariance type says which B there are: any, diagonal ones, or multiples of the unit matrix.

References
----------
Magnus and Neudecker 1988, Matrix Differential Calculus, chapter 15; Boldea and Magnus 2009, J. Am.
Stat. Assoc. 104:1539, theorem 1 (the Hessian of a mixture).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray


class Pull(NamedTuple):
    """How rows pull at one component."""

    g: FloatArray
    """(n, D)."""
    G: FloatArray
    """(D, D) where it is the same for all rows, else (n, D, D)."""


def n_shape(covariance_type: str, n_columns: int) -> int:
    """Return how many numbers B has."""
    D = n_columns
    return {"diag": D, "spherical": 1}.get(covariance_type, D * (D + 1) // 2)


def pull(seen: FloatArray, total: FloatArray, away: FloatArray) -> Pull:
    """Return how rows of one pattern pull at one component.

    Parameters
    ----------
    seen : (d, D)
        ``R L``, with L the factor of the component's covariance.
    total : (d, d) or (n, d, d)
        T.
    away : (n, d)
        ``w - R mean``.

    Raises
    ------
    LinAlgError
        T is not positive definite.
    """
    if total.ndim == 2:
        root = np.linalg.cholesky(total)
        W = np.linalg.solve(root, seen)
        return Pull(np.linalg.solve(root, away.T).T @ W, W.T @ W)
    root = np.linalg.cholesky(total)
    W = np.linalg.solve(root, np.broadcast_to(seen, (len(away), *seen.shape)))
    z = np.linalg.solve(root, away[:, :, None])[:, :, 0]
    return Pull(np.einsum("ndD,nd->nD", W, z), W.transpose(0, 2, 1) @ W)


def dual(matrices: FloatArray) -> FloatArray:
    """Return ``tr(E_p Y)`` of matrices Y (..., D, D), (..., D (D + 1) / 2).

    E_p has ones at (i, j) and (j, i), for i >= j row by row.
    """
    i, j = np.tril_indices(matrices.shape[-1])
    found: FloatArray = matrices[..., i, j] + np.where(i == j, 0.0, matrices[..., j, i])
    return found


def scores(covariance_type: str, of: Pull) -> FloatArray:
    """Return the derivatives of each row's log density, (n, D + shape): by a, then by B."""
    g, G = of
    D = g.shape[1]
    if covariance_type in ("full", "tied"):
        i, j = np.tril_indices(D)
        half = np.where(i == j, 0.5, 1.0)
        shape = half * (g[:, i] * g[:, j] - G[..., i, j])
    else:
        shape = 0.5 * (g**2 - np.diagonal(G, axis1=-2, axis2=-1))
        if covariance_type == "spherical":
            shape = shape.sum(axis=1, keepdims=True)
    found: FloatArray = np.concatenate([g, shape], axis=1)
    return found


def curvature(covariance_type: str, of: Pull, weight: FloatArray) -> FloatArray:
    """Return minus the sum of second derivatives, (D + shape, D + shape).

    Parameters
    ----------
    covariance_type : str
    of : Pull
    weight : (n,)
    """
    g, G = of
    by_mean = np.tensordot(weight, G, 1) if G.ndim == 3 else weight.sum() * G
    kind = _matrices if covariance_type in ("full", "tied") else _variances
    mixed, by_shape = kind(g, G, weight)
    if covariance_type == "spherical":
        mixed, by_shape = mixed.sum(axis=1, keepdims=True), by_shape.sum(keepdims=True)
    found: FloatArray = np.block([[by_mean, mixed], [mixed.T, by_shape]])
    return found


def _matrices(g: FloatArray, G: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the parts by a and B, and by B twice, for symmetric B.

    The latter are ``tr(E_q (gg' - G / 2) E_p G)``.
    """
    D = g.shape[1]
    if G.ndim == 2:
        off = (g * weight[:, None]).T @ g - 0.5 * weight.sum() * G
        three = np.multiply.outer(G, weight @ g)
        four = np.multiply.outer(G, off)
    else:
        flat = (G * weight[:, None, None]).reshape(len(g), D * D)
        off = g[:, :, None] * g[:, None, :] - 0.5 * G
        three = (flat.T @ g).reshape(D, D, D)
        four = (flat.T @ off.reshape(len(g), D * D)).reshape(D, D, D, D)
    # four[c, i, a, b] = G_ci off_ab goes with E_p[b, c] and E_q[i, a]
    once = dual(four.transpose(3, 0, 1, 2))
    return dual(three), dual(np.moveaxis(once, -1, 0))


def _variances(g: FloatArray, G: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the parts by a and B, and by B twice, for diagonal B."""
    if G.ndim == 2:
        off = (g * weight[:, None]).T @ g - 0.5 * weight.sum() * G
        return G * (weight @ g), G * off
    weighted = G * weight[:, None, None]
    off_rows = g[:, :, None] * g[:, None, :] - 0.5 * G
    return np.einsum("nab,nb->ab", weighted, g), np.einsum("nab,nab->ab", weighted, off_rows)
