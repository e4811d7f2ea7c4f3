"""EM for Gaussian mixtures, written again from the textbook with SciPy: loops over rows.

It shares no code with the package: densities come from ``scipy.stats.multivariate_normal``, sums
are taken about the new mean (two passes), covariances follow the four definitions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal


class Oracle(NamedTuple):
    """Parameters of a mixture in source units; matrices (K, D, D) whatever the type."""

    weights: np.ndarray
    means: np.ndarray
    matrices: np.ndarray


def log_joint(model: Oracle, X: np.ndarray) -> np.ndarray:
    """Return log weight plus log density, (n, K)."""
    columns = [
        np.log(w) + np.atleast_1d(multivariate_normal(m, S, allow_singular=False).logpdf(X))
        for w, m, S in zip(*model, strict=True)
    ]
    return np.stack(columns, axis=1)


def e_step(model: Oracle, X: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log-likelihood and responsibilities."""
    joint = log_joint(model, X)
    norm = logsumexp(joint, axis=1)
    return float(norm.sum()), np.exp(joint - norm[:, None])


def m_step(kind: str, X: np.ndarray, resp: np.ndarray, ridge: float = 0.0) -> Oracle:
    """Return the maximiser of the expected log-likelihood, plus a number on the diagonal."""
    n, D = X.shape
    K = resp.shape[1]
    count = np.array([sum(resp[i, k] for i in range(n)) for k in range(K)])
    means = np.array([sum(resp[i, k] * X[i] for i in range(n)) / count[k] for k in range(K)])
    scatter = np.zeros((K, D, D))
    for k in range(K):
        for i in range(n):
            y = X[i] - means[k]
            scatter[k] += resp[i, k] * np.outer(y, y)
    if kind == "full":
        matrices = scatter / count[:, None, None]
    elif kind == "tied":
        matrices = np.repeat(scatter.sum(axis=0)[None] / n, K, axis=0)
    elif kind == "diag":
        matrices = np.array([np.diag(np.diag(S) / c) for S, c in zip(scatter, count, strict=True)])
    else:
        matrices = np.array(
            [np.eye(D) * np.trace(S) / (D * c) for S, c in zip(scatter, count, strict=True)]
        )
    return Oracle(count / n, means, matrices + ridge * np.eye(D))
