"""Figures of the components as such: weights, overlaps, and means where there are many."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

from pipeline.report.block import Block
from pipeline.report.canvas import FONT, SIZE, drawable, finish, label, new_figure, rules, write
from pipeline.report.csv_links import Link, csv_link, file_name
from pipeline.report.pairs import MANY_COMPONENTS
from pipeline.report.palette import ACCENT, INK, SOFT_INK, color
from pipeline.report.ranking import leading_columns, standardized_means
from pipeline.report.results import Results
from pipeline.report.sentences import strongest_overlaps
from pipeline.report.words import name, plural, share

MAX_MAP_COLUMNS, MAX_MAP_ROWS, MAX_OVERLAP_ROWS, MAX_PRINTED = 40, 200, 2000, 12
CLIP = 2.5
_BLUES = LinearSegmentedColormap.from_list("overlap", ["#f3f6f8", "#cfe0ec", "#6ea3c6", ACCENT])
# Brown and blue are told apart by every eye; white is the overall mean.
_SIDES = LinearSegmentedColormap.from_list(
    "means", ["#7a4a0c", "#c79a5b", "#f3e6d2", "#ffffff", "#d7e5ef", "#6ea3c6", "#0d4d77"]
)


def weights_block(results: Results) -> Block:
    """Return the weight of each component beside its share of the labels."""
    components = results.components
    K = len(components)
    weights = np.array([component.weight for component in components])
    labels = np.array([component.rows for component in components]) / max(results.n_labelled, 1)
    if K <= MANY_COMPONENTS:
        figure, axes = new_figure(4.9, max(1.6, 0.55 + 0.25 * K))
        _bars(axes, results, weights, labels)
    else:
        figure, axes = new_figure(4.9, 3.6)
        axes.bar(np.arange(K), np.nan_to_num(weights), width=1.0, color="#8aa3b8")
        label(axes, "component", "weight")
        rules(axes, "y")
    caption = (
        "A weight is the share of the population that belongs to a component, not the height or "
        "the width of a peak."
    )
    if K <= MANY_COMPONENTS:
        caption += " Black marks: the share of the rows that carry its label."
        if results.meaning is not None and results.meaning.has_intervals:
            caption += " Whiskers: 95 % intervals of the weights."
    low, high = _intervals(results)
    header = ("component", "weight", "rows", "weight_low", "weight_high")
    rows = [
        (c.number, c.weight, c.rows, float(a), float(b))
        for c, a, b in zip(components[:MAX_OVERLAP_ROWS], low, high, strict=False)
    ]
    link = csv_link("CSV", file_name(results.run.name, "weights"), header, rows)
    return Block("Weights", caption, finish(figure), (link,))


def _intervals(results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the intervals of the weights, nan where there are none."""
    if results.meaning is None:
        none = np.full(len(results.components), np.nan)
        return none, none
    return results.meaning.weight_low, results.meaning.weight_high


def _bars(axes: Axes, results: Results, weights: np.ndarray, labels: np.ndarray) -> None:
    places = np.arange(len(weights))
    colors = [color(component.number) for component in results.components]
    axes.barh(places, np.nan_to_num(weights), height=0.62, color=colors)
    axes.vlines(labels, places - 0.38, places + 0.38, color=INK, linewidth=1.4)
    low, high = _intervals(results)
    some = np.isfinite(low) & np.isfinite(high)
    axes.hlines(places[some], low[some], high[some], color=SOFT_INK, linewidth=1.2)
    for ends in (low, high):
        axes.vlines(ends[some], places[some] - 0.16, places[some] + 0.16, color=SOFT_INK)
    reach = np.fmax(np.maximum(np.nan_to_num(weights), labels), high)
    for place, end, weight in zip(places, reach, weights, strict=True):
        text = "  " + share(float(weight)).replace("\u202f", " ")
        look = {"va": "center", "color": SOFT_INK, "fontsize": SIZE - 0.5}
        write(axes, float(end), float(place), text, **look)
    axes.set_yticks(places, [str(component.number) for component in results.components])
    axes.set_ylim(len(weights) - 0.4, -0.6)
    axes.set_xlim(0, max(float(reach.max()) * 1.16, 1e-9))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    label(axes, "weight", "component")


