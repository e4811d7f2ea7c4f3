"""How well mixtures describe the rows: log-likelihood, entropy and their spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds import assigned
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold

TILE = 4096


class ScoreSums(NamedTuple):
    """Sums over rows, natural log, source units."""

    n_rows: FloatArray
    """() sum of row weights; of rows, where they have none."""
    log_likelihood: FloatArray
    """() sum of log densities."""
    entropy: FloatArray
    """() sum of -resp log resp (the EN of soft ICL)."""
    map_log: FloatArray
    """() sum of the log of the largest responsibility (MAP ICL)."""
    ambiguous: FloatArray
    """() rows whose largest responsibility is below `Score.threshold`."""
    labels: FloatArray
    """(K,) rows by most probable component."""


@dataclass(frozen=True)
class Score(Fold[Prepared | Observer, ScoreSums, ScoreSums]):
    """Log-likelihood and classification entropy of a mixture.

    Parameters
    ----------
    mixture : Mixture
    rows : RowShare, optional
    threshold : float
        Rows whose largest responsibility is below are ambiguous.

    References
    ----------
    Biernacki, Celeux and Govaert 2000, IEEE PAMI 22:719 (ICL).
    """

    mixture: Mixture
    rows: RowShare | None = None
    threshold: float = 0.9

    def prepare(self) -> Prepared | Observer:
        """Factorise the covariances."""
        return assigned.prepare(self.mixture, self.rows)

    def measure(self, prepared: Prepared | Observer, block: Block) -> ScoreSums:
        """Return the sums of one block."""
        found = assigned.assign(prepared, self.rows, block)
        a, K = found.weight, self.mixture.n_components
        return ScoreSums(
            np.asarray(a.sum()),
            np.asarray((a * found.log_prob_norm).sum()),
            np.asarray((a * found.entropy).sum()),
            np.asarray((a * np.log(found.probability)).sum()),
            np.asarray((a * (found.probability < self.threshold)).sum()),
            np.bincount(found.label, a, minlength=K).astype(np.float64),
        )

    def finish(self, stats: ScoreSums) -> ScoreSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile in its kernel, and of five numbers a row."""
        kind = self.mixture.family.covariance_type
        K, D = self.mixture.n_components, self.mixture.n_columns
        of_rows = 40 * rows + observed_bytes(self.mixture, self.rows, rows)
        return table.working_bytes(kind, K, D) + of_rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 8 * (5 + self.mixture.n_components)


def posterior(prepared: Prepared, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,) and responsibilities (n, K) of rows in source units."""
    log_prob_norm, resp = table.posterior(prepared.ready, values)
    return log_prob_norm - prepared.log_scale, resp
