"""The only loop: collect what the live fits ask, one pass over the data, tell each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from gmm_dask.blocks import Source
from gmm_dask.engine.base import Engine
from gmm_dask.fits.base import Fit
from gmm_dask.fits.restart import Restart
from gmm_dask.stats import batch

Fits = tuple[Restart, ...]
Search = Callable[[Fits], Fits]
AnyFit = TypeVar("AnyFit", bound=Fit)


class PassDone(NamedTuple):
    """What watchers learn after each pass."""

    number: int
    """Passes of the loop so far, those before a resume included."""
    fits: Fits
    seconds: float
    """Wall time of this pass."""
    sample: int | None = None
    """Rows of the sample that the pass went over; None for all rows."""

    @property
    def live(self) -> int:
        """Fits still running."""
        return sum(fit.outcome is None for fit in self.fits)

    @property
    def best(self) -> Restart:
        """The fit with the largest log-likelihood per row among those not dropped."""
        return max(self.fits, key=lambda fit: (fit.dropped is None, fit.lower_bound))


Watch = Callable[[PassDone], None]


class Driven(NamedTuple):
    """Where `drive` came to."""

    fits: Fits
    number: int
    """Passes done."""
    interrupted: bool = False


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during `drive`; carries the fits as of the last whole pass.

    Parameters
    ----------
    fits : tuple of Restart
    number : int
        Passes done.
    """

    def __init__(self, fits: Fits, number: int) -> None:
        super().__init__(f"interrupted after pass {number}")
        self.fits = fits
        self.number = number


def keep_all(fits: Fits) -> Fits:
    """Return the fits as they are: the search that drops nothing."""
    return fits


def drive(
    fits: Sequence[Restart],
    engine: Engine,
    source: Source,
    search: Search = keep_all,
    watch: Sequence[Watch] = (),
    number: int = 0,
    sample: int | None = None,
) -> Driven:
    """Run all fits to their outcomes, in shared passes.

    Parameters
    ----------
    fits : sequence of Restart
    engine : Engine
    source : Source
    search : callable
        Decisions across fits after each pass, such as dropping a loser.
    watch : sequence of callables
        Called with a `PassDone` after each pass: progress, checkpoints.
    number : int
        Passes already done, after a resume.
    sample : int, optional
        Rows of the source, where it is a sample; for the watchers.

    Raises
    ------
    Interrupted
        On Ctrl-C, with the fits as of the last whole pass.
    """
    state = tuple(fits)
    try:
        while any(fit.outcome is None for fit in state):
            began = time.perf_counter()
            state = search(one_pass(state, engine, source))
            number += 1
            for watcher in watch:
                watcher(PassDone(number, state, time.perf_counter() - began, sample))
    except KeyboardInterrupt as error:
        raise Interrupted(state, number) from error
    return Driven(state, number)


def one_pass(fits: tuple[AnyFit, ...], engine: Engine, source: Source) -> tuple[AnyFit, ...]:
    """Return the fits after one pass in which every live one is told what it asked."""
    live = [fit for fit in fits if fit.outcome is None]
    answered: tuple[Any, ...] = engine.fold(batch([fit.ask() for fit in live]), source)
    answers = iter(answered)
    return tuple(fit if fit.outcome else fit.tell(next(answers)) for fit in fits)
