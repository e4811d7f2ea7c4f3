"""DAAREM: EM with Anderson acceleration, damped, restarted, and guarded by the likelihood.

Each pass yields a point x and its EM step f = F(x) - x. From the differences of the last few,
Anderson's mixing learns how F acts on the directions they span, and goes on from there as if these
had been iterated to their end. The pass at the new point gives its likelihood, by which it is
judged, and its own step: a point that is kept costs one pass, as an EM step does, and one that is
refused costs that pass, after which EM's own step from the last kept point is taken. After
`ORDER` differences the memory is cleared, and the coordinates begin anew.

Two things differ from Henderson and Varadhan. EM is self-adjoint in the metric of `Coordinates`,
so what the differences say is made symmetric, as in a Rayleigh-Ritz process: it becomes rates of
EM along orthogonal directions, none of which need be trusted beyond its own step. And the damping
is not a ridge, which shrinks all directions together, but a limit to how far each is stretched,
adapted by success. Where a rate exceeds one the likelihood has a saddle, to which Anderson's
mixing would lead back: there a direction is stretched forwards instead.

References
----------
Anderson 1965, J. ACM 12:547; Walker and Ni 2011, SIAM J. Numer. Anal. 49:1715; Henderson and
Varadhan 2019, J. Comput. Graph. Stat. 28:834 (restarts, damping, guard); Dauphin et al. 2014,
NeurIPS 27, arXiv:1406.2572 (absolute values at saddles).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.errors import DataError
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.coordinates import Coordinates
from gmm_dask.fits.guard import PLAIN_FIRST, is_acceptable, landed, stepped
from gmm_dask.fits.mixing import Memory, leap, remembered
from gmm_dask.fits.score_norm import score_norm
from gmm_dask.fits.stopping import has_converged, largest_gap
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture, objective

ORDER = 5
LONGEST = 4096.0
SHORTEST = 1.5
REMEMBERED = 2 * ORDER


@dataclass(frozen=True)
class Daarem:
    """Accelerated EM from a mixture; plain EM for its first steps.

    Parameters
    ----------
    mixture : Mixture
        The mixture whose E-step is asked next.
    tol : float
        Log-likelihood per row.
    max_iter : int
        Passes, those of refused leaps included.
    rows : RowShare, optional
    lower_bounds : tuple of float
        Log-likelihood per row of each mixture that was kept, its log prior added where there is
        one; never falls by more than rounding.
    n_iter : int
        Passes.
    outcome : Outcome, optional
    memory : Memory, optional
        None where a cycle is to begin.
    fallback : Mixture, optional
        EM's own step, while the present mixture is a leap to be judged.
    limit : float
        Largest stretch of a direction for now; grows when it is met and shrinks when a leap is
        refused.
    refused : int
        Leaps that were taken back.
    rates : tuple of float
        Largest rates of EM seen at the last passes: the slowest direction is not seen by each.
    score_norm : float
        Of the last mixture that was kept; see `fits.score_norm`. inf before the first.
    """

    mixture: Mixture
    tol: float
    max_iter: int
    rows: RowShare | None = None
    lower_bounds: tuple[float, ...] = ()
    n_iter: int = 0
    outcome: Outcome | None = None
    memory: Memory | None = None
    fallback: Mixture | None = None
    limit: float = 4.0
    refused: int = 0
    rates: tuple[float, ...] = ()
    score_norm: float = math.inf

    def ask(self) -> EStep:
        """Return the E-step of the present mixture."""
        return EStep(self.mixture, self.rows)

    def tell(self, answer: EStepSums) -> Daarem:
        """Return the fit after the answer: a plain step, a leap, or a leap taken back."""
        bound = objective(self.mixture, answer)
        told = replace(self, n_iter=self.n_iter + 1)
        following = stepped(self.mixture, answer)
        if self.fallback is not None:
            before = self.lower_bounds[-1]
            if following is None or not is_acceptable(self.mixture, before, bound, answer):
                return told._taken_back()._limited()
        told = replace(told, lower_bounds=(*self.lower_bounds, bound), fallback=None)
        if following is None:
            return replace(told, outcome=Outcome.DEGENERATE)
        told = replace(told, score_norm=score_norm(self.mixture, following))
        if told.n_iter <= PLAIN_FIRST:
            return told._plain(following)._limited()
        return told._leapt(following)._limited()

    def _taken_back(self) -> Daarem:
        """Go on from EM's own step; the next leap is shorter."""
        assert self.fallback is not None
        shorter = max(SHORTEST, self.limit / 4)
        return replace(
            self, mixture=self.fallback, fallback=None, limit=shorter, refused=self.refused + 1
        )

    def _plain(self, following: Mixture) -> Daarem:
        """Return the fit after a plain step; the last three bounds are of plain steps."""
        told = replace(self, mixture=following)
        if has_converged(self.lower_bounds, self.tol, self.score_norm):
            return replace(told, outcome=Outcome.CONVERGED)
        return told

    def _leapt(self, following: Mixture) -> Daarem:
        """Return the fit with a leap to be judged, or a plain step where there is none to make."""
        told = replace(self, mixture=following, memory=None)
        if self.score_norm == 0.0:
            return replace(told, outcome=Outcome.CONVERGED)
        try:
            memory = remembered(self.memory, self.mixture, following)
            ahead = leap(memory, self.limit)
        except (DataError, np.linalg.LinAlgError):
            return told
        if ahead is None:
            return replace(told, memory=memory)
        told = replace(told, rates=(*self.rates, ahead.rate)[-REMEMBERED:])
        if told._has_converged():
            return replace(told, outcome=Outcome.CONVERGED)
        grown = min(2 * self.limit, LONGEST) if ahead.met else self.limit
        told = replace(told, limit=grown, memory=memory if len(memory.points) <= ORDER else None)
        try:
            far = landed(Coordinates(memory.origin), ahead.point)
        except (DataError, np.linalg.LinAlgError):
            return told
        return replace(told, mixture=far, fallback=following)

    def _has_converged(self) -> bool:
        """Return whether the last gain, the score and the estimated gap are below `tol`."""
        gain = self.lower_bounds[-1] - self.lower_bounds[-2]
        gap = largest_gap(self.score_norm, max(self.rates))
        return max(gain, self.score_norm, gap) < self.tol

    def _limited(self) -> Daarem:
        """Return the fit ended where its passes are used up; a leap not judged is not kept."""
        if self.outcome is not None or self.n_iter < self.max_iter:
            return self
        settled = self.fallback or self.mixture
        return replace(self, outcome=Outcome.MAX_ITER, mixture=settled, fallback=None, memory=None)

    def extended(self, tol: float, max_iter: int) -> Daarem:
        """Return the fit under another tolerance or limit, running again where it may go on."""
        again = replace(self, tol=tol, max_iter=max_iter)
        if self.outcome in (Outcome.DEGENERATE, Outcome.DROPPED, None):
            return again
        if self.outcome is Outcome.CONVERGED and tol >= self.tol:
            return again
        return replace(again, outcome=None)._limited()
