"""Rows of a mixture as a source: drawn where they are read, never stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask import tree
from gmm_dask.blocks import Block, default_columns
from gmm_dask.mixture import Mixture
from gmm_dask.rows import draw_rows


@dataclass(frozen=True)
class SimulatedSource:
    """An endless sample of a mixture, cut off after some rows; each worker draws its own blocks.

    Parameters
    ----------
    mixture : Mixture
    n_rows : int
    seed : int
    """

    mixture: Mixture
    n_rows: int
    seed: int = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return default_columns(self.mixture.n_columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64."""
        return np.dtype(np.float64)

    @property
    def fingerprint(self) -> str:
        """Digest of mixture, seed and number of rows."""
        return tree.fingerprint((self.mixture, self.n_rows, self.seed))

    def read(self, lo: int, hi: int) -> Block:
        """Return rows lo to hi: the same whatever the range that asks for them."""
        return Block(draw_rows(self.mixture, self.seed, lo, hi)[0], lo)
