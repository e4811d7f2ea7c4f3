"""The numbers behind a figure as a CSV file inside the page."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

# A spreadsheet would run a cell that begins like this (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
Cell = str | int | float


@dataclass(frozen=True)
class Link:
    """A download: its words, its file name and its data: address."""

    text: str
    filename: str
    uri: str


def csv_link(
    text: str, filename: str, header: Sequence[Cell], rows: Iterable[Sequence[Cell]]
) -> Link:
    """Return a link to a CSV file that the page itself carries.

    Parameters
    ----------
    text : str
        What the reader clicks on.
    filename : str
    header : sequence of str or number
    rows : iterable of sequences
        Strings and numbers; nan becomes an empty cell.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_cell(item) for item in header])
    writer.writerows([_cell(item) for item in row] for row in rows)
    # Lone surrogates cannot be encoded; names may hold them.
    body = quote(buffer.getvalue(), safe=",+:/()!*=", errors="replace")
    return Link(text, filename, "data:text/csv;charset=utf-8," + body)


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        return "'" + value if value.startswith(_FORMULA) else value
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return ""
    if math.isfinite(value) and value == int(value) and abs(value) < 2**53:
        return str(int(value))
    return f"{value:.8g}"


def file_name(run: str, part: str) -> str:
    """Return a file name that every system takes: letters, digits, dot, dash, underscore."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", run).strip("-.")[:60] or "run"
    return f"{stem}-{part}.csv"
