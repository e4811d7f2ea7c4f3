"""SQUAREM: EM with extrapolations that are kept only where the likelihood allows.

A cycle is two EM steps t0 -> t1 -> t2 and a jump ``t' = t0 + 2 s r + s^2 v`` with r = t1 - t0,
v = (t2 - t1) - r and s = |r| / |v|. The pass at t' gives both its likelihood, by which it is
judged, and the first step of the next cycle, so a jump that is kept costs nothing extra.

References
----------
Varadhan and Roland 2008, Scand. J. Stat. 35:335, scheme S3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gmm_dask.errors import DataError
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.coordinates import Coordinates
from gmm_dask.fits.guard import PLAIN_FIRST, is_acceptable, landed, stepped
from gmm_dask.fits.score_norm import score_norm
from gmm_dask.fits.stopping import has_converged, remaining
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture, objective

LONGEST = 256.0
REMEMBERED = 6


@dataclass(frozen=True)
class Squarem:
    """Accelerated EM from a mixture; plain EM for its first steps.

    Parameters
    ----------
    mixture : Mixture
        The mixture whose E-step is asked next.
    tol : float
        Log-likelihood per row.
    max_iter : int
        Passes, those of refused jumps included.
    rows : RowShare, optional
    lower_bounds : tuple of float
        Log-likelihood per row of each mixture that was kept, its log prior added where there is
        one; never falls by more than rounding.
    n_iter : int
        Passes.
    outcome : Outcome, optional
    anchor : Mixture, optional
        t0, while the present mixture is t1.
    fallback : Mixture, optional
        t2, while the present mixture is a jump to be judged.
    limit : float
        Largest s for now; grows when it is met and shrinks when a jump is refused.
    refused : int
        Jumps that were taken back.
    rates : tuple of float
        Factors by which EM shrank its error in the last cycles. A jump stirs up fast directions,
        which then hide the slow ones, so the slowest of several cycles counts.
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
    anchor: Mixture | None = None
    fallback: Mixture | None = None
    limit: float = 1.0
    refused: int = 0
    rates: tuple[float, ...] = ()
    score_norm: float = math.inf

    def ask(self) -> EStep:
        """Return the E-step of the present mixture."""
        return EStep(self.mixture, self.rows)

    def tell(self, answer: EStepSums) -> Squarem:
        """Return the fit after the answer: a plain step, a jump, or a jump taken back."""
        bound = objective(self.mixture, answer)
        told = replace(self, n_iter=self.n_iter + 1)
        following = stepped(self.mixture, answer)
        if self.fallback is not None:
            before = self.lower_bounds[-1]
            if following is None or not is_acceptable(self.mixture, before, bound, answer):
                return told._taken_back()._limited()
        elif following is None:
            bounds = (*self.lower_bounds, bound)
            return replace(told, lower_bounds=bounds, outcome=Outcome.DEGENERATE)
        told = replace(told, score_norm=score_norm(self.mixture, following))
        if self.fallback is not None:
            return told._kept(bound, anchor=self.mixture, mixture=following)._limited()
        if self.anchor is None:
            return told._plain(bound, following)._limited()
        return told._cycle_closed(bound, self.anchor, following)._limited()

    def _kept(self, bound: float, *, anchor: Mixture | None, mixture: Mixture) -> Squarem:
        bounds = (*self.lower_bounds, bound)
        return replace(self, lower_bounds=bounds, anchor=anchor, mixture=mixture, fallback=None)

    def _taken_back(self) -> Squarem:
        """Go on from t2 by plain steps; the next jump is shorter."""
        assert self.fallback is not None
        shorter = max(1.0, self.limit / 4)
        return replace(
            self, mixture=self.fallback, fallback=None, limit=shorter, refused=self.refused + 1
        )

    def _plain(self, bound: float, following: Mixture) -> Squarem:
        """Return the fit after a plain step; the last three bounds are of plain steps."""
        anchor = self.mixture if self.n_iter > PLAIN_FIRST else None
        kept = self._kept(bound, anchor=anchor, mixture=following)
        if has_converged(kept.lower_bounds, self.tol, self.score_norm):
            return replace(kept, outcome=Outcome.CONVERGED, anchor=None)
        return kept

    def _cycle_closed(self, bound: float, t0: Mixture, t2: Mixture) -> Squarem:
        """Return the fit at the end of a cycle: converged, or with a jump to be judged."""
        plain = self._kept(bound, anchor=None, mixture=t2)
        try:
            leap = _leap(t0, self.mixture, t2, self.limit)
        except (DataError, np.linalg.LinAlgError):
            return plain
        gain = bound - self.lower_bounds[-1]
        plain = replace(plain, rates=(*self.rates, leap.rate)[-REMEMBERED:])
        if max(gain, remaining(gain, max(plain.rates)), plain.score_norm) < self.tol:
            return replace(plain, outcome=Outcome.CONVERGED)
        grown = min(self.limit * 4, LONGEST) if leap.wanted >= self.limit else self.limit
        if leap.mixture is None:
            return replace(plain, limit=grown)
        return replace(plain, mixture=leap.mixture, fallback=t2, limit=grown)

    def _limited(self) -> Squarem:
        """Return the fit ended where its passes are used up; a jump not judged is not kept."""
        if self.outcome is not None or self.n_iter < self.max_iter:
            return self
        settled = self.fallback or self.mixture
        return replace(self, outcome=Outcome.MAX_ITER, mixture=settled, fallback=None, anchor=None)

    def extended(self, tol: float, max_iter: int) -> Squarem:
        """Return the fit under another tolerance or limit, running again where it may go on."""
        again = replace(self, tol=tol, max_iter=max_iter)
        if self.outcome in (Outcome.DEGENERATE, Outcome.DROPPED, None):
            return again
        if self.outcome is Outcome.CONVERGED and tol >= self.tol:
            return again
        return replace(again, outcome=None)._limited()


class Leap(NamedTuple):
    """An extrapolation over one cycle."""

    mixture: Mixture | None
    """Where it lands; None if it is no longer than two plain steps."""
    wanted: float
    """Length s before it was limited."""
    rate: float
    """Ratio of the two steps of the cycle: the factor by which EM shrinks its error."""


def _leap(t0: Mixture, t1: Mixture, t2: Mixture, limit: float) -> Leap:
    """Return the extrapolation of a cycle, at most `limit` long.

    Raises
    ------
    DataError
        It lands where a covariance is not positive definite.
    """
    coordinates = Coordinates(t0)
    x0, x1, x2 = (coordinates.pack(mixture) for mixture in (t0, t1, t2))
    r, step = x1 - x0, x2 - x1
    v = step - r
    length, curve = float(np.linalg.norm(r)), float(np.linalg.norm(v))
    rate = float(np.linalg.norm(step)) / length if length > 0 else 0.0
    wanted = length / curve if curve > 0 else math.inf
    s = min(wanted, limit)
    if s <= 1.0 or not math.isfinite(s):
        return Leap(None, wanted, rate)
    return Leap(landed(coordinates, x0 + 2 * s * r + s**2 * v), wanted, rate)
