"""One live line on a terminal, one plain line every ten seconds in a log."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

from gmm_dask import PassDone, passes_left

PLAIN_SECONDS = 10.0


class Progress:
    """A watcher that says how far the fits are.

    Parameters
    ----------
    out : text file
        Standard error as a rule.
    saved : callable
        Returns the time (``time.monotonic``) of the last checkpoint, or None.

    Attributes
    ----------
    shift : float
        Added to log-likelihoods per row, so that they are in source units.
    """

    def __init__(self, out: TextIO, saved: Callable[[], float | None] = lambda: None) -> None:
        self.out = out
        self.saved = saved
        self.line = ""
        self.shift = 0.0
        self._last_plain = -PLAIN_SECONDS
        self._seconds: list[float] = []
        self._live = out.isatty()

    def __call__(self, done: PassDone) -> None:
        """Show one pass."""
        self._seconds = [*self._seconds[-9:], done.seconds]
        self.line = self._text(done)
        if self._live:
            # a longer line would wrap, and be left behind by the next one
            width = shutil.get_terminal_size((200, 24)).columns - 1
            self.out.write(f"\r\x1b[K{self.line[:width]}")
            self.out.flush()
        elif time.monotonic() - self._last_plain >= PLAIN_SECONDS or not done.live:
            self._last_plain = time.monotonic()
            print(self.line, file=self.out, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the live line, so that what follows has a line of its own."""
        if self._live and self.line:
            self.out.write("\n")
            self.out.flush()

    def _text(self, done: PassDone) -> str:
        best = done.best
        where = f"sample of {done.sample:,} rows, " if done.sample else ""
        parts = [f"{where}pass {done.number}", f"{done.live} fits live of {len(done.fits)}"]
        if best.em is not None and best.em.lower_bounds:
            bounds = best.em.lower_bounds
            gain = f" ({bounds[-1] - bounds[-2]:+.1e})" if len(bounds) > 1 else ""
            parts.append(f"best K={best.n_components} {bounds[-1] + self.shift:.4f}/row{gain}")
        each = sum(self._seconds) / len(self._seconds)
        parts.append(f"{each:.2f} s/pass")
        left = None if done.sample else seconds_left(done, each)
        parts.append("time left unknown yet" if left is None else f"{in_words(left)} left")
        saved = self.saved()
        if saved is not None:
            parts.append(f"checkpoint {in_words(time.monotonic() - saved)} ago")
        return " | ".join(parts)


def seconds_left(done: PassDone, seconds_a_pass: float) -> float | None:
    """Return how long the slowest live fit will still take, None where that cannot be told."""
    live = [fit for fit in done.fits if fit.outcome is None]
    guesses = [
        passes_left(fit.em.lower_bounds, fit.tol, fit.max_iter)
        for fit in live
        if fit.em is not None
    ]
    known = [guess for guess in guesses if guess is not None]
    if live and 2 * len(known) < len(live):
        return None
    return max(known, default=0) * seconds_a_pass


def in_words(seconds: float) -> str:
    """Return a duration such as 4 s, 12 min or 3.5 h."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def say(text: str, out: TextIO | None = None) -> None:
    """Print a line to standard error."""
    print(text, file=out or sys.stderr, flush=True)


def heartbeat_details(done: PassDone | None, seconds_a_pass: float) -> dict[str, Any]:
    """Return what the heartbeat tells of a pass."""
    if done is None:
        return {"pass": 0}
    left = seconds_left(done, seconds_a_pass)
    return {
        "pass": done.number,
        "live": done.live,
        "fits": len(done.fits),
        "seconds_left": None if left is None or done.sample else round(left, 1),
    }
