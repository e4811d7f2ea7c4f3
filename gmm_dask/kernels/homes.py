"""The component that a row lies nearest to, found among cells of components: a good guess.

Components are gathered into about sqrt(K) cells; a row looks for its cell, then for its component
among those of the cell. In the common metric (`near.common_metric`) components are taken as round.
Rows which their home does not explain look at all components.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.kernels.types import GaussianPrepared

ROUNDS = 5
"""Of Lloyd's algorithm over the means of the components."""
AT_ONCE = 4096
"""Rows that look for their homes at once."""
MARGIN = 3.0
"""A component belongs to each cell that rows within 1.5 deviations of it may choose."""
WIDE = 0.25
"""Components of a smaller precision than this share of the median are looked at in every cell."""
FAR = 1e100
"""Coordinates are drawn in to it."""
UNEXPLAINED = 12.0
"""Standard deviations of a squared distance."""


class Homes(NamedTuple):
    """Where components lie, as far as guesses need it."""

    shift: FloatArray
    inverse_scale: FloatArray
    metric: FloatArray
    """(D, D)."""
    cells: FloatArray
    """(D + 2, G): a row's features times this ranks its cells."""
    scores: FloatArray
    """(D + 2, A): and its components."""
    members: tuple[IntArray, ...]
    """The components of each cell, ascending."""
    constants: FloatArray
    """(A,) log joint densities at the means."""

    def of(self, rows: npt.NDArray[Any]) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Return the home of each row, and whether it looked at all components."""
        D = len(self.metric)
        features, cell = np.empty((len(rows), D + 2)), np.empty(len(rows), dtype=np.uint16)
        for at in range(0, len(rows), AT_ONCE):
            some = slice(at, at + AT_ONCE)
            self.features(rows[some], features[some])
            cell[some] = (features[some] @ self.cells).argmax(axis=1)
        home, score = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
        order = np.argsort(cell, kind="stable")
        stops = np.searchsorted(cell[order], np.arange(len(self.members) + 1))
        for number, members in enumerate(self.members):
            mine = order[stops[number] : stops[number + 1]]
            if len(mine):
                home[mine], score[mine] = best(features[mine], self.scores[:, members], members)
        far = self.constants[home] - score > 0.5 * (D + UNEXPLAINED * np.sqrt(2.0 * D))
        lost = np.flatnonzero(far)
        for part in np.split(lost, range(AT_ONCE, len(lost), AT_ONCE)):
            home[part], _ = best(features[part], self.scores, np.arange(self.scores.shape[1]))
        return home, far

    def features(self, rows: npt.NDArray[Any], out: FloatArray) -> None:
        """Write rows in the common metric, their squares, and 1: (n, D + 2)."""
        D = len(self.metric)
        with np.errstate(over="ignore", invalid="ignore"):
            y = (rows - self.shift) * self.inverse_scale
            np.clip(y, -FAR, FAR, out=y)
            np.matmul(y, self.metric, out=out[:, :D])
        np.einsum("ij,ij->i", out[:, :D], out[:, :D], out=out[:, D])
        out[:, D + 1] = 1.0


def best(
    features: FloatArray, scores: FloatArray, members: IntArray
) -> tuple[IntArray, FloatArray]:
    """Return the member of the highest score, and the score."""
    found = features @ scores
    at = found.argmax(axis=1)
    return members[at], found[np.arange(len(at)), at]


class Places(NamedTuple):
    """Components in the common metric."""

    means: FloatArray
    """(A, D)."""
    constants: FloatArray
    """(A,) log joint densities at the means."""
    shortest: FloatArray
    """(A,), and `longest`: a unit of the common metric in each component's own."""
    longest: FloatArray


def homes_of(
    prepared: GaussianPrepared, metric: FloatArray, places: Places
) -> tuple[Homes, IntArray]:
    """Return what guesses need of a mixture, and an order of components, neighbours together.

    The guesses are of places in that order.
    """
    centres = gathered(places.means, max(2, round(np.sqrt(len(places.means)))))
    order = np.argsort(squared(places.means, centres).argmin(axis=1), kind="stable")
    means, constants, shortest, longest = (array[order] for array in places)
    precision = np.maximum(shortest * longest, np.finfo(np.float64).tiny)
    squares = squared(means, centres)
    apart = np.sqrt(squared(centres, centres))
    nearest = squares.argmin(axis=1)
    margin = squares - squares[np.arange(len(means)), nearest, None]
    belongs = margin <= MARGIN * apart[nearest]
    belongs |= (precision < WIDE * np.median(precision))[:, None]
    members = tuple(np.flatnonzero(column) for column in belongs.T)
    scores = ranks(means, constants, precision)
    cells = ranks(centres, np.zeros(len(centres)), np.ones(len(centres)))
    shift, inverse = prepared.shift, 1.0 / prepared.scale
    return Homes(shift, inverse, metric, cells, scores, members, constants), order


def ranks(centres: FloatArray, constants: FloatArray, precision: FloatArray) -> FloatArray:
    """Return c - p |y - centre|^2 / 2 as products with features (D + 2, n)."""
    squares = np.einsum("ij,ij->i", centres, centres)
    return np.vstack([(centres * precision[:, None]).T, -0.5 * precision,
                      constants - 0.5 * precision * squares])  # fmt: skip


def squared(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return squared distances (n, m), none negative."""
    both = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
    result: FloatArray = np.maximum(both - 2.0 * a @ b.T, 0.0)
    return result


def gathered(places: FloatArray, n: int) -> FloatArray:
    """Return n centres of places: Lloyd's algorithm from places far from one another."""
    centres, away = places[:1], np.full(len(places), np.inf)
    while len(centres) < n:
        away = np.minimum(away, squared(places, centres[-1:])[:, 0])
        centres = np.vstack([centres, places[away.argmax()]])
    for _ in range(ROUNDS):
        label = squared(places, centres).argmin(axis=1)
        count = np.bincount(label, minlength=n)
        sums = np.zeros(centres.shape)
        np.add.at(sums, label, places)
        centres = np.where(count[:, None] > 0, sums / np.maximum(count, 1)[:, None], centres)
    return centres
