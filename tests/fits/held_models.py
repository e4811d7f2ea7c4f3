"""Starts and mixtures with something held, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from gmm_dask.families.held import Held
from gmm_dask.fits.given import Given
from gmm_dask.mixture import Mixture
from tests.strategies import covariances_like, mixture_near


def begin(X: np.ndarray, kind: str, K: int, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a start in an estimator's words, and its parameters.

    Covariances are of powers of four, so that they are the exact inverses of precisions.
    """
    rng = np.random.default_rng(seed)
    D = X.shape[1]
    matrices = 4.0 ** rng.integers(-1, 2, K)[:, None, None] * np.eye(D)
    if kind == "tied":
        matrices = np.repeat(matrices[:1], K, axis=0)
    covariances = covariances_like(kind, matrices)
    inverse = np.linalg.inv(covariances) if kind in ("full", "tied") else 1.0 / covariances
    given = {
        "weights": rng.dirichlet(np.full(K, 9.0)),
        "means": X[rng.choice(len(X), K, replace=False)],
        "covariances": covariances,
    }
    words = {
        "weights_init": given["weights"],
        "means_init": given["means"],
        "precisions_init": inverse,
    }
    return words, given


def held_mixture(X: np.ndarray, kind: str, K: int, *, tied_too: bool = True) -> Mixture:
    """Return a mixture with component 1's mean and covariance and component 2's weight held."""
    mixture = mixture_near(X, kind, K, seed=3)
    covariances = (1,) if kind != "tied" else tuple(range(K)) if tied_too else ()
    parts = mixture.weights, mixture.params.means, mixture.params.covariances
    return Given(*parts, Held((2,), (1,), covariances)).into(mixture)


def covariances_of(mixture: Mixture, k: int) -> np.ndarray:
    """Return the covariance of one component as it is kept."""
    S = mixture.params.covariances
    return S if mixture.family.covariance_type == "tied" else S[k]
