"""Drawing in a plane of two columns: rows as a grey density, components on top."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.patheffects import withStroke

from pipeline.report.canvas import SIZE, write
from pipeline.report.csv_links import Cell, Link, csv_link
from pipeline.report.palette import color, dashes
from pipeline.report.panels import Contour
from pipeline.report.results import Array

_GREYS = LinearSegmentedColormap.from_list(
    "rows", ["#eef2f5", "#cfd8e0", "#a3b0bc", "#6d7b89", "#414d59"]
)
_HALO = [withStroke(linewidth=2.6, foreground="white")]


def draw_density(axes: Axes, x_edges: Array, y_edges: Array, counts: Array) -> None:
    """Paint the rows per bin in grey on a logarithmic scale; empty bins stay white."""
    positive = counts[counts > 0]
    if not positive.size:
        return
    low, high = float(positive.min()), float(positive.max())
    norm: Normalize = LogNorm(low, high) if high > low else Normalize(0, high)
    shown = np.ma.masked_where(counts <= 0, counts).T
    axes.pcolormesh(x_edges, y_edges, shown, cmap=_GREYS, norm=norm, rasterized=True)


def draw_contour(axes: Axes, contour: Contour) -> None:
    """Draw the closed boundary of a component: firm at one sigma, thin further out."""
    points = finite_points(contour)
    if len(points) < 3:
        return
    closed = np.vstack([points, points[:1]])
    inner = contour.sigma <= 1
    style: dict[str, Any] = {"color": color(contour.component), "solid_joinstyle": "round"}
    axes.plot(
        closed[:, 0],
        closed[:, 1],
        linewidth=1.9 if inner else 1.1,
        alpha=1.0 if inner else 0.8,
        linestyle=_line_style(contour.component),
        **style,
    )


def _line_style(number: int) -> Any:
    offset, pattern = dashes(number)
    return "-" if pattern is None else (offset, pattern)


def draw_number(axes: Axes, number: int, x: float, y: float) -> None:
    """Write the number of a component at its place, in its colour on a white halo."""
    if np.isfinite(x) and np.isfinite(y):
        look: dict[str, Any] = {"ha": "center", "va": "center", "fontweight": "bold"}
        look |= {"path_effects": _HALO, "clip_on": True, "fontsize": SIZE + 1}
        write(axes, x, y, str(number), color=color(number), **look)


def draw_dots(axes: Axes, positions: Array, numbers: list[int]) -> None:
    """Mark the centres of many components by small dots in their colours."""
    colors = [color(number) for number in numbers]
    axes.scatter(
        positions[:, 0], positions[:, 1], s=16, c=colors, edgecolors="white", linewidths=0.6
    )


def finite_points(contour: Contour) -> Array:
    """Return the points that can be drawn."""
    points = np.reshape(contour.points, (-1, 2))
    return points[np.isfinite(points).all(axis=1)]


def density_link(filename: str, x: Array, y: Array, counts: Array, names: tuple[str, str]) -> Link:
    """Return the counts as a CSV table: a line per bin of x, a column per bin of y.

    The first line holds the lower edges of y, the last edge standing alone at its end; the first
    column holds those of x, the last edge standing alone in the last line.
    """
    corner = f"{names[0]} (down) / {names[1]} (across): lower edges"
    rows = [[float(edge), *map(float, row)] for edge, row in zip(x[:-1], counts, strict=True)]
    header: list[Cell] = [corner, *map(float, y)]
    return csv_link("density (CSV)", filename, header, [*rows, [float(x[-1])]])
