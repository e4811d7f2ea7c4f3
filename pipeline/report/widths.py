"""Widths of the components, and what they would be if nobody knew of the errors."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.csv_links import Link, csv_link, file_name
from pipeline.report.ranking import leading_columns
from pipeline.report.results import Results
from pipeline.report.tables import MAX_COLUMNS, MAX_ROWS, Mark, mark
from pipeline.report.words import name, number

MAX_CSV_ROWS = 2000


@dataclass(frozen=True)
class WidthTable:
    """Widths by component: heads are (name, unit), cells (width, width that ignores errors)."""

    heads: tuple[tuple[str, str], ...]
    lines: tuple[tuple[Mark, tuple[tuple[str, str], ...]], ...]
    errors: tuple[str, ...]
    note: str
    link: Link


def width_table(results: Results) -> WidthTable | None:
    """Return the widths of both fits; None where rows have no errors."""
    widths = results.widths
    if widths is None:
        return None
    columns = leading_columns(results.components, MAX_COLUMNS)
    facts = [results.source.columns[column] for column in columns]
    lines = tuple(
        (mark(c.number), tuple((number(c.std[j], 3), number(std[j], 3)) for j in columns))
        for c, std in zip(results.components[:MAX_ROWS], widths.std, strict=False)
    )
    return WidthTable(
        tuple((name(fact.name, 40), name(fact.unit, 16)) for fact in facts),
        lines,
        tuple(number(widths.error[j], 3) if widths.error[j] else "exact" for j in columns),
        _note(results, columns),
        _link(results),
    )


def _note(results: Results, columns: list[int]) -> str:
    assert results.widths is not None
    words = (
        "Standard deviation of the true values, the errors taken off; in brackets what a fit that "
        "takes the values as exact finds (as many components of the same type, begun at the "
        "chosen ones): it contains the errors, and its components may hold other rows. Below, the "
        "root mean square error of each column. "
    )
    if not results.widths.converged:
        words += "The fit in brackets had not converged when it was ended. "
    if len(columns) < len(results.source.columns):
        words += f"{len(columns)} of {len(results.source.columns):,} columns. "
    return words.strip()


def _link(results: Results) -> Link:
    widths = results.widths
    assert widths is not None
    names = [name(column.name) for column in results.source.columns]
    header = ("component", "column", "std", "std_errors_ignored", "rms_error")
    rows = [
        (c.number, names[j], float(c.std[j]), float(std[j]), float(widths.error[j]))
        for c, std in zip(results.components, widths.std, strict=True)
        for j in range(len(names))
    ]
    filename = file_name(results.run.name, "widths")
    return csv_link("widths (CSV)", filename, header, rows[:MAX_CSV_ROWS])


def width_lines(results: Results) -> list[list[str]]:
    """Return both widths of each component as cells, heads first; none without errors.

    For a terminal: as many columns as fit.
    """
    widths = results.widths
    if widths is None:
        return []
    columns = leading_columns(results.components, 4)
    lines = [["", *(name(results.source.columns[j].name, 24) for j in columns)]]
    for c, std in zip(results.components[:MAX_ROWS], widths.std, strict=False):
        cells = [f"{number(c.std[j], 3)} ({number(std[j], 3)})" for j in columns]
        lines.append([str(c.number), *cells])
    return lines
