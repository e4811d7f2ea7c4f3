"""The figure of one-dimensional data: the histogram under the density of each component."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from pipeline.report.bins import coarser, usable
from pipeline.report.block import Block
from pipeline.report.canvas import finish, label, new_figure, rules
from pipeline.report.csv_links import Link, csv_link, file_name
from pipeline.report.pairs import LARGE, MANY_COMPONENTS, axis_name
from pipeline.report.palette import INK, color
from pipeline.report.panels import Line
from pipeline.report.plane import draw_number
from pipeline.report.results import Array, Results
from pipeline.report.words import name

MAX_POINTS = 400


def line_block(results: Results) -> Block | None:
    """Return the histogram with the components, as densities per source unit."""
    line = results.line
    if line is None or not usable(line.histogram.edges):
        return None
    edges, counts = coarser(line.histogram.edges, line.histogram.counts, 0, 200)
    heights = _density(edges, counts)
    figure, axes = new_figure(*LARGE)
    axes.stairs(heights, edges, fill=True, color="#dbe2e8")
    step = max(1, -(-len(line.grid) // MAX_POINTS))
    grid, densities = line.grid[::step], np.nan_to_num(line.densities[:, ::step])
    axes.plot(grid, densities.sum(axis=0), color=INK, linewidth=1.1)
    if len(results.components) <= MANY_COMPONENTS:
        _draw_components(results, axes, grid, densities)
    unit = results.source.columns[0].unit
    label(axes, axis_name(results, 0), f"density per {unit}" if unit else "density")
    rules(axes, "y")
    axes.set_ylim(bottom=0)
    caption = "Grey: the rows; black: the mixture; colours: weight times density of each component."
    return Block(_title(results), caption, finish(figure), _links(results, line, edges, counts))


def _title(results: Results) -> str:
    return f"Distribution of {name(results.source.columns[0].name, 60)}"


def _density(edges: Array, counts: Array) -> Array:
    total = counts.sum()
    return np.asarray(counts / (np.diff(edges) * (total if total > 0 else 1)))


def _draw_components(results: Results, axes: Axes, grid: Array, densities: Array) -> None:
    for component, density in zip(results.components, densities, strict=True):
        axes.plot(grid, density, color=color(component.number), linewidth=1.8)
        if density.size:
            top = int(density.argmax())
            draw_number(axes, component.number, float(grid[top]), float(density[top]))


def _links(results: Results, line: Line, edges: Array, counts: Array) -> tuple[Link, ...]:
    bins = [
        (float(low), float(high), float(rows))
        for low, high, rows in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    run = results.run.name
    step = max(1, -(-len(line.grid) // MAX_POINTS))
    shown = results.components[:MANY_COMPONENTS]
    header = ("position", *(f"component {component.number}" for component in shown))
    columns = line.densities[: len(shown), ::step].T
    curves = [
        (float(x), *map(float, row)) for x, row in zip(line.grid[::step], columns, strict=True)
    ]
    return (
        csv_link("histogram (CSV)", file_name(run, "histogram"), ("low", "high", "rows"), bins),
        csv_link("densities (CSV)", file_name(run, "densities"), header, curves),
    )
