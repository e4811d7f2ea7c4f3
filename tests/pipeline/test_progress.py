"""The progress line: one live line on a terminal, a plain one every ten seconds in a log."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from gmm_dask import ArraySource, Grid, LocalEngine, PassDone, run_grid
from pipeline import progress
from pipeline.progress import Progress, heartbeat_details, in_words, seconds_left
from tests.strategies import clusters


@pytest.fixture(scope="module")
def passes() -> list[PassDone]:
    """All passes of a small grid."""
    seen: list[PassDone] = []
    source = ArraySource(clusters(800, K=3, seed=2, apart=3.0)[0])
    grid = Grid((2, 3), n_init=2, init_params="random_from_data", tol=1e-6)
    run_grid(source, grid, LocalEngine(1), watch=[seen.append])
    assert len(seen) > 5
    return [done._replace(seconds=0.5) for done in seen]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_pass_fits_best_speed_and_time_left(passes: list[PassDone]) -> None:
    out = io.StringIO()
    show = Progress(out, lambda: time.monotonic() - 12.2)
    show.shift = -100.0
    for done in passes:
        show(done)
    done = passes[-2]
    show(done)
    best = done.best
    assert best.em is not None
    parts = show.line.split(" | ")
    assert parts[0] == f"pass {done.number}"
    assert parts[1] == f"{done.live} fits live of 4"
    assert parts[2].startswith(f"best K={best.n_components} {best.lower_bound - 100:.4f}/row (+")
    assert parts[3] == "0.50 s/pass"
    assert parts[4].endswith(" left")
    assert parts[5] == "checkpoint 12 s ago"


def test_a_log_gets_the_first_line_then_one_in_ten_seconds_and_the_last(
    passes: list[PassDone], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    with Progress(out) as show:
        for done in passes[:-1] * 3:
            show(done)
            clock[0] += 1.0
        show(passes[-1])
    lines = out.getvalue().splitlines()
    n = 3 * (len(passes) - 1)
    assert len(lines) == -(-n // 10) + 1
    assert lines[-1].startswith(f"pass {passes[-1].number} | 0 fits live of 4")
    assert "\r" not in out.getvalue()


def test_a_terminal_has_one_line_no_wider_than_itself(
    passes: list[PassDone], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    with Progress(out) as show:
        for done in passes:
            show(done)
    shown = out.getvalue().split("\r\x1b[K")[1:]
    assert len(shown) == len(passes)
    assert all(len(line.rstrip("\n")) <= 39 for line in shown)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\n")


def test_the_line_ends_when_an_error_does(passes: list[PassDone]) -> None:
    out = Terminal()
    with pytest.raises(RuntimeError), Progress(out) as show:
        show(passes[0])
        raise RuntimeError
    assert out.getvalue().endswith("\n")
    silent = Terminal()
    with Progress(silent):
        pass
    assert silent.getvalue() == ""


def test_time_left_is_that_of_the_slowest_fit(
    passes: list[PassDone], monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses = iter([3.0, None, 8.0, 5.0])
    monkeypatch.setattr(progress, "passes_left", lambda *_: next(guesses))
    assert passes[1].live == 4
    assert seconds_left(passes[1], 0.5) == 4.0
    guesses = iter([None, None, None, 5.0])
    monkeypatch.setattr(progress, "passes_left", lambda *_: next(guesses))
    assert seconds_left(passes[1], 0.5) is None  # most of them cannot be told yet
    assert seconds_left(passes[-1], 0.5) == 0.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59, "59 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (5399, "90 min"),
        (9000, "2.5 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_heartbeat(passes: list[PassDone]) -> None:
    assert heartbeat_details(None, 0.0) == {"pass": 0}
    told: dict[str, Any] = heartbeat_details(passes[-1], 0.1)
    assert told == {"pass": passes[-1].number, "live": 0, "fits": 4, "seconds_left": 0.0}
