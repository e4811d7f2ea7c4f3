"""The report: a page and two texts made from a stored value, never from rows.

`Results` is what a run stores. `render` makes the page of it; `chosen_sentence`, `candidates_table`
and `summary_text` make the words that a terminal shows.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.report.console import candidates_table, summary_text, widths_text
from pipeline.report.ranking import leading_columns, leading_pairs
from pipeline.report.results import (
    CandidateRow,
    Column,
    ComponentRow,
    Composition,
    Contour,
    Dropped,
    Embedding,
    Histogram,
    Line,
    OutputFile,
    Pair,
    Passes,
    RestartRow,
    Results,
    Run,
    SourceFacts,
    Widths,
)
from pipeline.report.sentences import chosen_sentence, warning_sentences

__all__ = [
    "CandidateRow",
    "Column",
    "ComponentRow",
    "Composition",
    "Contour",
    "Dropped",
    "Embedding",
    "Histogram",
    "Line",
    "OutputFile",
    "Pair",
    "Passes",
    "RestartRow",
    "Results",
    "Run",
    "SourceFacts",
    "Widths",
    "candidates_table",
    "chosen_sentence",
    "leading_columns",
    "leading_pairs",
    "render",
    "summary_text",
    "warning_sentences",
    "widths_text",
]


def render(results: Results, path: Path) -> Path:
    """Write the report as one self-contained HTML file.

    Parameters
    ----------
    results : Results
    path : Path
        Replaced at once, never seen half written.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ResourceError
        When the file cannot be written.
    """
    # matplotlib takes half a second to import: not for commands that only print.
    from pipeline.report.page import write_page

    return write_page(results, path)
