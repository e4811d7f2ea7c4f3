"""Random prepared mixtures and rows for the tests of kernels: everything is made from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from gmm_dask.kernels.layout import CANCELLATION_MAX, cancellation
from gmm_dask.kernels.types import EStepSums, GaussianPrepared

KINDS = ("full", "tied", "diag", "spherical")


def factor_of(rng: np.random.Generator, D: int, deviation: float) -> np.ndarray:
    """Return an upper triangular whitening factor of a random covariance."""
    A = rng.normal(0, 0.5, (D, D)) / np.sqrt(D) + np.eye(D)
    lower = np.linalg.cholesky(A @ A.T * deviation**2)
    return np.triu(np.linalg.inv(lower).T)


def prepared_of(
    kind: str,
    D: int,
    K: int,
    seed: int = 0,
    spread: float = 2.0,
    deviation: float = 1.0,
    unit: float = 1.0,
    shift: float = 0.0,
) -> GaussianPrepared:
    """Return K random components; means lie `spread` apart, in units of the frame."""
    rng = np.random.default_rng(seed)
    means = rng.normal(0, spread, (K, D))
    if kind == "full":
        factor = np.array([factor_of(rng, D, deviation) for _ in range(K)])
        log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    elif kind == "tied":
        factor = factor_of(rng, D, deviation)
        log_det = np.full(K, np.log(np.diagonal(factor)).sum())
    elif kind == "diag":
        factor = np.exp(rng.normal(0, 0.4, (K, D))) / deviation
        log_det = np.log(factor).sum(axis=1)
    else:
        factor = np.exp(rng.normal(0, 0.4, K)) / deviation
        log_det = D * np.log(factor)
    scale = np.full(D, unit)
    log_norm = log_det - 0.5 * D * np.log(2 * np.pi) - np.log(scale).sum()
    return GaussianPrepared(kind, np.full(D, shift), scale, means, factor, log_norm)


def covariances_of(prepared: GaussianPrepared) -> np.ndarray:
    """Return the covariance matrices (K, D, D) in the frame."""
    K, D = prepared.means.shape
    factor = prepared.factor
    if prepared.covariance_type == "diag":
        return (1 / factor**2)[:, :, None] * np.eye(D)
    if prepared.covariance_type == "spherical":
        return (1 / factor**2)[:, None, None] * np.eye(D)
    inverse = np.linalg.inv(np.broadcast_to(factor, (K, D, D)))
    return inverse.transpose(0, 2, 1) @ inverse


def rows_of(
    prepared: GaussianPrepared, n: int, seed: int = 1, dtype: Any = np.float64
) -> np.ndarray:
    """Return rows in source units drawn from the components in equal shares."""
    rng = np.random.default_rng(seed)
    K, D = prepared.means.shape
    lower = np.linalg.cholesky(covariances_of(prepared))
    labels = rng.integers(K, size=n)
    noise = np.einsum("nij,nj->ni", lower[labels], rng.normal(size=(n, D)))
    rows = prepared.means[labels] + noise
    return (rows * prepared.scale + prepared.shift).astype(dtype)


def log_weights_of(K: int, seed: int = 2) -> np.ndarray:
    """Return the logarithms of random weights."""
    return np.log(np.random.default_rng(seed).dirichlet(np.full(K, 3.0)))


def tolerance_of(prepared: GaussianPrepared) -> float:
    """Return what may be lost, as a fraction of a covariance: for tied models what is promised."""
    if prepared.covariance_type == "tied":
        return 1e-11 + min(cancellation(prepared), CANCELLATION_MAX)
    return 1e-11


def assert_same_sums(
    found: EStepSums, oracle: EStepSums, prepared: GaussianPrepared, tolerance: float = 1e-11
) -> None:
    """Assert that two E-steps agree, moments in units of each component's own deviations.

    A component's own deviation is 1 in the whitened moments, so that `tolerance` is a fraction of
    its covariance, however small that is beside the others'.
    """
    n = max(float(oracle.n_rows), 1.0)
    assert float(found.n_rows) == float(oracle.n_rows)
    assert float(found.n_underflow) == float(oracle.n_underflow)
    size = max(abs(float(oracle.log_likelihood)), n)
    assert abs(float(found.log_likelihood - oracle.log_likelihood)) <= tolerance * size
    np.testing.assert_allclose(found.count, oracle.count, rtol=0, atol=tolerance * n)
    for one, other in zip(whitened(prepared, found), whitened(prepared, oracle), strict=True):
        of_k = np.abs(other).reshape(len(other), -1).max(axis=1, initial=0.0)
        size = np.maximum(of_k, n).reshape(-1, *[1] * (other.ndim - 1))
        assert (np.abs(one - other) <= tolerance * size).all()


def whitened(prepared: GaussianPrepared, sums: EStepSums) -> tuple[np.ndarray, np.ndarray]:
    """Return first and second moments in units of the components' standard deviations."""
    first, second = sums.moments
    factor = prepared.factor
    if prepared.covariance_type == "full":
        turned = factor.transpose(0, 2, 1) @ second @ factor
        return np.einsum("kj,kji->ki", first, factor), turned
    if prepared.covariance_type == "tied":
        return first @ factor, (factor.T @ second @ factor)[None]
    if prepared.covariance_type == "diag":
        return first * factor, second * factor**2
    return first * factor[:, None], second * factor**2
