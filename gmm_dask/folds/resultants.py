"""The first pass over angles: their mean directions and how far they are spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.families.von_mises import TURN, VonMises, wrapped
from gmm_dask.folds.rows import RowShare, observed
from gmm_dask.kernels import angles
from gmm_dask.observed_angles import refuse_noise
from gmm_dask.stats import Fold

TILE = 65536


class Resultants(NamedTuple):
    """Mean directions and spreads of C angles."""

    direction: FloatArray
    """(C,) radians, from 0 to 2 pi."""
    spread: FloatArray
    """(C,) mean of ``1 - cos(a - direction)``, from 0 to 1."""


@dataclass(frozen=True)
class Directions(Fold[VonMises, angles.AngleMoments, angles.AngleMoments]):
    """Sums of the angles of all rows about given directions.

    Parameters
    ----------
    columns : (C,) int64
        Positions of the angles among the values.
    von_mises : VonMises
        Its periods are used.
    about : (C,) float64
        Radians.
    rows : RowShare, optional
    """

    columns: IntArray
    von_mises: VonMises
    about: FloatArray
    rows: RowShare | None = None

    def prepare(self) -> VonMises:
        """Return what knows the periods."""
        return self.von_mises

    def measure(self, prepared: VonMises, block: Block) -> angles.AngleMoments:
        """Return the sums of one block."""
        found = observed(self.rows, block)
        refuse_noise(self.columns, found)
        weight = np.ones(len(found.values))
        if found.sample_weight is not None:
            weight = found.sample_weight
        rows = angles.halves(prepared.radians(found.values[:, self.columns]))
        return angles.moments(rows, self.about[None], weight[:, None])

    def finish(self, stats: angles.AngleMoments) -> angles.AngleMoments:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of the angles and their sines."""
        return 8 * rows * (6 * len(self.columns) + 4)

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 24 * len(self.columns)


def resultants(sums: angles.AngleMoments, about: FloatArray) -> Resultants:
    """Return mean directions and spreads from sums about other directions.

    Raises
    ------
    DataError
        An angle is the same in all rows.
    """
    n, versine, sine = (part[0] for part in sums)
    length = np.hypot(n - versine, sine)
    direction = wrapped(about + np.arctan2(sine, n - versine))
    spread = (versine * (2 * n - versine) - sine**2) / (n * (n + length))
    still = np.flatnonzero(~(spread > 1e-28))
    if len(still):
        raise DataError(
            f"angle {still[0]} (circular) is {direction[still[0]] / TURN:.6g} of a turn in all "
            "rows; a mixture has no density there: leave the column out"
        )
    return Resultants(direction, spread)
