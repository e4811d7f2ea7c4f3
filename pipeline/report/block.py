"""A figure of the page with its words and its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.canvas import Picture
from pipeline.report.csv_links import Link


@dataclass(frozen=True)
class Block:
    """A figure as the page shows it.

    Parameters
    ----------
    title : str
    caption : str
        What is drawn, in one or two sentences.
    picture : Picture
    links : tuple of Link
        The numbers of the figure as CSV.
    """

    title: str
    caption: str
    picture: Picture
    links: tuple[Link, ...] = ()
