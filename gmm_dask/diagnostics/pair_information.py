"""What rows of a pair tell about its separation, when weights, centre and widths are unknown too.

The half separation is theta, in pooled standard deviations. For equal weights, known to be so, and
a known width the information per row is ``2 theta^2 - 4 theta^4 + ...``; with the width unknown it
is ``8/3 theta^6``, as moving apart is at first only widening; with other weights less again. So
the integrals are taken at the pair's own parameters: no formula of a special case is used.

References
----------
Chen 1995, Ann. Stat. 23:221 (rates); Ho and Nguyen 2016, Ann. Stat. 44:2726 (unknown widths).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.pair import Line
from gmm_dask.errors import ConfigError

ERRORS_APART = 3.0
"""Standard errors by which a separation must differ from 0."""
LEAST = 1e-24
"""Information below which float64 holds nothing but rounding."""


class Scores(NamedTuple):
    """Derivatives of the log density of a pair on a line, (n,) each."""

    separation: FloatArray
    """By theta: half the distance of the means."""
    centre: FloatArray
    log_odds: FloatArray
    log_variance: FloatArray
    """(n, 2)."""


def scores(line: Line, x: FloatArray) -> tuple[Scores, FloatArray]:
    """Return the scores at some points and the density there, (n,)."""
    joint = line.densities(x)
    density = joint.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        resp = np.where(density[:, None] > 0, joint / density[:, None], 0.0)
    z = (x[:, None] - line.means) / line.spread
    by_mean = resp * z / line.spread
    found = Scores(
        by_mean[:, 1] - by_mean[:, 0],
        by_mean.sum(axis=1),
        resp[:, 1] - line.weights[1],
        0.5 * resp * (z**2 - 1.0),
    )
    return found, density


def efficient(target: FloatArray, others: FloatArray, mass: FloatArray) -> float:
    """Return the information on one parameter when others are unknown: a Schur complement.

    By orthogonal factors, not by products: the answer may be 1e-12 of the score's own variance.

    Parameters
    ----------
    target : (n,)
        Its score.
    others : (n, m)
        Scores of the others.
    mass : (n,)
        Probability of each point.
    """
    root = np.sqrt(mass)
    left = target * root
    columns = others * root[:, None]
    length = np.sqrt((columns**2).sum(axis=0))
    columns = columns[:, length > 0] / length[length > 0]
    if columns.shape[1]:
        basis = np.linalg.qr(columns)[0]
        for _ in range(2):  # the second time removes what rounding left
            left = left - basis @ (basis.T @ left)
    found = float(left @ left)
    return found if found > LEAST else 0.0


def separation_information(line: Line, common_width: bool) -> float:
    """Return the information per row on theta, centre, weights and widths unknown.

    Parameters
    ----------
    line : Line
    common_width : bool
        Whether both have one width, as under tied covariances.
    """
    x, step = line.nodes()
    found, density = scores(line, x)
    widths = found.log_variance
    if common_width:
        widths = widths.sum(axis=1, keepdims=True)
    others = np.column_stack([found.centre, found.log_odds, widths])
    return efficient(found.separation, others, density * step)


def rows_for_separation(line: Line, common_width: bool) -> tuple[float, float]:
    """Return the information per row, and the rows for three standard errors off 0."""
    information = separation_information(line, common_width)
    theta = 0.5 * float(line.means[1] - line.means[0])
    if information == 0 or theta == 0:
        return information, np.inf
    return information, ERRORS_APART**2 / (information * theta**2)


def fisher_information(theta: npt.ArrayLike, *, sigma_known: bool = False) -> FloatArray:
    """Return the information per row on theta in (N(theta, 1) + N(-theta, 1)) / 2.

    To teach with: equal weights known to be so, the centre known (which matters not, by symmetry).
    A diagnostic of a fitted pair is `resolvability`.

    Parameters
    ----------
    theta : array_like of float
        Half the distance of the means in standard deviations.
    sigma_known : bool
        Whether the common width is known. If so the information is nearly 2 theta^2 for small
        theta, otherwise 8/3 theta^6: rows for one standard error grow as theta^-4, or theta^-8.

    Returns
    -------
    ndarray, of the shape of `theta`
        float64, 1 for distant means. Relative error below 1e-6 for theta of 0.001 and more.

    Raises
    ------
    ConfigError
        A theta is not finite.
    """
    values = np.asarray(theta, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ConfigError(f"theta is {values}; finite numbers are needed")
    found = [_symmetric(abs(float(each)), sigma_known) for each in values.ravel()]
    return np.array(found).reshape(values.shape)


def _symmetric(theta: float, sigma_known: bool) -> float:
    line = Line(np.array([0.5, 0.5]), np.array([-theta, theta]), np.ones(2))
    x, step = line.nodes()
    found, density = scores(line, x)
    separation = x * np.tanh(theta * x) - theta  # without the cancellation of two large terms
    width = found.log_variance.sum(axis=1, keepdims=True)
    others = width[:, :0] if sigma_known else width
    return efficient(separation, others, density * step)
