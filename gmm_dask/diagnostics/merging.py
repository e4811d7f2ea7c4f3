"""Two components as one: the mixture with the pair's own weight, mean and covariance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from gmm_dask.diagnostics.asking import check_plain, fitted
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import GaussianParams
from gmm_dask.fits.groups import groups_of, pooled, second_moments
from gmm_dask.mixture import Mixture


def merged_pair(mixture: Mixture, first: int, second: int) -> Mixture:
    """Return the mixture with two components replaced by one that has their moments.

    The merged one stands in the place of the first of both. Under diag and spherical covariances
    it keeps the variances of the moments, under tied ones the common covariance takes up what lay
    between both.
    """
    K, kind = mixture.n_components, mixture.family.covariance_type
    low, high = sorted((first, second))
    label = np.arange(K) - (np.arange(K) > high)
    label[high] = low
    groups = pooled(groups_of(mixture, 1.0), label)
    second_moment = second_moments(groups.scatters, kind)
    D = mixture.n_columns
    n = groups.weights
    divisor = {"full": n[:, None, None], "tied": n.sum(), "diag": n[:, None], "spherical": n * D}
    params = GaussianParams(groups.means, second_moment / divisor[kind])
    weights = np.delete(mixture.weights, high, axis=1)
    weights[:, low] += mixture.weights[:, high]
    return replace(mixture, params=params, weights=weights)


def merge_components(model: Any, first: int, second: int) -> Any:
    """Return a model in which two components are one, with the weight and moments of both.

    It is not fitted anew: its likelihood is a little below that of its own optimum. To go on from
    it: ``merged.set_params(warm_start=True).fit(X)``.

    Parameters
    ----------
    model : GaussianMixture or FitMany
        Stays as it is.
    first, second : int

    Returns
    -------
    GaussianMixture
        Of K - 1 components in the same order; the merged one in the place of the smaller.

    Raises
    ------
    ConfigError
        There are no two such components, or weights follow a law.
    """
    found = fitted(model)
    mixture: Mixture = found.mixture_
    check_plain(mixture, "merging components")
    check_two(mixture, first, second)
    twin = clone(found).set_params(
        n_components=mixture.n_components - 1,
        weights_init=None,
        means_init=None,
        precisions_init=None,
    )
    for name in ("n_features_in_", "feature_names_in_", "noise_type_", "weighted_", "seed_"):
        if hasattr(found, name):
            setattr(twin, name, getattr(found, name))
    twin._set(merged_pair(mixture, first, second))
    twin.converged_, twin.n_iter_ = False, 0
    return twin


def check_two(mixture: Mixture, first: int, second: int) -> None:
    """Raise ConfigError unless both are numbers of components, and not the same."""
    K = mixture.n_components
    if first == second or not {first, second} <= set(range(K)):
        raise ConfigError(
            f"components {first} and {second} came; two different numbers from 0 to {K - 1} are "
            "needed"
        )
