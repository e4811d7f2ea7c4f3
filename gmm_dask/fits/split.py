"""Identical components: found from the parameters alone, and spread without moving their moments.

Components with equal mean and covariance keep the ratio of their responsibilities for ever: EM
moves them to one place and stops at a saddle, where the likelihood is that of fewer components.

References
----------
McLachlan and Peel 2000, Finite Mixture Models, section 2.12.2 (the saddle); Richardson and Green
1997, J. R. Stat. Soc. B 59:731, section 3 (moment-preserving splits).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.families.gaussian import GaussianParams
from gmm_dask.mixture import Mixture

IDENTICAL = 1e-10
"""Jeffreys divergence, nats, below which EM does not part two components in any useful number of
passes: they are 1e-5 standard deviations apart, and of 1e10 rows not one tells them apart. Rounding
makes 1e-20 of it (1e-16 times the largest ratio of variances, 1e6, squared)."""
SPREAD = 0.5
"""Root of the share of the variance that goes from within the components to between them."""


class Parted(NamedTuple):
    """A mixture without identical components."""

    mixture: Mixture
    sentences: tuple[str, ...]
    """One for each group that was spread, for a warning; empty where there was none."""


def identical_pairs(mixture: Mixture) -> tuple[tuple[int, int], ...]:
    """Return pairs (j, k), j < k, of components that differ in no more than their weights.

    Each component appears with the first that it equals. Components without weight are left out:
    they stay without; so are those with something held, which cannot be moved.
    """
    means, dense = mixture.params.means, mixture.family.dense(mixture.params)
    units = np.linalg.inv(np.linalg.cholesky(dense)).transpose(0, 2, 1)
    living = np.flatnonzero(mixture.pooled > 0)
    living = living[~np.isin(living, mixture.kept)]
    pairs: list[tuple[int, int]] = []
    firsts: list[int] = []
    for k in living:
        apart = (((means[firsts] - means[k]) @ units[k]) ** 2).sum(axis=1)
        near = [j for j, d in zip(firsts, apart, strict=True) if d < IDENTICAL]
        match = next((j for j in near if _shape_apart(dense[j], units[k]) < IDENTICAL), None)
        if match is None:
            firsts.append(int(k))
        else:
            pairs.append((match, int(k)))
    return tuple(pairs)


def _shape_apart(covariance: FloatArray, unit: FloatArray) -> float:
    """Return the Jeffreys divergence of two nearly equal covariances, from ``S S_k^{-1} - 1``."""
    return 0.5 * float(((unit.T @ covariance @ unit - np.eye(len(unit))) ** 2).sum())


def split_identical(mixture: Mixture) -> Parted:
    """Return the mixture with every group of identical components spread along its longest axis.

    Weight, mean and covariance of each group stay: its members get equal weights and means at
    equal distances, and lose along the axis the variance that their means now have. Tied
    components share the loss, so that the covariance of the whole mixture stays; spherical ones
    keep their trace. The longest axis is that of the covariance relative to the columns' own
    variances, so that it does not depend on units.
    """
    groups: dict[int, list[int]] = {}
    for first, other in identical_pairs(mixture):
        groups.setdefault(first, [first]).append(other)
    for members in groups.values():
        mixture = _spread(mixture, members)
    if groups:
        params, weights = (
            mixture.family.clipped(mixture.params),
            mixture.law.project(mixture.weights),
        )
        mixture = replace(mixture, params=params, weights=weights)
    return Parted(mixture, tuple(_sentence(members) for members in groups.values()))


def _sentence(members: list[int]) -> str:
    *most, last = map(str, members)
    return (
        f"components {', '.join(most)} and {last} were identical, and EM cannot part such: they "
        "were spread along their longest axis; begin with means that differ"
    )


def _spread(mixture: Mixture, members: list[int]) -> Mixture:
    """Return the mixture with one group spread."""
    g = len(members)
    axis = SPREAD * _longest_axis(mixture, members[0])
    places = np.arange(g) - (g - 1) / 2
    places /= places.std()
    means, weights = mixture.params.means.copy(), mixture.weights.copy()
    means[members] = means[members[0]] + places[:, None] * axis
    weights[:, members] = weights[:, members].mean(axis=1, keepdims=True)
    share = float(weights[:, members].sum(axis=1).mean())
    covariances = _narrowed(mixture, members, axis, share)
    return replace(mixture, params=GaussianParams(means, covariances), weights=weights)


def _longest_axis(mixture: Mixture, k: int) -> FloatArray:
    """Return one standard deviation along the longest axis of a component, (D,) in the frame."""
    variance = mixture.frame.variance
    root = np.sqrt(np.where(variance > 0, variance, 1.0))
    kind = mixture.family.covariance_type
    S = mixture.params.covariances
    if kind == "spherical":  # round: the data say where
        vectors = np.linalg.eigh(mixture.frame.scatter)[1]
        of_data: FloatArray = np.sqrt(S[k]) * vectors[:, -1]
        return of_data
    if kind == "diag":
        d = int(np.argmax(S[k] / variance.clip(np.finfo(float).tiny)))
        along: FloatArray = np.sqrt(S[k, d]) * np.eye(len(variance))[d]
        return along
    values, vectors = np.linalg.eigh((S if kind == "tied" else S[k]) / np.outer(root, root))
    axis: FloatArray = np.sqrt(values[-1]) * vectors[:, -1] * root
    return axis


def _narrowed(mixture: Mixture, members: list[int], axis: FloatArray, share: float) -> FloatArray:
    """Return the covariances less what the members' means now spread."""
    S, kind = mixture.params.covariances.copy(), mixture.family.covariance_type
    first = members[0]
    if kind == "tied":
        tied: FloatArray = S - share * np.outer(axis, axis)
        return tied
    if kind == "full":
        S[members] = S[first] - np.outer(axis, axis)
    elif kind == "diag":
        S[members] = S[first] - axis**2
    else:
        S[members] = S[first] - float(axis @ axis) / len(axis)
    return S
