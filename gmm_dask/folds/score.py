"""How well mixtures describe the rows: log-likelihood, entropy and their spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds.rows import RowShare, check_finite_rows, select
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.stats import Fold

TILE = 4096


class ScoreSums(NamedTuple):
    """Sums over rows, natural log, source units."""

    n_rows: FloatArray
    """()."""
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
class Score(Fold[Prepared, ScoreSums, ScoreSums]):
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

    def prepare(self) -> Prepared:
        """Factorise the covariances."""
        return self.mixture.prepare()

    def measure(self, prepared: Prepared, block: Block) -> ScoreSums:
        """Return the sums of one block."""
        values = select(self.rows, block)
        check_finite_rows(values, block.start)
        found = table.assign(prepared.ready, values)
        return ScoreSums(
            np.asarray(float(len(values))),
            np.asarray(found.log_prob_norm.sum() - len(values) * prepared.log_scale),
            np.asarray(found.entropy.sum()),
            np.asarray(np.log(found.probability).sum()),
            np.asarray(float((found.probability < self.threshold).sum())),
            np.bincount(found.label, minlength=self.mixture.n_components).astype(np.float64),
        )

    def finish(self, stats: ScoreSums) -> ScoreSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile in its kernel, and of five numbers a row."""
        kind = self.mixture.family.covariance_type
        K, D = self.mixture.n_components, self.mixture.n_columns
        return table.working_bytes(kind, K, D) + 40 * rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 8 * (5 + self.mixture.n_components)


def posterior(prepared: Prepared, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,) and responsibilities (n, K) of rows in source units."""
    log_prob_norm, resp = table.posterior(prepared.ready, values)
    return log_prob_norm - prepared.log_scale, resp
