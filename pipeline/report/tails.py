"""The figure of the tails: rows found far out, over rows expected there."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.report.block import Block
from pipeline.report.canvas import finish, label, new_figure, rules, tick
from pipeline.report.csv_links import csv_link, file_name
from pipeline.report.palette import ACCENT, SOFT_INK
from pipeline.report.results import Results

HEADER = ("expected_share", "found_over_expected", "low", "high")


def tails_block(results: Results) -> Block | None:
    """Return how many rows lie beyond the mixture's own density levels; None without a diagnosis.

    A ratio is an effect: with enough rows every mixture fails a test, and few matter.
    """
    tails = results.meaning.tails if results.meaning else None
    if tails is None or not len(tails.share):
        return None
    figure, axes = new_figure(4.9, 3.4)
    drawn = (tails.ratio > 0) & (tails.low > 0) & np.isfinite(tails.high)
    x, y = tails.share[drawn], tails.ratio[drawn]
    axes.axhline(1.0, color=SOFT_INK, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.errorbar(
        x,
        y,
        yerr=np.stack([y - tails.low[drawn], tails.high[drawn] - y]).clip(0),
        fmt="o-",
        color=ACCENT,
        markersize=4,
        linewidth=1.2,
        capsize=3,
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    low = float(min([0.5, *(0.8 * tails.low[drawn])]))
    axes.set_ylim(low, float(max([2.0, *(1.25 * tails.high[drawn])])))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(tick))
    label(axes, "share of the rows that the mixture puts farthest out", "rows found over expected")
    rules(axes, "y")
    caption = (
        "Rows outside the mixture's own density levels, over those expected; bars: 95 % intervals, "
        "the error of the level in them. Above 1: heavier tails than a Gaussian mixture has. "
        f"{_words(tails.ratio[drawn], tails.share[drawn])}"
    )
    rows = [
        tuple(map(float, row))
        for row in zip(tails.share, tails.ratio, tails.low, tails.high, strict=True)
    ]
    link = csv_link("CSV", file_name(results.run.name, "tails"), HEADER, rows)
    return Block("How many rows lie far out", caption, finish(figure), (link,))


def _words(ratio: np.ndarray, share: np.ndarray) -> str:
    if not len(ratio):
        return "No row lies so far out."
    at = int(np.abs(np.log(ratio)).argmax())
    return f"Farthest from 1: {ratio[at]:.3g} times as many beyond the outermost {share[at]:g}."
