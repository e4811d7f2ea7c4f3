"""Figures of two columns: the rows as density, the components as one and two sigma boundaries."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from pipeline.report.bins import coarser, frame, usable
from pipeline.report.block import Block
from pipeline.report.canvas import finish, label, new_figure
from pipeline.report.csv_links import Link, csv_link, file_name
from pipeline.report.panels import Contour, Embedding, Pair
from pipeline.report.plane import (
    density_link,
    draw_contour,
    draw_density,
    draw_dots,
    draw_number,
    finite_points,
)
from pipeline.report.results import Array, Results
from pipeline.report.words import count, name, plural, share

# Beyond this many components boundaries hide each other: centres only, and a heat map of the means.
MANY_COMPONENTS = 30
MAX_PAIRS = 6
MAX_POINTS, MAX_CSV_POINTS = 64, 2000
LARGE, SMALL = (5.3, 4.1), (4.9, 4.0)


def pair_blocks(results: Results) -> list[Block]:
    """Return a figure for each of the leading pairs, the first one large."""
    pairs = [pair for pair in results.pairs if usable(pair.x_edges) and usable(pair.y_edges)]
    return [_pair_block(results, pair, i) for i, pair in enumerate(pairs[:MAX_PAIRS])]


def _pair_block(results: Results, pair: Pair, position: int) -> Block:
    x_edges, counts = coarser(pair.x_edges, pair.counts, 0)
    y_edges, counts = coarser(pair.y_edges, counts, 1)
    contours = _thin(results, pair)
    figure, axes = new_figure(*(SMALL if position else LARGE))
    draw_density(axes, x_edges, y_edges, counts)
    corners = [finite_points(contour) for contour in contours if contour.sigma <= 1]
    ends = np.concatenate(corners) if corners else np.empty((0, 2))
    axes.set_xlim(frame(x_edges, counts.sum(axis=1), ends[:, 0]))
    axes.set_ylim(frame(y_edges, counts.sum(axis=0), ends[:, 1]))
    _draw_components(results, pair, contours, axes)
    label(axes, axis_name(results, pair.x), axis_name(results, pair.y))
    caption = _caption(results, counts, _outside(axes, x_edges, y_edges, counts))
    links = _links(results, pair, contours, (x_edges, y_edges, counts), position)
    return Block(_title(results, pair), caption, finish(figure), links)


def _thin(results: Results, pair: Pair) -> list[Contour]:
    """Return the boundaries that are drawn, each of few points."""
    if len(results.components) > MANY_COMPONENTS:
        return []
    thin = []
    for contour in pair.contours:
        step = max(1, -(-len(contour.points) // MAX_POINTS))
        points = contour.points[::step]
        thin.append(Contour(component=contour.component, sigma=contour.sigma, points=points))
    return thin[: 4 * MANY_COMPONENTS]


def _draw_components(results: Results, pair: Pair, contours: list[Contour], axes: Axes) -> None:
    if len(results.components) > MANY_COMPONENTS:
        places = np.array([[c.mean[pair.x], c.mean[pair.y]] for c in results.components])
        draw_dots(axes, places, [c.number for c in results.components])
        return
    for contour in contours:
        draw_contour(axes, contour)
    for component in results.components:
        draw_number(axes, component.number, component.mean[pair.x], component.mean[pair.y])


def axis_name(results: Results, column: int) -> str:
    """Return the name of a column with its unit, for an axis."""
    facts = results.source.columns[column]
    unit = f" [{name(facts.unit, 12)}]" if facts.unit else ""
    return name(facts.name, 28) + unit


def _title(results: Results, pair: Pair) -> str:
    x, y = (name(results.source.columns[i].name, 40) for i in (pair.x, pair.y))
    return f"{y} against {x}"


def _outside(axes: Axes, x: Array, y: Array, counts: Array) -> float:
    """Return the share of rows in bins outside the frame."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    inside_x = (x[1:] > left) & (x[:-1] < right)
    inside_y = (y[1:] > low) & (y[:-1] < high)
    total = counts.sum()
    return float(1 - counts[np.ix_(inside_x, inside_y)].sum() / total) if total > 0 else 0.0


def _caption(results: Results, counts: Array, outside: float) -> str:
    top = counts.max() if counts.size else 0
    words = f"Grey: rows per bin, on a logarithmic scale, up to {count(float(top))}. "
    if len(results.components) > MANY_COMPONENTS:
        words += "Dots: centres of the components."
    else:
        words += "Numbers: components at their means; lines: one and two standard deviations."
    return words + (f" Outside the frame: {share(outside)} of the rows." if outside else "")


def _links(
    results: Results,
    pair: Pair,
    contours: list[Contour],
    grid: tuple[Array, Array, Array],
    position: int,
) -> tuple[Link, ...]:
    names = (results.source.columns[pair.x].name, results.source.columns[pair.y].name)
    stem = f"pair-{position + 1}"
    short = (name(names[0]), name(names[1]))
    density = density_link(file_name(results.run.name, f"{stem}-density"), *grid, short)
    if not contours:
        return (density,)
    step = max(1, -(-sum(len(contour.points) for contour in contours) // MAX_CSV_POINTS))
    rows = [
        (contour.component, contour.sigma, float(x), float(y))
        for contour in contours
        for x, y in finite_points(contour)[::step]
    ]
    lines = csv_link(
        "boundaries (CSV)",
        file_name(results.run.name, f"{stem}-boundaries"),
        ("component", "sigma", *short),
        rows,
    )
    return (density, lines)


def embedding_block(results: Results, space: Embedding) -> Block | None:
    """Return the map that took no part in the fit, with each component at its median."""
    if not (usable(space.x_edges) and usable(space.y_edges)):
        return None
    x, counts = coarser(space.x_edges, space.counts, 0)
    y, counts = coarser(space.y_edges, counts, 1)
    figure, axes = new_figure(*LARGE)
    draw_density(axes, x, y, counts)
    for component, (a, b) in zip(results.components, space.medians, strict=True):
        draw_number(axes, component.number, float(a), float(b))
    names = (f"{name(space.name, 60)} 1", f"{name(space.name, 60)} 2")
    label(axes, *names)
    caption = (
        "The components on a map that took no part in the fit: "
        f"each number stands at the median of its rows ({plural(float(counts.sum()), 'row')})."
    )
    link = density_link(file_name(results.run.name, "embedding"), x, y, counts, names)
    return Block(
        f"On {name(space.name, 60)}", caption, finish(figure), (link, _medians(results, space))
    )


def _medians(results: Results, space: Embedding) -> Link:
    rows = [
        (component.number, float(a), float(b))
        for component, (a, b) in zip(results.components, space.medians, strict=True)
    ]
    filename = file_name(results.run.name, "embedding-medians")
    return csv_link("medians (CSV)", filename, ("component", "x", "y"), rows[:2000])
