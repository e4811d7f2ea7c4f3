"""What a few passes tell of EM's map: its rates along the directions they span, and where it ends.

EM is self-adjoint in the metric of `Coordinates`: near an optimum ``F(x) - x = -(1 - R)(x - x*)``
with R symmetric there. Differences of a few points and of their steps give R on their span, made
symmetric as in a Rayleigh-Ritz process: rates along orthogonal directions.

References
----------
Anderson 1965, J. ACM 12:547; Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715; Parlett 1998, The
Symmetric Eigenvalue Problem, chapter 11 (Rayleigh-Ritz).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.fits.coordinates import Coordinates
from gmm_dask.mixture import Mixture

INDEPENDENT = 0.1
"""Share of a difference that must be new to count as a direction of its own: less is curvature of
the likelihood, not rates of EM."""


class Memory(NamedTuple):
    """The passes of one cycle."""

    origin: Mixture
    """Of the coordinates."""
    points: tuple[FloatArray, ...]
    """Coordinates (p,) of the mixtures that were kept."""
    steps: tuple[FloatArray, ...]
    """Their EM steps (p,)."""


class Leap(NamedTuple):
    """A step in which the directions of the memory are stretched."""

    point: FloatArray
    """(p,)."""
    rate: float
    """Largest rate of EM among the directions."""
    met: bool
    """Whether some direction was stretched to the limit."""


def remembered(memory: Memory | None, mixture: Mixture, following: Mixture) -> Memory:
    """Return the memory with one more mixture and its EM step."""
    known = memory or Memory(mixture, (), ())
    coordinates = Coordinates(known.origin)
    point = coordinates.pack(mixture)
    step = coordinates.pack(following) - point
    return known._replace(points=(*known.points, point), steps=(*known.steps, step))


def leap(memory: Memory, limit: float) -> Leap | None:
    """Return the leap of a memory; None where it holds no direction yet."""
    falls, directions = slopes(memory)
    if not len(falls):
        return None
    step = memory.steps[-1]
    with np.errstate(divide="ignore"):
        wanted = 1.0 / np.abs(falls)
    stretch = np.clip(wanted, 1.0, limit)
    point = memory.points[-1] + step + ((directions @ step) * (stretch - 1.0)) @ directions
    return Leap(point, float(1.0 - falls[0]), bool((wanted >= limit).any()))


def slopes(memory: Memory) -> tuple[FloatArray, FloatArray]:
    """Return one minus the rates of EM (q,), ascending, and their directions (q, p).

    The differences, newest first, are made orthogonal, and those of the steps carried along:
    ``df = -(1 - R) dx`` on the span of dx, R self-adjoint.
    """
    moves = np.diff(np.array(memory.points), axis=0)[::-1]
    falls = -np.diff(np.array(memory.steps), axis=0)[::-1]
    basis, images = np.zeros((0, moves.shape[-1])), np.zeros((0, moves.shape[-1]))
    for move, fall in zip(moves, falls, strict=True):
        length = float(np.linalg.norm(move))
        if length == 0.0:
            continue
        along = basis @ (move / length)
        rest = move / length - along @ basis
        left = float(np.linalg.norm(rest))
        if left >= INDEPENDENT:
            basis = np.vstack([basis, rest / left])
            images = np.vstack([images, (fall / length - along @ images) / left])
    within = basis @ images.T
    ascending, turned = np.linalg.eigh(0.5 * (within + within.T))
    return ascending, turned.T @ basis