def overlap_block(results: Results) -> Block | None:
    """Return the overlap of every pair of components."""
    K = len(results.components)
    if K < 2:
        return None
    side = min(2.8 + 0.2 * K, 4.9)
    figure, axes = new_figure(side, side * 0.86)
    shown = np.clip(np.nan_to_num(results.overlap.astype(np.float64)), 0, 1)
    image = axes.imshow(_without_diagonal(shown), cmap=_BLUES, vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SIZE - 1, labelcolor=SOFT_INK, length=0, labelfontfamily=FONT)
    _number_axes(axes, [component.number for component in results.components], "xy")
    if K <= MANY_COMPONENTS:
        _separate_cells(axes, K)
    if K <= MAX_PRINTED:
        _print_values(axes, shown)
    caption = (
        "Bhattacharyya coefficient of each pair: 0 apart, 1 the same. Above 0.6 two components "
        f"of equal size show a single peak. {_strongest(results)}"
    )
    return Block("Which components overlap", caption, finish(figure), (_overlap_link(results),))


def _without_diagonal(values: np.ndarray) -> np.ndarray:
    return np.ma.masked_where(np.eye(len(values), dtype=bool), values)


def _number_axes(axes: Axes, numbers: list[int], which: str) -> None:
    step = max(1, -(-len(numbers) // 25))
    places = list(range(0, len(numbers), step))
    names = [str(numbers[place]) for place in places]
    for letter in which:
        getattr(axes, f"set_{letter}ticks")(places, names)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    label(axes, "component", "component")


def _separate_cells(axes: Axes, how_many: int) -> None:
    for place in np.arange(how_many - 1) + 0.5:
        axes.axhline(place, color="white", linewidth=1.2)
        axes.axvline(place, color="white", linewidth=1.2)


def _print_values(axes: Axes, values: np.ndarray) -> None:
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if i != j and value >= 0.005:
                tone = "white" if value > 0.6 else INK
                look = {"ha": "center", "va": "center", "color": tone, "fontsize": SIZE - 1.5}
                write(axes, j, i, f"{value:.2f}".lstrip("0") or "0", **look)


def _strongest(results: Results) -> str:
    pairs = strongest_overlaps(results, 0.005)[:3]
    if not pairs:
        return "No pair overlaps."
    return "Strongest: " + ", ".join(f"{a} and {b} ({value:.2f})" for a, b, value in pairs) + "."


def _overlap_link(results: Results) -> Link:
    pairs = strongest_overlaps(results, 0.0, MAX_OVERLAP_ROWS)
    header = ("component_a", "component_b", "bhattacharyya")
    return csv_link("CSV", file_name(results.run.name, "overlap"), header, pairs)


def means_block(results: Results, hero: bool) -> Block:
    """Return the means of many components as a heat map, the leading columns first."""
    columns = leading_columns(results.components, MAX_MAP_COLUMNS)
    values = standardized_means(results.components)[:MAX_MAP_ROWS, columns]
    K, D = values.shape
    width, height = min(9.8, 3.2 + 0.2 * max(D, 12)), min(8.5, 1.6 + 0.1 * max(K, 12))
    figure, axes = new_figure(*((6.5, 5.2) if hero else (width, height)))
    image = axes.imshow(values, cmap=_SIDES, vmin=-CLIP, vmax=CLIP, aspect="auto")
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SIZE - 1, labelcolor=SOFT_INK, length=0, labelfontfamily=FONT)
    _number_axes(axes, [c.number for c in results.components[:MAX_MAP_ROWS]], "y")
    names = [drawable(results.source.columns[column].name, 16) for column in columns]
    axes.set_xticks(range(D), names, rotation=90, parse_math=False, fontsize=SIZE - 1.5)
    label(axes, "", "component")
    caption = (
        "Mean of each component, as the distance from the overall mean in standard deviations of "
        f"the column (blue above, brown below). {_extent(results, K, D)}"
        "The table and the CSV are in source units."
    )
    return Block("Means", caption, finish(figure), (component_link(results),))


def _extent(results: Results, rows: int, columns: int) -> str:
    K, D = len(results.components), len(results.source.columns)
    words = ""
    if columns < D:
        words = f"{plural(columns, 'column')} of {D:,}, the best separating first. "
    return words + (f"The first {rows:,} of {K:,} components. " if rows < K else "")


def component_link(results: Results) -> Link:
    """Return the components in source units as CSV: all columns as far as the page can carry."""
    limit = max(1, 9000 // max(1, min(len(results.components), 1500)))
    columns = leading_columns(results.components, limit)
    names = [name(results.source.columns[column].name) for column in columns]
    header = ["component", "weight", "rows", "probability", "entropy", "partner", "overlap"]
    header += [f"mean {text}" for text in names] + [f"std {text}" for text in names]
    rows = []
    for c in results.components[:1500]:
        partner = "" if c.partner is None else c.partner
        head = [c.name or c.number, c.weight, c.rows, c.probability, c.entropy, partner, c.overlap]
        rows.append([*head, *map(float, c.mean[columns]), *map(float, c.std[columns])])
    return csv_link("components (CSV)", file_name(results.run.name, "components"), header, rows)
