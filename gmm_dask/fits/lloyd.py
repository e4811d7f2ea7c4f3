"""Lloyd's k-means: the limit of EM for equal weights and one small spherical covariance.

With weights 1/K and covariances ``s^2 I`` responsibilities become one-hot at the nearest mean as
s goes to 0, the M-step becomes the centroid, and ``-2 s^2`` times the log-likelihood the inertia.

References
----------
Lloyd 1982, IEEE Trans. Inf. Theory 28:129; Celeux and Govaert 1992, Comput. Stat. Data Anal.
14:315, section 4 (k-means as a classification EM).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.blocks import BoolArray, FloatArray
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.starts import FromCentres, KMeansParallel, with_means
from gmm_dask.folds.assign import NearestCentre
from gmm_dask.folds.candidates import Candidates, Drawn
from gmm_dask.folds.farthest import FarRows, Farthest
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture

STILL = 2.0**-44
"""Steps of the frame below this are rounding: one row of 1e13 that changes its cluster makes a
larger one, and sums of a cluster's rows are good to 1e-15."""


@dataclass(frozen=True)
class Lloyd:
    """k-means from given centres, or from those of a start.

    Parameters
    ----------
    template : Mixture
        Spherical; its means are the centres.
    tol : float
        Sum over centres of squared steps, frame squared, below which the fit ends.
    max_iter : int
    rows : RowShare, optional
    start : KMeansParallel, optional
        None once its centres are known.
    inertias : tuple of float
        Sum of squared distances at each pass, frame squared: of the centres before their step.
    n_iter : int
        Steps taken.
    ended : Outcome, optional
        Set where centres are final and one more pass gives their inertia.
    emptied : EStepSums, optional
        Sums of a pass in which clusters lost all rows; the farthest rows are asked for.
    outcome : Outcome, optional
        None while running.
    """

    template: Mixture
    tol: float
    max_iter: int
    rows: RowShare | None = None
    start: KMeansParallel | None = None
    inertias: tuple[float, ...] = ()
    n_iter: int = 0
    ended: Outcome | None = None
    emptied: EStepSums | None = None
    outcome: Outcome | None = None

    @property
    def centres(self) -> FloatArray:
        """Centres (K, D) in the frame."""
        return self.template.params.means

    @property
    def inertia(self) -> float:
        """Sum of squared distances to the nearest centre, frame squared; inf before a pass."""
        return self.inertias[-1] if self.inertias else float("inf")

    def ask(self) -> Candidates | NearestCentre | Farthest:
        """Return the next question."""
        if self.start is not None:
            return self.start.ask()
        metric = np.eye(self.template.n_columns)
        if self.emptied is not None:
            return Farthest(self.template, metric, int(self._empty().sum()), self.rows)
        return NearestCentre(self.template, metric, self.rows)

    def tell(self, answer: Drawn | EStepSums | FarRows) -> Lloyd:
        """Return the fit after the answer."""
        if isinstance(answer, Drawn):
            return self._begun(answer)
        if isinstance(answer, FarRows):
            return self._refilled(answer)
        inertia = max(-float(answer.log_likelihood), 0.0)
        told = replace(self, inertias=(*self.inertias, inertia))
        if self.ended is not None:
            return replace(told, outcome=self.ended)
        if (answer.count == 0).any() and inertia > 0:
            return replace(told, emptied=answer)
        return told._stepped(answer.count[0], answer.moments.first)

    def _begun(self, answer: Drawn) -> Lloyd:
        assert self.start is not None
        following = self.start.tell(answer)
        if isinstance(following, FromCentres):
            return replace(self, template=following.template, start=None)
        return replace(self, start=following)

    def _empty(self) -> BoolArray:
        assert self.emptied is not None
        empty: BoolArray = self.emptied.count[0] == 0
        return empty

    def _refilled(self, far: FarRows) -> Lloyd:
        """Return the fit after a step in which the farthest rows begin the clusters without any.

        They leave the clusters that they were in, as in scikit-learn.
        """
        assert self.emptied is not None
        sums, centres = self.emptied, self.centres.copy()
        count, first = sums.count[0].copy(), sums.moments.first.copy()
        for new, old, weight, row in zip(
            np.flatnonzero(self._empty()), far.label, far.weight, far.values, strict=False
        ):
            first[old] -= weight * (row - self.centres[old])
            count[old], count[new] = count[old] - weight, weight
            centres[new] = row
        return replace(self, emptied=None)._moved(centres + mean_steps(count, first))

    def _stepped(self, count: FloatArray, first: FloatArray) -> Lloyd:
        """Return the fit with each centre at the mean of its rows."""
        step = mean_steps(count, first)
        moved = self._moved(self.centres + step)
        if moved.n_iter > 1 and (np.abs(step) <= STILL).all():
            return replace(moved, ended=None, outcome=Outcome.CONVERGED)
        return moved

    def _moved(self, centres: FloatArray) -> Lloyd:
        shift = float(((centres - self.centres) ** 2).sum())
        template, n_iter = with_means(self.template, centres), self.n_iter + 1
        moved = replace(self, template=template, n_iter=n_iter)
        if shift <= self.tol:
            return replace(moved, ended=Outcome.CONVERGED)
        return moved if n_iter < self.max_iter else replace(moved, ended=Outcome.MAX_ITER)


def mean_steps(count: FloatArray, first: FloatArray) -> FloatArray:
    """Return the steps (K, D) to the means of the rows; 0 where there are none."""
    some = count > 0
    steps: FloatArray = np.where(some[:, None], first / np.where(some, count, 1.0)[:, None], 0.0)
    return steps
