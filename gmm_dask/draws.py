"""Random numbers that belong to absolute rows, whatever block or worker asks for them.

Rows are grouped in cells of 4096. The stream of a cell is keyed by (seed, purpose, restart,
cell); a whole cell is drawn and sliced, since most variates use a variable number of words and
a stream could not be advanced by rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from gmm_dask.blocks import BoolArray, FloatArray

CELL = 4096


def cell_generator(seed: int, purpose: str, restart: int, cell: int) -> np.random.Generator:
    """Return the generator of one cell of rows.

    Parameters
    ----------
    seed : int
        Non-negative seed of the run.
    purpose : str
        What is drawn, such as ``"held out"``: streams of different purposes are independent.
    restart : int
    cell : int
        Absolute row number divided by 4096.
    """
    key = [seed, zlib.crc32(purpose.encode()), restart, cell]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def by_rows(
    draw: Callable[[np.random.Generator], Any],
    seed: int,
    purpose: str,
    restart: int,
    lo: int,
    hi: int,
) -> Any:
    """Return what `draw` (whole cell: 4096 rows first) gives for absolute rows lo to hi."""
    pieces = []
    for cell in range(lo // CELL, (hi - 1) // CELL + 1):
        whole = draw(cell_generator(seed, purpose, restart, cell))
        pieces.append(whole[max(lo - cell * CELL, 0) : hi - cell * CELL])
    return np.concatenate(pieces)


def uniform(seed: int, purpose: str, restart: int, lo: int, hi: int) -> FloatArray:
    """Return one uniform number in [0, 1) for each absolute row lo to hi, (hi - lo,)."""
    drawn: FloatArray = by_rows(lambda g: g.random(CELL), seed, purpose, restart, lo, hi)
    return drawn


def chosen(seed: int, purpose: str, fraction: float, lo: int, hi: int) -> BoolArray:
    """Return which absolute rows lo to hi belong to a random share of the data, (hi - lo,)."""
    mask: BoolArray = uniform(seed, purpose, 0, lo, hi) < fraction
    return mask
