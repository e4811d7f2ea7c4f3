"""A drawing surface: figures of one look, turned into pictures that a page can carry.

Nothing here touches pyplot or matplotlib's global settings; every text is plain, because a column
may be called ``$x`` and must not be read as mathematics.
"""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import FuncFormatter

from pipeline.report.palette import GRID, INK, LINE, SOFT_INK
from pipeline.report.words import name

FONT = "DejaVu Sans"  # comes with matplotlib, so figures look alike on every machine
SIZE = 9.0
MAX_SVG = 90_000
PNG_DPI = 150
_ID = re.compile(r'\bid="([^"]+)"')
_USE = re.compile(r'(xlink:href="#|url\(#)([^")]+)')
# A thousandth of a point is enough; base64, which has no dot, stays as it is.
_LONG = re.compile(r"(\d\.\d{3})\d+")
_COMMENT = re.compile(r"<!--.*?-->\s*", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


@dataclass(frozen=True)
class Picture:
    """An image as a data: address, with its size in CSS pixels."""

    uri: str
    width: int
    height: int


def new_figure(width: float, height: float, **grid: Any) -> tuple[Figure, Any]:
    """Return a figure of so many inches and its axes (an array of them for a grid).

    Parameters
    ----------
    width, height : float
    **grid
        Of `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), dpi=96, facecolor="white", layout="constrained")
    axes = figure.subplots(**grid)
    for one in figure.axes:
        _calm(one)
    return figure, axes


def _calm(axes: Axes) -> None:
    axes.set_facecolor("white")
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LINE)
        spine.set_linewidth(0.8)
    axes.tick_params(
        color=LINE, labelcolor=SOFT_INK, labelsize=SIZE - 0.5, labelfontfamily=FONT, width=0.8
    )
    axes.grid(visible=False)
    axes.set_axisbelow(True)
    plain_ticks(axes, "xy")


def plain_ticks(axes: Axes, which: str) -> None:
    """Write the numbers of the ticks plainly: 1200000 becomes 1.2e6, without an offset."""
    for letter in which:
        getattr(axes, f"{letter}axis").set_major_formatter(FuncFormatter(tick))


def tick(value: float, _position: int | None = None) -> str:
    """Return the number of a tick."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ""
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.8g}"


def rules(axes: Axes, axis: Literal["x", "y"]) -> None:
    """Draw faint lines across the figure at the ticks of one axis."""
    axes.grid(visible=True, axis=axis, color=GRID, linewidth=0.9, linestyle="-")


def label(axes: Axes, x: str = "", y: str = "") -> None:
    """Name the axes."""
    style: dict[str, Any] = {"color": INK, "fontsize": SIZE, "fontfamily": FONT}
    axes.set_xlabel(drawable(x), parse_math=False, **style)
    axes.set_ylabel(drawable(y), parse_math=False, **style)


def write(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Write plain text at a place, in data coordinates unless `transform` says otherwise."""
    look = {"color": INK, "fontsize": SIZE, "fontfamily": FONT, **style}
    axes.text(x, y, drawable(text), parse_math=False, **look)


def drawable(text: str, limit: int = 44) -> str:
    """Return text that the font can draw: unknown signs become a question mark."""
    known = _charmap()
    return "".join(char if ord(char) in known else "?" for char in name(text, limit))


@lru_cache(maxsize=1)
def _charmap() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())


def finish(figure: Figure) -> Picture:
    """Return the figure as SVG, or as PNG where that is smaller than a large SVG.

    The same figure gives the same bytes.
    """
    width, height = figure.get_size_inches() * 96
    kind, data = "svg+xml", _svg(figure)
    if len(data) > MAX_SVG:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DPI, metadata={"Software": None})
        png = buffer.getvalue()
        if len(png) < len(data):
            kind, data = "png", png
    encoded = base64.b64encode(data).decode("ascii")
    return Picture(f"data:image/{kind};base64,{encoded}", round(width), round(height))


def _svg(figure: Figure) -> bytes:
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", dpi=PNG_DPI, metadata=nothing)
    text = _METADATA.sub("", _COMMENT.sub("", buffer.getvalue()))
    return _LONG.sub(r"\1", _renumbered(text)).encode("utf-8")


def _renumbered(svg: str) -> str:
    """Rename the ids in order and drop the unused: matplotlib draws them at random."""
    used = {match[2] for match in _USE.finditer(svg)}
    numbers: dict[str, str] = {}
    for match in _ID.finditer(svg):
        if match[1] in used:
            numbers.setdefault(match[1], f"i{len(numbers)}")
    svg = _ID.sub(lambda m: f'id="{numbers[m[1]]}"' if m[1] in numbers else "", svg)
    return _USE.sub(lambda m: m[1] + numbers[m[2]], svg)
