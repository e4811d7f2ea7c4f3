"""The stored value from which a report is made, and nothing else.

A `Results` holds what a run knows about its fit in a size that does not depend on the number of
rows. It goes to and comes from plain JSON, so that a report can be rebuilt without the data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gmm_dask import FormatError
from pipeline.report.codec import from_plain, to_plain
from pipeline.report.meaning import Meaning
from pipeline.report.panels import (
    Composition,
    Contour,
    Embedding,
    Histogram,
    Line,
    Pair,
    Passes,
    Widths,
)
from pipeline.report.parts import (
    Array,
    CandidateRow,
    Column,
    ComponentRow,
    Dropped,
    OutputFile,
    RestartRow,
    RowFact,
    Run,
    SourceFacts,
)
from pipeline.report.shapes import check_shapes

__all__ = [
    "Array",
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
    "RowFact",
    "Run",
    "SourceFacts",
    "Widths",
]

FORMAT = "gmm-dask results"
VERSION = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """Everything that the report shows.

    Parameters
    ----------
    run : Run
    source : SourceFacts
    candidates : tuple of CandidateRow
        In the order of the tables.
    chosen : int
        Position of the chosen one.
    criterion : str
        bic, aic, icl, icl_map, held_out or stability.
    rule : str
        best or one_standard_error.
    components : tuple of ComponentRow
        Of the chosen mixture, in the order of its labels.
    overlap : array of shape (n_components, n_components)
        Bhattacharyya coefficients.
    n_ambiguous : int
        Rows whose largest responsibility is below `ambiguous_below`.
    ambiguous_below : float
    pairs : tuple of Pair
        The leading pairs of columns, the most telling first.
    line : Line or None
        Given when there is a single column.
    probability : Histogram or None
        Of the largest responsibility of each row.
    log_density : Histogram or None
    compositions : tuple of Composition
    embedding : Embedding or None
    passes : Passes or None
    widths : Widths or None
        Of a fit that ignores the errors of the rows, where they have some.
    meaning : Meaning or None
        What a diagnosis found.
    warnings : tuple of str
        Whole sentences, the most important first.

    Raises
    ------
    FormatError
        When the parts do not fit each other.
    """

    run: Run
    source: SourceFacts
    candidates: tuple[CandidateRow, ...]
    chosen: int
    criterion: str
    rule: str
    components: tuple[ComponentRow, ...]
    overlap: Array
    n_ambiguous: int
    ambiguous_below: float = 0.9
    pairs: tuple[Pair, ...] = ()
    line: Line | None = None
    probability: Histogram | None = None
    log_density: Histogram | None = None
    compositions: tuple[Composition, ...] = ()
    embedding: Embedding | None = None
    passes: Passes | None = None
    widths: Widths | None = None
    meaning: Meaning | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_shapes(self)

    @property
    def choice(self) -> CandidateRow:
        """The chosen candidate."""
        return self.candidates[self.chosen]

    @property
    def n_labelled(self) -> int:
        """Rows that carry a label."""
        return sum(component.rows for component in self.components)

    def to_json(self) -> str:
        """Return the value as JSON text: arrays as lists, nan as null, infinities as words."""
        plain = {"format": FORMAT, "version": VERSION, **to_plain(self)}
        return json.dumps(plain, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Results:
        """Read what `to_json` wrote.

        Parameters
        ----------
        text : str or bytes

        Raises
        ------
        FormatError
            When the text is not JSON, is of a newer version, or a part is missing or wrong.
        """
        plain = _envelope(text)
        value = from_plain(cls, plain, "results")
        assert isinstance(value, cls)
        return value


def _envelope(text: str | bytes) -> dict[str, Any]:
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"stored results are not JSON ({error}): run the fit again") from None
    if not isinstance(plain, dict) or plain.pop("format", None) != FORMAT:
        raise FormatError(f"stored results do not carry the word {FORMAT!r}: another file came")
    version = plain.pop("version", None)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"stored results: version {version!r} came, a whole number is needed")
    if version > VERSION:
        raise FormatError(
            f"stored results are of version {version}, this program reads up to {VERSION}: "
            "update gmm-dask"
        )
    return plain
