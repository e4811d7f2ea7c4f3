"""The E-step: log-likelihood, counts and moments of all rows under one mixture."""

from __future__ import annotations

from dataclasses import dataclass

from gmm_dask.blocks import Block
from gmm_dask.folds.rows import RowShare, compute_dtype_of, is_plain, observed, select
from gmm_dask.kernels import table
from gmm_dask.kernels.annealed import ready_at, unit_of
from gmm_dask.kernels.near import near_bytes
from gmm_dask.kernels.noisy import working_bytes
from gmm_dask.kernels.projected import TILE as PROJECTED_TILE
from gmm_dask.kernels.types import EStepSums
from gmm_dask.measuring import observer_of
from gmm_dask.mixture import Mixture
from gmm_dask.observed import KEPT_BYTES, Observer, marginal_bytes
from gmm_dask.observed_angles import TILE
from gmm_dask.stats import Fold
from gmm_dask.tree import nbytes


@dataclass(frozen=True)
class EStep(Fold[table.Ready | Observer, EStepSums, EStepSums]):
    """What one EM iteration asks of the data.

    Parameters
    ----------
    mixture : Mixture
    rows : RowShare, optional
        Rows to look at; all by default.
    """

    mixture: Mixture
    rows: RowShare | None = None

    def prepare(self) -> table.Ready | Observer:
        """Factorise the covariances and choose the kernel."""
        temperature = self.mixture.temperature
        if self.mixture.family.compound:
            return observer_of(self.mixture)
        if not is_plain(self.rows):
            return Observer(self.mixture, temperature)
        if temperature == 1:
            return self.mixture.prepare(compute_dtype_of(self.rows)).ready
        found = self.mixture.prepare()
        return ready_at(
            found.family, found.ready.log_weights, temperature, compute_dtype_of(self.rows)
        )

    def measure(self, prepared: table.Ready | Observer, block: Block) -> EStepSums:
        """Return the sums of one block."""
        if isinstance(prepared, Observer):
            return prepared.e_step(observed(self.rows, block))
        sums = table.measure(prepared, select(self.rows, block))
        unit = unit_of(self.mixture.temperature)
        return sums._replace(log_likelihood=sums.log_likelihood * unit)

    def finish(self, stats: EStepSums) -> EStepSums:
        """Return the sums, the log-likelihood in source units; `m_step` makes parameters of them.

        At a temperature below 1 it is F_T of `kernels.annealed`, which such steps raise.

        The volume of the frame enters only here, so that no bit of a responsibility depends on
        units.
        """
        volume = stats.n_rows * self.mixture.frame.log_scale
        return stats._replace(log_likelihood=stats.log_likelihood - volume)

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile in its kernel; of rows taken apart, those of all rows."""
        kind = self.mixture.family.covariance_type
        K, D = self.mixture.n_components, self.mixture.n_columns
        tile = table.working_bytes(kind, K, D) + 2 * self.stats_bytes
        if is_plain(self.rows):
            tile += near_bytes(kind, K, D, rows)
        return tile + observed_bytes(self.mixture, self.rows, rows)

    @property
    def stats_bytes(self) -> int:
        """Bytes of counts and moments."""
        moments = self.mixture.family.zero_moments(
            self.mixture.n_components, self.mixture.n_columns
        )
        return nbytes(moments) + 8 * self.mixture.weights.size + 24


def observed_bytes(mixture: Mixture, rows: RowShare | None, n: int) -> int:
    """Return the bytes that n rows with holes, errors or weights take while they are measured.

    Twice their numbers (taken apart and grouped) with responsibilities, the matrices of one tile
    of noisy rows, and the marginals of some patterns.
    """
    layout = rows.layout if rows is not None else None
    K, D = mixture.n_components, mixture.n_columns
    compound = 8 * min(n, TILE) * (12 * K + 6 * D) if mixture.family.compound else 0
    if layout is None or layout.plain:
        return compound
    d = layout.n_values
    numbers = layout.width + (d * d if layout.noise == "full" or layout.measured else 0)
    of_rows = 8 * n * (2 * numbers + 2 * K + 4)
    if layout.measured:
        return of_rows + 8 * PROJECTED_TILE * (4 * d * (D + d) + K * (d + 1) * D)
    tiles = working_bytes(K, D) if layout.noise else 0
    marginals = max(KEPT_BYTES, 2 * marginal_bytes(mixture)) if layout.missing else 0
    return of_rows + tiles + marginals + compound
