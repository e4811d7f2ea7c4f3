"""Figures of the rows and of the work: certainty, log density, time of each pass."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pipeline.report.bins import coarser, usable
from pipeline.report.block import Block
from pipeline.report.canvas import finish, label, new_figure, plain_ticks, rules
from pipeline.report.csv_links import Link, csv_link, file_name
from pipeline.report.palette import ACCENT
from pipeline.report.results import Array, Results
from pipeline.report.words import name, plural, share

MAX_PASSES = 600
_BAR, _AMBIGUOUS = "#9db3c5", "#d29a3a"


def probability_block(results: Results) -> Block | None:
    """Return the histogram of the largest responsibility of each row."""
    histogram = results.probability
    if histogram is None or not usable(histogram.edges) or len(results.components) < 2:
        return None
    edges, counts = coarser(histogram.edges, histogram.counts, 0)
    figure, axes = new_figure(4.9, 3.4)
    low = edges[1:] <= results.ambiguous_below + 1e-9
    colors = [_AMBIGUOUS if is_low else _BAR for is_low in low]
    _bars(axes, edges, counts, colors)
    _log_if_wide(axes, counts)
    axes.set_xlim(min(_first(edges, counts), results.ambiguous_below - 0.1), 1.0)
    label(axes, "largest responsibility of a row", "rows")
    caption = (
        f"Gold: the {plural(results.n_ambiguous, 'row')} "
        f"({share(results.n_ambiguous / max(results.n_labelled, 1))}) whose largest responsibility "
        f"is below {results.ambiguous_below:g}: on the fence between components."
    )
    link = _histogram_link(results, "probability", edges, counts)
    return Block("How certain the labels are", caption, finish(figure), (link,))


def log_density_block(results: Results) -> Block | None:
    """Return the histogram of the log density of the rows."""
    histogram = results.log_density
    if histogram is None or not usable(histogram.edges):
        return None
    edges, counts = coarser(histogram.edges, histogram.counts, 0)
    figure, axes = new_figure(4.9, 3.4)
    _bars(axes, edges, counts, [_BAR] * len(counts))
    _log_if_wide(axes, counts)
    label(axes, "log density of a row", "rows")
    note = name(results.source.density_note, 400)
    caption = "Rows far to the left lie where the mixture expects hardly any. " + note
    link = _histogram_link(results, "log-density", edges, counts)
    return Block("How well the mixture covers the rows", caption.strip(), finish(figure), (link,))


def _first(edges: Array, counts: Array) -> float:
    """Return where the first bin with rows begins."""
    filled = np.flatnonzero(counts > 0)
    return float(edges[filled[0]]) if filled.size else float(edges[0])


def _bars(axes: Axes, edges: Array, counts: Array, colors: list[str]) -> None:
    widths = np.diff(edges)
    axes.bar(edges[:-1], np.nan_to_num(counts), width=widths, align="edge", color=colors)
    rules(axes, "y")


def _log_if_wide(axes: Axes, counts: Array) -> None:
    """Take a logarithmic axis where the small bars could not be seen beside the large."""
    positive = counts[counts > 0]
    if positive.size and positive.max() > 100 * np.median(positive):
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7 * float(positive.min()))
        axes.yaxis.set_minor_locator(NullLocator())
        plain_ticks(axes, "y")


def _histogram_link(results: Results, part: str, edges: Array, counts: Array) -> Link:
    rows = [
        (float(low), float(high), float(rows))
        for low, high, rows in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return csv_link("CSV", file_name(results.run.name, part), ("low", "high", "rows"), rows)


def passes_block(results: Results) -> Block | None:
    """Return the seconds and the live fits of each pass."""
    passes = results.passes
    if passes is None or not len(passes.seconds):
        return None
    numbers, seconds, live = _thin(passes.seconds, passes.live_fits)
    figure, (upper, lower) = new_figure(4.9, 3.6, nrows=2, sharex=True)
    upper.plot(numbers, seconds, color=ACCENT, linewidth=1.3)
    upper.set_ylim(bottom=0)
    lower.step(numbers, live, where="mid", color=ACCENT, linewidth=1.3)
    lower.set_ylim(bottom=0)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    lower.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    label(upper, "", "seconds")
    label(lower, "pass", "live fits")
    rules(upper, "y")
    rules(lower, "y")
    step = f" Every {len(passes.seconds) // len(numbers)}th pass is drawn."
    caption = "Time of each pass over the data, and the fits that shared it."
    caption += step if len(numbers) < len(passes.seconds) else ""
    header = ("pass", "seconds", "live_fits")
    rows = [tuple(map(float, row)) for row in zip(numbers, seconds, live, strict=True)]
    link = csv_link("CSV", file_name(results.run.name, "passes"), header, rows)
    return Block("Time of each pass", caption, finish(figure), (link,))


def _thin(seconds: Array, live: Array) -> tuple[Array, Array, Array]:
    places = np.arange(0, len(seconds), max(1, -(-len(seconds) // MAX_PASSES)))
    return places.astype(np.float64) + 1, seconds[places], live[places]
