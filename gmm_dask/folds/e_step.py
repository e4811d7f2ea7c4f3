"""The E-step: log-likelihood, counts and moments of all rows under one mixture."""

from __future__ import annotations

from dataclasses import dataclass

from gmm_dask.blocks import Block
from gmm_dask.folds.rows import RowShare, select
from gmm_dask.kernels import table
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture
from gmm_dask.stats import Fold


@dataclass(frozen=True)
class EStep(Fold[table.Ready, EStepSums, EStepSums]):
    """What one EM iteration asks of the data.

    Parameters
    ----------
    mixture : Mixture
    rows : RowShare, optional
        Rows to look at; all by default.
    """

    mixture: Mixture
    rows: RowShare | None = None

    def prepare(self) -> table.Ready:
        """Factorise the covariances and choose the kernel."""
        return self.mixture.prepare().ready

    def measure(self, prepared: table.Ready, block: Block) -> EStepSums:
        """Return the sums of one block."""
        return table.measure(prepared, select(self.rows, block))

    def finish(self, stats: EStepSums) -> EStepSums:
        """Return the sums, the log-likelihood in source units; `m_step` makes parameters of them.

        The volume of the frame enters only here, so that no bit of a responsibility depends on
        units.
        """
        volume = stats.n_rows * self.mixture.frame.log_scale
        return stats._replace(log_likelihood=stats.log_likelihood - volume)

    def working_bytes(self, rows: int) -> int:  # noqa: ARG002  # kernels work in tiles
        """Return the bytes of one tile in its kernel."""
        kind = self.mixture.family.covariance_type
        K, D = self.mixture.n_components, self.mixture.n_columns
        return table.working_bytes(kind, K, D) + 2 * self.stats_bytes

    @property
    def stats_bytes(self) -> int:
        """Bytes of counts and moments."""
        moments = self.mixture.family.zero_moments(
            self.mixture.n_components, self.mixture.n_columns
        )
        return (
            int(moments.first.nbytes + moments.second.nbytes + 8 * self.mixture.weights.size) + 24
        )
