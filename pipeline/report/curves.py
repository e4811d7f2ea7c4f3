"""Criterion curves: one line per covariance type, the choice marked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline.report.block import Block
from pipeline.report.canvas import FONT, SIZE, drawable, finish, label, new_figure, rules, write
from pipeline.report.csv_links import csv_link, file_name
from pipeline.report.palette import ACCENT, INK, SOFT_INK
from pipeline.report.results import Array, CandidateRow, Results
from pipeline.report.words import CRITERIA, name

MAX_POINTS = 2000
# Greys and one blue, with marks of their own: colours belong to the components.
_LOOKS: dict[str, dict[str, Any]] = {
    "full": {"color": INK, "marker": "o", "linestyle": "-"},
    "tied": {"color": "#6c7a89", "marker": "s", "linestyle": "-"},
    "diag": {"color": "#3f7fae", "marker": "^", "linestyle": "-"},
    "spherical": {"color": "#8aa3b8", "marker": "D", "linestyle": "--"},
}
_OTHER: dict[str, Any] = {"color": SOFT_INK, "marker": "v", "linestyle": ":"}
_TITLES = {"held_out": "Held-out log density per row", "stability": "Stability of the labels"}


def curve_blocks(results: Results) -> list[Block]:
    """Return the curve of the deciding criterion first, then the others that were computed."""
    if len({row.n_components for row in results.candidates}) < 2:
        return []
    wanted = [results.criterion, "held_out", "bic", "icl", "stability"]
    names = [item for item in dict.fromkeys(wanted) if _known(results, item)]
    return [_curve(results, criterion) for criterion in names]


def _known(results: Results, criterion: str) -> bool:
    values = [_value(row, criterion) for row in results.candidates]
    return any(map(math.isfinite, values))


def _value(row: CandidateRow, criterion: str) -> float:
    return float(getattr(row, criterion, math.nan))


def _curve(results: Results, criterion: str) -> Block:
    figure, axes = new_figure(4.9, 3.6)
    types = list(dict.fromkeys(row.covariance_type for row in results.candidates))
    for covariance_type in types:
        rows = [row for row in results.candidates if row.covariance_type == covariance_type]
        _draw_line(axes, rows, criterion)
    _mark_choice(results, axes, criterion)
    label(axes, "number of components", _TITLES.get(criterion, CRITERIA.get(criterion, criterion)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    rules(axes, "y")
    if len(types) > 1:
        _legend(axes)
    words = _TITLES.get(criterion, CRITERIA.get(criterion, criterion))
    title = f"{words} by number of components"
    filename = file_name(results.run.name, criterion.replace("_", "-"))
    rows_out = [_line_of(row, criterion) for row in results.candidates[:MAX_POINTS]]
    beside = "neighbours" if criterion == "stability" else "standard_error"
    header = ("n_components", "covariance_type", criterion, beside)
    link = csv_link("CSV", filename, header, rows_out)
    return Block(title, _caption(results, criterion), finish(figure), (link,))


def _legend(axes: Axes) -> None:
    """Name the lines above the axes, where nothing is drawn."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": 4}
    text: dict[str, Any] = {"prop": {"size": SIZE - 0.5, "family": FONT}, "labelcolor": SOFT_INK}
    legend = axes.legend(frameon=False, borderaxespad=0.1, columnspacing=1.4, **place, **text)
    for entry in legend.get_texts():
        entry.set_parse_math(False)


def _line_of(row: CandidateRow, criterion: str) -> tuple[int, str, float, float]:
    beside = {"held_out": row.held_out_error, "stability": row.stability_neighbours}
    values = (_value(row, criterion), beside.get(criterion, math.nan))
    return (row.n_components, name(row.covariance_type), *values)


def _draw_line(axes: Axes, rows: list[CandidateRow], criterion: str) -> None:
    rows = sorted(rows, key=lambda row: row.n_components)
    look = _LOOKS.get(rows[0].covariance_type, _OTHER)
    ranked = [row for row in rows if row.ranked]
    x, y = _points(ranked, criterion)
    text = drawable(rows[0].covariance_type, 20)
    axes.plot(x, y, markersize=4.2 if len(x) <= 30 else 2, linewidth=1.3, label=text, **look)
    if criterion == "held_out":
        errors = np.nan_to_num(np.array([row.held_out_error for row in ranked]))
        axes.errorbar(x, y, yerr=errors, fmt="none", ecolor=look["color"], elinewidth=0.9)
    if criterion == "stability":
        beside = _points(ranked, "stability_neighbours")
        axes.plot(*beside, linewidth=0.9, linestyle=":", color=look["color"])
        axes.margins(y=0.12)  # 1 is common: the mark of the choice must not lie on the edge
    odd = [row for row in rows if not row.ranked]
    axes.scatter(*_points(odd, criterion), marker="x", s=24, color=look["color"], linewidths=1)


def _points(rows: list[CandidateRow], criterion: str) -> tuple[Array, Array]:
    x = np.array([row.n_components for row in rows], dtype=np.float64)
    y = np.array([_value(row, criterion) for row in rows], dtype=np.float64)
    return x, np.where(np.isfinite(y), y, np.nan)


def _mark_choice(results: Results, axes: Axes, criterion: str) -> None:
    choice = results.choice
    y = _value(choice, criterion)
    if not math.isfinite(y):
        return
    axes.axvline(choice.n_components, color=ACCENT, linewidth=0.9, alpha=0.45, zorder=0)
    ring: dict[str, Any] = {"s": 120, "facecolors": "none", "edgecolors": ACCENT, "linewidths": 2}
    axes.scatter([choice.n_components], [y], zorder=5, **ring)
    right = choice.n_components > np.mean(axes.get_xlim())
    place = {"ha": "right" if right else "left", "va": "top", "color": ACCENT}
    text = f" chosen: {choice.n_components} "
    write(axes, choice.n_components, 0.99, text, transform=axes.get_xaxis_transform(), **place)
    if criterion == "held_out" and results.rule == "one_standard_error":
        _draw_threshold(results, axes)


def _draw_threshold(results: Results, axes: Axes) -> None:
    rows = [row for row in results.candidates if row.ranked and math.isfinite(row.held_out)]
    if rows:
        best = max(rows, key=lambda row: row.held_out)
        level = best.held_out - best.held_out_error
        axes.axhline(level, color=ACCENT, linewidth=0.9, linestyle=(0, (4, 2)))


def _caption(results: Results, criterion: str) -> str:
    better = "Larger" if criterion in ("held_out", "stability") else "Smaller"
    words = f"{better} is better. "
    decides = results.criterion == criterion
    words += "This criterion decided. " if decides else "Shown for comparison. "
    if criterion == "held_out":
        words += "Bars: one standard error. "
        if decides and results.rule == "one_standard_error":
            words += "Dashed: the best value less its standard error; the smallest model above it. "
    if criterion == "stability":
        words += "Mean adjusted Rand index of the labels of the best start with the other starts; "
        words += "dotted: with the best of the next smaller and larger number of components. "
    if decides and criterion == "stability":
        words += "Of those within 0.01 of the largest, the smallest BIC. "
    if criterion in ("icl", "icl_map"):
        words += "ICL is BIC with a penalty for rows between components. "
    if not all(row.ranked for row in results.candidates):
        words += "Crosses: a component collapsed; not ranked. "
    return words.strip()
