"""Plain EM: ask for an E-step, take the M-step of its sums.

References
----------
Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39:1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gmm_dask.errors import DataError
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.score_norm import score_norm
from gmm_dask.fits.stopping import has_converged
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture, m_step, objective


@dataclass(frozen=True)
class EM:
    """Plain EM from a mixture.

    Parameters
    ----------
    mixture : Mixture
        The present parameters.
    tol : float
        Log-likelihood per row.
    max_iter : int
    rows : RowShare, optional
        Training rows; all by default.
    lower_bounds : tuple of float
        Log-likelihood per row seen by each E-step so far, before its M-step; with a prior, its log
        is added (see `mixture.objective`).
    outcome : Outcome, optional
        None while running.
    score_norm : float
        Of the mixture of the last E-step; see `fits.score_norm`. inf before the first.
    """

    mixture: Mixture
    tol: float
    max_iter: int
    rows: RowShare | None = None
    lower_bounds: tuple[float, ...] = ()
    outcome: Outcome | None = None
    score_norm: float = math.inf

    @property
    def n_iter(self) -> int:
        """Number of E-steps with their M-steps."""
        return len(self.lower_bounds)

    def ask(self) -> EStep:
        """Return the E-step of the present mixture."""
        return EStep(self.mixture, self.rows)

    def tell(self, answer: EStepSums) -> EM:
        """Return the fit after the M-step of `answer`."""
        bounds = (*self.lower_bounds, objective(self.mixture, answer))
        try:
            mixture = m_step(self.mixture, answer)
            mixture.family.validate(mixture.params)
        except DataError:
            return replace(self, lower_bounds=bounds, outcome=Outcome.DEGENERATE)
        norm = score_norm(self.mixture, mixture)
        told = replace(self, mixture=mixture, lower_bounds=bounds, score_norm=norm)
        return replace(told, outcome=told._outcome())

    def _outcome(self) -> Outcome | None:
        if has_converged(self.lower_bounds, self.tol, self.score_norm):
            return Outcome.CONVERGED
        return Outcome.MAX_ITER if self.n_iter >= self.max_iter else None

    def extended(self, tol: float, max_iter: int) -> EM:
        """Return the fit under another tolerance or limit, running again where it may go on."""
        again = replace(self, tol=tol, max_iter=max_iter)
        if self.outcome in (Outcome.DEGENERATE, Outcome.DROPPED):
            return again
        return replace(again, outcome=again._outcome() if self.n_iter else None)
