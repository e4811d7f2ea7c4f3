"""How each restart ended, in a few plain values."""

from __future__ import annotations

from typing import NamedTuple

from gmm_dask.fits.base import Outcome
from gmm_dask.fits.restart import Dropped, Restart
from gmm_dask.mixture import in_order
from gmm_dask.problems import problems_of


class RestartSummary(NamedTuple):
    """How one restart ended."""

    number: int
    """Position among the restarts of its K and covariance type."""
    init: str
    lower_bound: float
    """Log-likelihood per row of its last E-step."""
    n_iter: int
    outcome: str
    problems: tuple[str, ...]
    """Sentences about degenerate components."""
    given_up: Dropped | None = None
    """When and why, if it was."""

    @property
    def degenerate(self) -> bool:
        """Whether a component collapsed: its likelihood says nothing."""
        return bool(self.problems) or self.outcome == Outcome.DEGENERATE.name

    @property
    def dropped(self) -> bool:
        """Whether it was given up: its log-likelihood is that of an unfinished fit."""
        return self.outcome == Outcome.DROPPED.name

    @property
    def fate(self) -> str:
        """When and why it was given up, in words; "" where it was not."""
        if self.given_up is None:
            return ""
        rows, n_iter, behind, leader = self.given_up
        return (
            f"after {n_iter} passes over {rows:,} rows, {behind:.3g} per row behind start {leader}"
        )


def summarise(restart: Restart) -> RestartSummary:
    """Return how a restart ended."""
    assert restart.em is not None
    outcome = restart.em.outcome
    return RestartSummary(
        restart.index,
        restart.init,
        restart.lower_bound,
        restart.em.n_iter,
        outcome.name if outcome else "RUNNING",
        problems_of(in_order(restart.em.mixture)),
        restart.dropped,
    )
