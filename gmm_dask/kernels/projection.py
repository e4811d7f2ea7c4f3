"""A cheap bound of every density: the component seen along a few directions.

The Mahalanobis distance of a projection never exceeds the distance itself, so a density bounded
by it can be dismissed unread where the bound is far below another density. Directions that
separate the means best, in units of the spread within components, dismiss the most.

References
----------
Fisher 1936, Annals of Eugenics 7:179 (discriminant directions); Rao 1948, J. R. Stat. Soc. B 10:159
(several groups).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.lapack import dtrtri
from scipy.special import ndtr

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.native.density import packed_size
from gmm_dask.kernels.native.exact import NEGLIGIBLE

WIDTHS = (4, 6, 8, 12, 16, 24)
GAIN = 0.7
"""Share of the work without bounds that must not be exceeded, as estimates are rough."""
SLACK = 1e-6
"""By which squared distances are shortened, so that rounding never dismisses wrongly."""


class Projection(NamedTuple):
    """Directions, and the parameters of the components along them."""

    directions: FloatArray
    """(D, P)."""
    parameters: FloatArray
    """(A, packed_size of full P)."""


def projection(constants: FloatArray, means: FloatArray, factors: FloatArray) -> Projection | None:
    """Return the projection that makes a pass cheapest; None where none makes it much cheaper.

    Parameters
    ----------
    constants : (A,)
        Log joint densities at the means.
    means : (A, D)
    factors : (A, D, D)
        Upper triangular; ``y @ U`` whitens.
    """
    D = means.shape[1]
    widths = [width for width in WIDTHS if 2 * width <= D]
    if len(means) < 3 or not widths:
        return None
    spread: FloatArray = np.array([dtrtri(factor)[0] for factor in factors])
    directions = discriminants(means, spread)[:, : widths[-1]]
    inverse = whitening_along(spread, directions)
    places = means @ directions
    shares = surviving(constants, places, inverse, D, widths)
    cost = {width: work(width) + shares[width] * work(D) for width in widths}
    best = min(widths, key=lambda width: cost[width])
    if cost[best] > GAIN * work(D):
        return None
    packed = pack(constants, places[:, :best], inverse[:, :best, :best])
    return Projection(np.ascontiguousarray(directions[:, :best]), packed)


def discriminants(means: FloatArray, spread: FloatArray) -> FloatArray:
    """Return directions (D, D), those that separate the means best first.

    Parameters
    ----------
    means : (A, D)
    spread : (A, D, D)
        Inverses of the whitening factors: ``spread.T @ spread`` is a covariance.
    """
    flat = spread.reshape(-1, means.shape[1])
    within = flat.T @ flat
    about = means - means.mean(axis=0)
    between = about.T @ about
    root = np.sqrt(np.diagonal(within))
    outer = np.outer(root, root)
    directions = eigh(between / outer, within / outer)[1][:, ::-1]
    result: FloatArray = directions / root[:, None]
    return result


def whitening_along(spread: FloatArray, directions: FloatArray) -> FloatArray:
    """Return upper triangular factors (A, P, P) that whiten each component's projection.

    The covariance is ``spread.T @ spread``; its projection is ``X.T @ X`` with ``X = spread @
    directions``, and ``X = Q R`` gives the factor ``inv(R)``. Leading blocks belong to leading
    directions.
    """
    inverse: FloatArray = np.linalg.inv(np.linalg.qr(spread @ directions, mode="r"))
    return inverse


def work(width: int) -> float:
    """Return multiplications for one density in so many dimensions, with 10 for handling."""
    return 0.5 * width * (width + 1) + 2 * width + 10


def surviving(
    constants: FloatArray,
    places: FloatArray,
    inverse: FloatArray,
    n_columns: int,
    widths: list[int],
) -> dict[int, float]:
    """Return the expected share of densities that bounds leave, by the number of directions.

    A row of component j has about the squared distance a^2 + P from component k, where a is the
    distance of the means along P directions, with a standard deviation of about sqrt(4 a^2 + 2 P).
    """
    apart = places[:, None, :] - places[None, :, :]
    whitened = np.matmul(apart.transpose(1, 0, 2), inverse) ** 2
    of_row = (constants - 0.5 * n_columns)[None, :] - constants[:, None]
    allowed = 2 * (NEGLIGIBLE - of_row)
    found, squares, before = {}, np.zeros(allowed.shape), 0
    for width in widths:
        squares = squares + whitened[:, :, before:width].sum(axis=2)
        z = (allowed - squares - width) / np.sqrt(4 * squares + 2 * width)
        found[width], before = float(ndtr(z).mean()), width
    return found


def pack(constants: FloatArray, places: FloatArray, inverse: FloatArray) -> FloatArray:
    """Return parameters of full components for `density`, distances shortened by `SLACK`."""
    A, P = places.shape
    columns, rows = np.tril_indices(P)
    factors = np.sqrt(0.5) * (1 - SLACK) * inverse[:, rows, columns]
    packed = np.hstack([constants[:, None], places, factors])
    assert packed.shape == (A, packed_size("full", P))
    return packed
