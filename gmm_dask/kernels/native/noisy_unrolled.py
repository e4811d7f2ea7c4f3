"""Rows with errors of their own, a factorisation for each row and component: few columns.

The matrix of the rows ``T = V + C``, V and y (a row's distance from the mean) is reduced by the D
pivots of T. What is left of the rows V is ``B = V - V T^-1 V``, of the row y minus ``V T^-1 y``:
one elimination gives all that an E-step needs, and no inverse is formed. Columns may be in any
units: a power of two in one of them changes no digit.

References
----------
Golub and Van Loan 2013, Matrix Computations, 4th ed., section 4.1.2 (factors L D L^T).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.logarithm import empty_product, log_product, multiplied
from gmm_dask.kernels.native.noisy_key import NoisyKey
from gmm_dask.kernels.native.values import LANES, Vec

Rooms = dict[str, Ptr]


@dataclass(frozen=True)
class Reduced:
    """T = L P L^T, its pivots in P."""

    code: Code
    factors: list[list[Vec]] = field(default_factory=list)
    """Minus L, row by row, without its diagonal of ones."""
    minus: list[Vec] = field(default_factory=list)
    """Minus the inverse pivots; NaN where T is not positive definite."""

    def row(self, entries: Sequence[Vec]) -> list[Vec]:
        """Return another row of the matrix as far as it is reduced: it ``L^-T``."""
        found: list[Vec] = []
        for entry, factors in zip(entries, self.factors, strict=True):
            found.append(dot(self.code, found, factors, entry))
        return found

    def scaled(self, reduced: Sequence[Vec]) -> list[Vec]:
        """Return a reduced row times minus the inverse pivots."""
        return [x * minus for x, minus in zip(reduced, self.minus, strict=True)]


def dot(code: Code, a: Sequence[Vec], b: Sequence[Vec], start: Vec) -> Vec:
    """Return start + sum(a * b)."""
    for x, y in zip(a, b, strict=True):
        start = code.fma(x, y, start)
    return start


def lower(i: int, j: int) -> int:
    """Return the place of row i, column j in a lower triangle stored row by row."""
    i, j = max(i, j), min(i, j)
    return i * (i + 1) // 2 + j


def covariance(key: NoisyKey, of_k: Ptr, i: int, j: int) -> Vec:
    """Return an entry of a component's covariance."""
    return of_k.splat(1 + key.n_columns + lower(i, j))


def total(key: NoisyKey, at: Rooms, of_k: Ptr, i: int, j: int) -> Vec:
    """Return an entry of T."""
    V = covariance(key, of_k, i, j)
    if key.noise == "full":
        return V + at["noise"].load((i * key.n_columns + j) * LANES)
    return V + at["noise"].load(i * LANES) if i == j else V


def distance(key: NoisyKey, at: Rooms, of_k: Ptr) -> list[Vec]:
    """Return rows minus the mean."""
    return [at["y"].load(j * LANES) - of_k.splat(1 + j) for j in range(key.n_columns)]


def reduce(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr) -> tuple[Reduced, list[Vec]]:
    """Return T reduced, and its pivots."""
    T, pivots = Reduced(code), []
    for i in range(key.n_columns):
        row = T.row([total(key, at, of_k, i, j) for j in range(i)])
        factors = T.scaled(row)
        pivot = dot(code, row, factors, total(key, at, of_k, i, i))
        pivot = (pivot > code.const(0.0)).where(pivot, code.const(math.nan))
        pivots.append(pivot)
        T.factors.append(factors)
        T.minus.append(code.const(-1.0) / pivot)
    return T, pivots


def density(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr) -> Vec:
    """Return log joint densities of eight rows."""
    T, pivots = reduce(code, key, at, of_k)
    z = T.row(distance(key, at, of_k))
    minus_square = dot(code, z, T.scaled(z), code.const(0.0))
    product = empty_product(code)
    for pivot in pivots:
        product = multiplied(code, product, pivot)
    double = minus_square - log_product(code, product, key.n_columns)
    return code.fma(double, code.const(0.5), of_k.splat(0))


def add(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr, sums: Ptr, r: Vec) -> None:
    """Add expected true values of eight rows, with weights r, to the moments."""
    D = key.n_columns
    T, _ = reduce(code, key, at, of_k)
    minus_z = T.scaled(T.row(distance(key, at, of_k)))
    V = [T.row([covariance(key, of_k, i, j) for j in range(D)]) for i in range(D)]
    step = [-dot(code, row, minus_z, code.const(0.0)) for row in V]
    place = 1 + D
    for a in range(D):
        first = sums.at((1 + a) * LANES)
        weighted = r * step[a]
        first.store(0, first.load() + weighted)
        scaled = T.scaled(V[a])
        for b in range(a, a + 1 if key.second == "diag" else D):
            spare = dot(code, V[b], scaled, covariance(key, of_k, b, a))
            second = sums.at(place * LANES)
            second.store(0, code.fma(weighted, step[b], code.fma(r, spare, second.load())))
            place += 1
