"""Where one component becomes likelier than another: quadrics, and regions on a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import fitted
from gmm_dask.diagnostics.goodness import check_shape
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.mixture import Mixture


@dataclass(frozen=True)
class Boundary:
    """The quadric ``x^T A x + b^T x + c = 0`` on which two components are equally likely.

    It is positive where the first is likelier: log of the odds, source units.

    Parameters
    ----------
    first, second : int
    quadratic : (D, D)
    linear : (D,)
    constant : float
    roots : tuple of float
        Of one column, ascending: none, one or two.
    """

    first: int
    second: int
    quadratic: FloatArray
    linear: FloatArray
    constant: float
    roots: tuple[float, ...]

    def log_odds(self, rows: Any) -> FloatArray:
        """Return log odds (n,) of the first component against the second, for rows (n, D)."""
        x = np.asarray(rows, dtype=np.float64)
        found: FloatArray = np.einsum("ni,ij,nj->n", x, self.quadratic, x)
        return found + x @ self.linear + self.constant

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found: dict[str, Any] = as_json(self)
        return found


class Region(NamedTuple):
    """An interval of one column in which a component is likeliest."""

    low: float
    high: float
    component: int


def boundary(model: Any, first: int, second: int) -> Boundary:
    """Return where two components of a fitted model are equally likely.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    first, second : int

    Raises
    ------
    ConfigError
        There are no such two components, one has no weight, or they are not Gaussian.
    """
    mixture: Mixture = fitted(model).mixture_
    check_shape(mixture, "boundary")
    K, w = mixture.n_components, mixture.weights.mean(axis=0)
    if not (0 <= first < K and 0 <= second < K and first != second):
        raise ConfigError(f"components {first} and {second}; two of 0 to {K - 1} are needed")
    if not (w[first] > 0 and w[second] > 0):
        raise ConfigError(f"components {first} and {second}: one has no weight, so no boundary")
    (A, b, c), (A2, b2, c2) = (_log_joint(mixture, k) for k in (first, second))
    A, b, c = A - A2, b - b2, c - c2
    roots = _roots(float(A[0, 0]), float(b[0]), c) if mixture.n_columns == 1 else ()
    return Boundary(first, second, A, b, c, roots)


def regions(model: Any) -> tuple[Region, ...]:
    """Return which component is likeliest where, along the only column, ascending.

    A component may have two regions, as a wide one beside a narrow one, or none.

    Raises
    ------
    DataError
        The model has several columns; see `boundary`.
    """
    mixture: Mixture = fitted(model).mixture_
    check_shape(mixture, "regions")
    if mixture.n_columns != 1:
        raise DataError(f"the model has {mixture.n_columns} columns; regions are those of one")
    alive = [int(k) for k in np.flatnonzero(mixture.weights.mean(axis=0) > 0)]
    pairs = [(j, k) for j in alive for k in alive if j < k]
    cuts = sorted({root for j, k in pairs for root in boundary(model, j, k).roots})
    edges = [-math.inf, *cuts, math.inf]
    found: list[Region] = []
    for low, high in pairwise(edges):
        winner = _winner(mixture, alive, _inside(low, high, mixture))
        if found and found[-1].component == winner:
            found[-1] = Region(found[-1].low, high, winner)
        else:
            found.append(Region(low, high, winner))
    return tuple(found)


def _log_joint(mixture: Mixture, k: int) -> tuple[FloatArray, FloatArray, float]:
    """Return A, b, c of log weight plus log density, less a constant that all share."""
    S, m = mixture.dense_covariances[k], mixture.means[k]
    P = np.linalg.inv(S)
    log_det = float(np.linalg.slogdet(S)[1])
    weight = float(mixture.weights.mean(axis=0)[k])
    return -0.5 * P, P @ m, float(-0.5 * m @ P @ m - 0.5 * log_det + math.log(weight))


def _roots(a: float, b: float, c: float) -> tuple[float, ...]:
    """Return the real roots of a x^2 + b x + c, ascending, without cancellation."""
    if abs(a) < 1e-14 * max(abs(b), abs(c)):
        return (-c / b,) if b else ()
    inner = b * b - 4 * a * c
    if inner <= 0:
        return ()
    q = -0.5 * (b + math.copysign(math.sqrt(inner), b))
    return tuple(sorted({q / a, c / q} if q else {0.0}))


def _inside(low: float, high: float, mixture: Mixture) -> float:
    """Return a point of an interval that may have no end."""
    reach = float(np.sqrt(mixture.dense_covariances).max())
    if math.isinf(low) and math.isinf(high):
        return float(mixture.means[0, 0])
    if math.isinf(low):
        return high - reach
    return low + reach if math.isinf(high) else 0.5 * (low + high)


def _winner(mixture: Mixture, alive: list[int], x: float) -> int:
    values = []
    for k in alive:
        A, b, c = _log_joint(mixture, k)
        values.append(float(A[0, 0] * x * x + b[0] * x + c))
    return alive[int(np.argmax(values))]
