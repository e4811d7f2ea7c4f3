"""How well mixtures describe the rows: log-likelihood, entropy and their spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds.rows import RowShare, check_finite_rows, select
from gmm_dask.kernels import table
from gmm_dask.kernels.reference import nearest
from gmm_dask.kernels.types import LOG_PROB_MIN
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.stats import Fold
from gmm_dask.tree import add

TILE = 4096


class ScoreSums(NamedTuple):
    """Sums over rows, natural log, source units."""

    n_rows: FloatArray
    """()."""
    log_likelihood: FloatArray
    """() sum of log densities."""
    square: FloatArray
    """() sum of squared deviations of the log densities from `Score.about`."""
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
    about : float
        A log density near the mean, so that the variance does not cancel.
    threshold : float
        Rows whose largest responsibility is below are ambiguous.

    References
    ----------
    Biernacki, Celeux and Govaert 2000, IEEE PAMI 22:719 (ICL).
    """

    mixture: Mixture
    rows: RowShare | None = None
    about: float = 0.0
    threshold: float = 0.9

    def prepare(self) -> Prepared:
        """Factorise the covariances."""
        return self.mixture.prepare()

    def measure(self, prepared: Prepared, block: Block) -> ScoreSums:
        """Return the sums of one block, tile by tile."""
        values = select(self.rows, block)
        check_finite_rows(values, block.start)
        zero = np.zeros(())
        sums = ScoreSums(zero, zero, zero, zero, zero, zero, np.zeros(self.mixture.n_components))
        for lo in range(0, len(values), TILE):
            log_prob_norm, resp = posterior(prepared, values[lo : lo + TILE])
            sums = add(sums, self._tile(log_prob_norm, resp))
        return sums

    def _tile(self, log_prob_norm: FloatArray, resp: FloatArray) -> ScoreSums:
        largest = resp.max(axis=1)
        positive = np.where(resp > 0, resp, 1.0)
        with np.errstate(over="ignore"):  # rows so far away that their square is not a float64
            square = ((log_prob_norm - self.about) ** 2).sum()
        return ScoreSums(
            np.asarray(float(len(resp))),
            np.asarray(log_prob_norm.sum()),
            np.asarray(square),
            np.asarray(-(resp * np.log(positive)).sum()),
            np.asarray(np.log(largest).sum()),
            np.asarray(float((largest < self.threshold).sum())),
            np.bincount(resp.argmax(axis=1), minlength=resp.shape[1]).astype(np.float64),
        )

    def finish(self, stats: ScoreSums) -> ScoreSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile's responsibilities."""
        return 8 * min(rows, TILE) * (5 * self.mixture.n_components + 4 * self.mixture.n_columns)

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 8 * (6 + self.mixture.n_components)


def posterior(prepared: Prepared, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return log densities (n,) and responsibilities (n, K) of rows in source units."""
    log_joint = table.log_prob(prepared.family, values) + prepared.log_weights[0]
    largest = log_joint.max(axis=1, keepdims=True)
    share = np.exp(log_joint - largest)
    total = share.sum(axis=1, keepdims=True)
    log_prob_norm: FloatArray = (largest + np.log(total))[:, 0]
    resp: FloatArray = share / total
    lost = log_prob_norm <= 0.5 * LOG_PROB_MIN
    if lost.any():
        resp[lost] = nearest(prepared.family, values[lost], prepared.log_weights[0])
    return log_prob_norm - prepared.log_scale, resp
