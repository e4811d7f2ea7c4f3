"""Fitted estimators with given parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from gmm_dask import GaussianMixture
from tests.strategies import mixture_of


def model_of(weights: Any, means: Any, covariances: Any, missing: str = "error") -> GaussianMixture:
    """Return a model with full covariances (K, D, D) or, of one column, variances (K,)."""
    means, covariances = np.asarray(means, float), np.asarray(covariances, float)
    if means.ndim == 1:
        means, covariances = means[:, None], covariances[:, None, None]
    model = GaussianMixture(len(means), missing=missing, random_state=0)
    model._set(mixture_of("full", weights, means, covariances))
    model.n_features_in_ = means.shape[1]
    return model
