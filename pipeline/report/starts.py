"""Whether the starts agree, and how the log-likelihood rose pass by pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from pipeline.report.block import Block
from pipeline.report.canvas import finish, label, new_figure, rules, tick
from pipeline.report.csv_links import Cell, Link, csv_link, file_name
from pipeline.report.palette import ACCENT, LINE
from pipeline.report.ranking import best_candidates
from pipeline.report.results import Array, CandidateRow, Results
from pipeline.report.words import name

MAX_TRACES, MAX_TRACE_POINTS, MAX_RESTARTS = 40, 80, 2000
# Differences below this are drawn as this: the same optimum.
SAME = 1e-6
_WIDTH = 0.5


def starts_block(results: Results) -> Block | None:
    """Return how far below the best start of its candidate each start ended."""
    if max(row.n_init for row in results.candidates) < 2 or not any(
        row.restarts for row in results.candidates
    ):
        return None
    figure, axes = new_figure(4.9, 3.6)
    for row in (*(r for r in results.candidates if r is not results.choice), results.choice):
        _draw_starts(axes, row, row is results.choice)
    _scale(axes)
    label(axes, "number of components", "below the best start, per row")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    rules(axes, "y")
    caption = (
        "Each dot is a start: its last log-likelihood per row, below that of the best start with "
        "the same number of components and covariance type. Dots on the lowest line reached the "
        "same optimum. Blue: the chosen candidate."
    )
    if any(start.fate for row in results.candidates for start in row.restarts):
        caption += " Hollow: dropped on the way, at its distance from the leader then."
    return Block("Do the starts agree?", caption, finish(figure), (_starts_link(results),))


def _draw_starts(axes: Axes, row: CandidateRow, chosen: bool) -> None:
    starts = [r for r in row.restarts if math.isfinite(r.lower_bound)]
    ended = [r.lower_bound for r in starts if not r.fate]
    if not ended:
        return
    behind = [r.behind if r.fate else max(ended) - r.lower_bound for r in starts]
    order = np.argsort(behind)
    gaps = np.maximum(np.array(behind)[order], SAME)
    dropped = np.array([bool(r.fate) for r in starts])[order]
    # Spread sideways, or starts at the same optimum would hide each other.
    spread = np.linspace(-_WIDTH / 2, _WIDTH / 2, len(gaps)) if len(gaps) > 1 else np.zeros(1)
    x = row.n_components + spread
    tone, size = (ACCENT, 26) if chosen else ("#9aa8b5", 13)
    look: dict[str, Any] = {"s": size, "alpha": 0.95, "zorder": 3 if chosen else 2}
    axes.scatter(x[~dropped], gaps[~dropped], color=tone, linewidths=0, **look)
    axes.scatter(
        x[dropped], gaps[dropped], facecolors="none", edgecolors=tone, linewidths=0.8, **look
    )


def _scale(axes: Axes) -> None:
    """Make the axis logarithmic, its foot named in words."""
    axes.set_yscale("log")
    top = max(axes.get_ylim()[1], SAME * 100)
    powers = range(-6, math.ceil(math.log10(top)) + 1)
    places = [10.0**power for power in powers]
    names = ["same", *(tick(place) for place in places[1:])]
    axes.set_ylim(SAME * 0.6, top)
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_major_formatter(FixedFormatter(names))
    axes.yaxis.set_minor_locator(NullLocator())


def _starts_link(results: Results) -> Link:
    header = ("n_components", "covariance_type", "start", "init", "log_likelihood_per_row")
    header_end = ("passes", "outcome", "dropped", "problems")
    rows: list[tuple[Cell, ...]] = [
        (
            row.n_components,
            name(row.covariance_type, 20),
            start.number,
            name(start.init, 40),
            start.lower_bound,
            start.n_iter,
            name(start.outcome, 40),
            name(start.fate, 120),
            name(" ".join(start.problems), 200),
        )
        for row in results.candidates
        for start in row.restarts
    ]
    filename = file_name(results.run.name, "starts")
    return csv_link("CSV", filename, (*header, *header_end), rows[:MAX_RESTARTS])


def trace_block(results: Results) -> Block | None:
    """Return the log-likelihood per row after each pass, of each candidate's best start."""
    rows = [row for row in _shown(results) if np.isfinite(row.trace).sum() > 2]
    if not rows:
        return None
    figure, axes = new_figure(4.9, 3.6)
    for row in rows:
        passes, values = _thin(row.trace)
        chosen = row is results.choice
        tone, width = (ACCENT, 2.2) if chosen else (LINE, 1.0)
        axes.plot(passes, values, zorder=3 if chosen else 2, color=tone, linewidth=width)
        axes.scatter(passes[-1:], values[-1:], s=14, zorder=4, color=tone)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    _rise(axes, [row.trace for row in rows])
    label(axes, "pass", "log-likelihood per row")
    rules(axes, "y")
    caption = _trace_caption(results, len(rows))
    return Block("Log-likelihood by pass", caption, finish(figure), (_trace_link(results, rows),))


def _shown(results: Results) -> list[CandidateRow]:
    """Return the chosen candidate last, so that it lies on top, and not too many others."""
    rows = [results.candidates[i] for i in best_candidates(results, MAX_TRACES)]
    return [*(row for row in rows if row is not results.choice), results.choice]


def _thin(trace: Array) -> tuple[Array, Array]:
    """Return pass numbers and values: all of the first passes, some of the later, the last."""
    places = np.arange(len(trace))
    if len(trace) > MAX_TRACE_POINTS:
        some = np.geomspace(1, len(trace), MAX_TRACE_POINTS).round().astype(int) - 1
        places = np.unique(some)
    values = np.where(np.isfinite(trace[places]), trace[places], np.nan)
    return places.astype(np.float64) + 1, values


def _rise(axes: Axes, traces: list[Array]) -> None:
    """Leave out the depth of the first passes, below which nothing later happens."""
    late = np.concatenate([trace[min(2, len(trace) - 1) :] for trace in traces if len(trace)])
    late = late[np.isfinite(late)]
    if late.size and late.max() > late.min():
        margin = 0.06 * (late.max() - late.min())
        axes.set_ylim(late.min() - margin, late.max() + margin)


def _trace_caption(results: Results, shown: int) -> str:
    words = "Best start of each candidate; blue: the chosen one. A flat end means convergence."
    total = len(results.candidates)
    return words if shown >= total else f"{words} {shown} of {total} candidates are drawn."


def _trace_link(results: Results, rows: list[CandidateRow]) -> Link:
    header = ("n_components", "covariance_type", "pass", "log_likelihood_per_row")
    lines = [
        (row.n_components, name(row.covariance_type, 20), int(step), float(value))
        for row in rows
        for step, value in zip(*_thin(row.trace), strict=True)
    ]
    return csv_link("CSV", file_name(results.run.name, "log-likelihood"), header, lines)
