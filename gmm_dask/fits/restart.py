"""One restart at one K and covariance type: a start, then EM."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from gmm_dask.fits.base import Outcome
from gmm_dask.fits.daarem import Daarem
from gmm_dask.fits.em import EM
from gmm_dask.fits.given import Given
from gmm_dask.fits.split import split_identical
from gmm_dask.fits.squarem import Squarem
from gmm_dask.fits.starts import Start
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture, with_groups
from gmm_dask.stats import Fold

KINDS: dict[str, type[EM] | type[Squarem] | type[Daarem]] = {
    "": EM,
    "squarem": Squarem,
    "daarem": Daarem,
}


class Dropped(NamedTuple):
    """When and why a restart was given up."""

    rows: int
    """Rows that it saw: those of a sample, or all."""
    n_iter: int
    """Passes of EM over them."""
    behind: float
    """By how much its log-likelihood per row was below the leader's."""
    leader: int
    """Number of the restart that led."""


@dataclass(frozen=True)
class Restart:
    """A start followed by EM.

    Parameters
    ----------
    index : int
        Number of this restart among those of the same K and covariance type.
    init : str
        Name of the start, for reports.
    tol, max_iter : see `EM`
    rows : RowShare, optional
        Training rows.
    start : Start, optional
        None once EM runs.
    em : EM, Squarem or Daarem, optional
    given : Given
    accelerate : {"", "squarem", "daarem"}
        Jump ahead where plain EM is slow; see `Squarem` and `Daarem`.
    dropped : Dropped, optional
        Set where another restart was preferred.
    spread : tuple of str
        Sentences about identical components that were spread.
    """

    index: int
    init: str
    tol: float
    max_iter: int
    rows: RowShare | None = None
    start: Start | None = None
    em: EM | Squarem | Daarem | None = None
    given: Given = field(default_factory=Given)
    accelerate: str = ""
    dropped: Dropped | None = None
    spread: tuple[str, ...] = ()

    @property
    def template(self) -> Mixture:
        """The mixture at hand: that of EM, or that of the start."""
        if self.em is not None:
            return self.em.mixture
        assert self.start is not None
        return self.start.template

    @property
    def n_components(self) -> int:
        """K."""
        return self.template.n_components

    @property
    def covariance_type(self) -> str:
        """Name of the covariance type."""
        return self.template.family.covariance_type

    @property
    def outcome(self) -> Outcome | None:
        """Outcome of EM; None while running."""
        return None if self.em is None else self.em.outcome

    @property
    def n_iter(self) -> int:
        """Passes of EM."""
        return 0 if self.em is None else self.em.n_iter

    @property
    def lower_bound(self) -> float:
        """Log-likelihood per row of the last E-step, -inf before the first."""
        return self.em.lower_bounds[-1] if self.em and self.em.lower_bounds else float("-inf")

    def ask(self) -> Fold[Any, Any, Any]:
        """Return what the start, or EM, wants to know."""
        if self.em is not None:
            return self.em.ask()
        assert self.start is not None
        return self.start.ask()

    def tell(self, answer: Any) -> Restart:
        """Return the restart after the answer."""
        if self.em is not None:
            return replace(self, em=self.em.tell(answer))._parted()
        assert self.start is not None
        following = self.start.tell(answer)
        if isinstance(following, Mixture):
            return self.begin(following)
        return replace(self, start=following)

    def _parted(self) -> Restart:
        """Return the restart, begun again with identical components spread after its first step.

        Not before: the first M-step of a tied model would draw them together again.
        """
        assert self.em is not None
        if self.spread or self.em.n_iter != 1 or self.outcome is not None:
            return self
        if self.em.mixture.family.compound:
            return self
        parted = split_identical(self.em.mixture)
        if not parted.sentences:
            return self
        em = KINDS[self.accelerate](parted.mixture, self.tol, self.max_iter, self.rows)
        return replace(self, em=em, spread=parted.sentences)

    def begin(self, mixture: Mixture) -> Restart:
        """Return the restart with EM beginning at a mixture, given parameters put in place."""
        kind = KINDS[self.accelerate]
        layout = self.rows.layout if self.rows else None
        begun = with_groups(self.given.into(mixture), layout.n_groups if layout else 1)
        em = kind(begun, self.tol, self.max_iter, self.rows)
        return replace(self, start=None, em=em, given=Given())
