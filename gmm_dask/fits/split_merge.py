"""`SplitMerge`: tries a few moves at a time from a finished fit, and keeps what raises it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gmm_dask.fits.base import Outcome
from gmm_dask.fits.moves import propose
from gmm_dask.fits.squarem import Squarem
from gmm_dask.folds.overlap import Overlap, OverlapSums
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture, log_prior
from gmm_dask.stats import Fold, batch


@dataclass(frozen=True)
class SplitMerge:
    """Rounds of moves from a converged mixture; the candidates of a round share their passes.

    A round asks for the overlap of the components, runs a few candidates for `passes` passes, and
    goes on with the best alone to its end if it is better than the incumbent by more than `tol`
    a row. The first round without such a candidate is the last. With the defaults a round costs
    about 180 E-steps, in 31 passes; meant for a sample in memory.

    Parameters
    ----------
    mixture : Mixture
        The incumbent. Its log-likelihood never falls.
    tol : float
        Log-likelihood per row, of EM and of an improvement.
    max_iter : int
        Passes of one candidate.
    rows : RowShare, optional
    candidates : int
        Moves tried in a round.
    passes : int
        Passes after which the candidates of a round are compared.
    rounds : int
        Rounds left.
    trials : tuple of Squarem
        Candidates at work; none while the overlap is asked for.
    n_rows : float
        Rows seen.
    lower_bounds : tuple of float
        Log-likelihood per row of the incumbents so far, log priors added where there are any.
    accepted : int
        Moves that were kept.
    n_iter : int
        Passes so far, each of all candidates alive.
    outcome : Outcome, optional
        CONVERGED: no candidate was better. MAX_ITER: the last round was.
    """

    mixture: Mixture
    tol: float
    max_iter: int
    rows: RowShare | None = None
    candidates: int = 6
    passes: int = 30
    rounds: int = 10
    trials: tuple[Squarem, ...] = ()
    n_rows: float = 0.0
    lower_bounds: tuple[float, ...] = ()
    accepted: int = 0
    n_iter: int = 0
    outcome: Outcome | None = None

    @property
    def lower_bound(self) -> float:
        """Log-likelihood per row of the incumbent, -inf before the first pass."""
        return self.lower_bounds[-1] if self.lower_bounds else float("-inf")

    def ask(self) -> Fold[Any, Any, Any]:
        """Return the overlap of the incumbent, or the E-steps of the candidates."""
        if not self.trials:
            return Overlap(self.mixture, self.rows)
        return batch([trial.ask() for trial in self.trials if trial.outcome is None])

    def tell(self, answer: Any) -> SplitMerge:
        """Return the state after the answer."""
        told = replace(self, n_iter=self.n_iter + 1)
        if not self.trials:
            return told._proposed(answer)
        answers = iter(answer)
        trials = tuple(
            trial if trial.outcome is not None else trial.tell(next(answers))
            for trial in self.trials
        )
        if any(trial.outcome is None for trial in trials):
            return replace(told, trials=trials)
        return told._judged(trials)

    def _proposed(self, sums: OverlapSums) -> SplitMerge:
        n_rows = float(sums.n_rows)
        bound = (float(sums.log_likelihood) + log_prior(self.mixture)) / n_rows
        bounds = (*self.lower_bounds[: self.accepted], bound)
        passes = min(self.passes, self.max_iter)
        moves = propose(self.mixture, sums, self.candidates)
        trials = tuple(Squarem(move, self.tol, passes, self.rows) for move in moves)
        outcome = None if trials else Outcome.CONVERGED
        return replace(self, trials=trials, n_rows=n_rows, lower_bounds=bounds, outcome=outcome)

    def _judged(self, trials: tuple[Squarem, ...]) -> SplitMerge:
        """Return the state with the best candidate kept, running on, or none at all."""
        sound = [trial for trial in trials if self._is_sound(trial)]
        best = max(sound, key=lambda trial: trial.lower_bounds[-1], default=None)
        if best is None or best.lower_bounds[-1] <= self.lower_bound + self.tol:
            return replace(self, trials=(), outcome=Outcome.CONVERGED)
        further = best.extended(self.tol, self.max_iter)
        if further.outcome is None:
            return replace(self, trials=(further,))
        return replace(
            self,
            mixture=best.mixture,
            trials=(),
            lower_bounds=(*self.lower_bounds, best.lower_bounds[-1]),
            accepted=self.accepted + 1,
            rounds=self.rounds - 1,
            outcome=Outcome.MAX_ITER if self.rounds <= 1 else None,
        )

    def _is_sound(self, trial: Squarem) -> bool:
        """Return whether a candidate has not won by a component that collapsed.

        It has no more components on the floor, or of fewer rows than columns and one more, than
        the incumbent.
        """
        if trial.outcome is Outcome.DEGENERATE or not trial.lower_bounds:
            return False
        return self._collapsed(trial.mixture) <= self._collapsed(self.mixture)

    def _collapsed(self, mixture: Mixture) -> int:
        few = mixture.pooled * self.n_rows < mixture.n_columns + 1
        return int(few.sum()) + len(mixture.family.check(mixture.params))
