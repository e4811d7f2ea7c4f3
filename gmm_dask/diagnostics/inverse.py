"""The inverse of an information matrix, or the reason in words why there is none.

Everything is seen relative to the information of rows that know their components: eigenvalues of
``complete^-1 observed`` are 1 less the rates of EM, whatever the units (Dempster, Laird and Rubin
1977, J. R. Stat. Soc. B 39:1, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, eigh

from gmm_dask.blocks import FloatArray
from gmm_dask.folds.information import Informed, Layout, free_coordinates
from gmm_dask.mixture import Mixture

SINGULAR = 1e-10
"""Smallest share of the complete information in any direction that is still inverted."""
SLOW = 0.99
"""Share of the information lost in one direction from which intervals are doubtful."""
LEADING = 0.15
"""Components that carry less of a direction are not named."""


class Inverse(NamedTuple):
    """The covariance that an information matrix promises."""

    covariance: FloatArray
    """(p, p); nan where there is none."""
    lost: float
    """Largest share of the information that is lost in any direction, by rows not knowing their
    components: the slowest rate of EM. Above 1 where the matrix has a negative direction."""
    problem: str
    """In words; empty where there is nothing to say."""


METHODS = ("hessian", "opg", "sandwich")


def inverse(mixture: Mixture, found: Informed, method: str) -> Inverse:
    """Return the covariance of the free coordinates.

    Parameters
    ----------
    mixture : Mixture
    found : Informed
    method : {"hessian", "opg", "sandwich"}
    """
    p = len(found.score)
    if not p:
        return Inverse(np.zeros((0, 0)), 0.0, "")
    none = np.full((p, p), np.nan)
    try:
        values, vectors = eigh(found.observed, found.complete)
    except LinAlgError:
        return Inverse(none, np.nan, _incomplete(mixture, found))
    lost = 1.0 - float(values[0])
    who = _leading(mixture, found.complete, vectors[:, 0])
    if values[0] < SINGULAR:
        return Inverse(none, lost, _negative(float(values[0]), who))
    problem = _slow(lost, who) if lost > SLOW else ""
    of_hessian = (vectors / values) @ vectors.T
    if method == "hessian":
        return Inverse(of_hessian, lost, problem)
    if method == "sandwich":
        return Inverse(of_hessian @ found.outer @ of_hessian, lost, problem)
    values, vectors = eigh(found.outer, found.complete)
    if values[0] < SINGULAR:
        return Inverse(none, lost, _few(found, p))
    return Inverse((vectors / values) @ vectors.T, lost, problem)


def _leading(mixture: Mixture, complete: FloatArray, direction: FloatArray) -> str:
    """Return the components that a direction moves, as words."""
    layout = Layout.of(mixture)
    whole = np.zeros(layout.size)
    whole[free_coordinates(mixture)] = direction * (complete @ direction)
    part = np.array([whole[layout.places(k)].sum() for k in range(layout.n_components)])
    part = np.abs(part) / np.abs(part).sum()
    named = np.flatnonzero(part > min(LEADING, float(part.max()) - 1e-12))
    one = "component" if len(named) == 1 else "components"
    return f"{one} {', '.join(str(k) for k in named)}"


def _incomplete(mixture: Mixture, found: Informed) -> str:
    weights = mixture.weights[0]
    least = int(weights.argmin())
    return (
        f"even rows that knew their components would not fix all parameters: component {least} has "
        f"{weights[least] * found.n_rows:.3g} of {found.n_rows:.6g} rows. No standard errors are "
        "given; fit fewer components, or a simpler covariance type"
    )


def _negative(value: float, who: str) -> str:
    how = "is flat" if value > -SINGULAR else "bends upwards"
    return (
        f"the log-likelihood {how} along a direction that moves {who} (curvature {value:.2g} of "
        "that of rows which know their components): the fit is no maximum there, or these "
        "components cannot be told apart. No standard errors are given; fit with a smaller tol, or "
        "fewer components"
    )


def _slow(lost: float, who: str) -> str:
    return (
        f"rows that do not know their components lose {100 * lost:.4g} % of the information along "
        f"a direction that moves {who}: intervals there are rough, and may hold their value less "
        "often than they say"
    )


def _few(found: Informed, p: int) -> str:
    return (
        f"the scores of {found.n_rows:.6g} rows do not span {p} parameters; no standard errors "
        'from products of scores are given: use method="hessian", or fewer components'
    )
