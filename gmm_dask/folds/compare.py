"""Several mixtures on the same rows: mean log densities and their paired spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds import assigned
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold
from gmm_dask.tree import add

TILE = 4096


class CompareSums(NamedTuple):
    """Sums over rows of the log densities of C mixtures."""

    n_rows: FloatArray
    """() sum of row weights; of rows, where they have none."""
    first: FloatArray
    """(C,) sum of log density minus `Compare.about`."""
    second: FloatArray
    """(C, C) sum of products of the same."""


class Comparison(NamedTuple):
    """Log density per row of C mixtures with its standard error, and that of differences."""

    n_rows: float
    mean: FloatArray
    """(C,) natural log, source units."""
    covariance: FloatArray
    """(C, C) covariance of the log densities over rows."""

    def standard_error(self) -> FloatArray:
        """Return the standard error of each mean, (C,)."""
        error: FloatArray = np.sqrt(np.diagonal(self.covariance).clip(0) / max(self.n_rows, 1.0))
        return error

    def paired_error(self, reference: int) -> FloatArray:
        """Return the standard error of each mean's difference from a reference mixture, (C,)."""
        S, r = self.covariance, reference
        spread = np.diagonal(S) + S[r, r] - 2 * S[r]
        error: FloatArray = np.sqrt(spread.clip(0) / max(self.n_rows, 1.0))
        return error


@dataclass(frozen=True)
class Compare(Fold[tuple[Prepared | Observer, ...], CompareSums, Comparison]):
    """Log densities of several mixtures on the same rows.

    Parameters
    ----------
    mixtures : tuple of Mixture
    about : tuple of float
        A log density near the mean of each, so that squares do not cancel.
    rows : RowShare, optional
    """

    mixtures: tuple[Mixture, ...]
    about: tuple[float, ...]
    rows: RowShare | None = None

    def prepare(self) -> tuple[Prepared | Observer, ...]:
        """Factorise all covariances."""
        return tuple(assigned.prepare(mixture, self.rows) for mixture in self.mixtures)

    def measure(self, prepared: tuple[Prepared | Observer, ...], block: Block) -> CompareSums:
        """Return the sums of one block, tile by tile."""
        C = len(self.mixtures)
        sums = CompareSums(np.zeros(()), np.zeros(C), np.zeros((C, C)))
        for lo in range(0, len(block), TILE):
            tile = Block(block.values[lo : lo + TILE], block.start + lo)
            found = [assigned.assign(ready, self.rows, tile) for ready in prepared]
            off = np.stack([each.log_prob_norm for each in found], axis=1) - np.asarray(self.about)
            a = found[0].weight
            step = CompareSums(np.asarray(a.sum()), a @ off, (off * a[:, None]).T @ off)
            sums = add(sums, step)
        return sums

    def finish(self, stats: CompareSums) -> Comparison:
        """Return means and covariance."""
        n = max(float(stats.n_rows), 1.0)
        mean = stats.first / n
        covariance = stats.second / n - np.outer(mean, mean)
        return Comparison(float(stats.n_rows), mean + np.asarray(self.about), covariance)

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile's log densities."""
        K = max(mixture.n_components for mixture in self.mixtures)
        tile = min(rows, TILE)
        of_rows = sum(observed_bytes(mixture, self.rows, tile) for mixture in self.mixtures)
        return 8 * tile * (3 * K + 2 * len(self.mixtures)) + of_rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 8 * (1 + len(self.mixtures)) ** 2


def log_density(prepared: Prepared, values: npt.NDArray[Any]) -> FloatArray:
    """Return the log density (n,) of each row under a mixture, source units."""
    found: FloatArray = table.assign(prepared.ready, values).log_prob_norm - prepared.log_scale
    return found
