"""Reading data: each format gives rows by position, with the identity of each row beside them.

`open_table` is the entrance. A format is one file with an opener, and a line in
`pipeline.sources.formats.FORMATS`.
"""

from __future__ import annotations

from pipeline.sources.filters import parse
from pipeline.sources.formats import FORMATS, open_table
from pipeline.sources.grouped import GroupedTable, LabelsOf
from pipeline.sources.handles import release
from pipeline.sources.spec import NoiseSpec, SourceSpec
from pipeline.sources.table import Reader, Table

__all__ = [
    "FORMATS",
    "GroupedTable",
    "LabelsOf",
    "NoiseSpec",
    "Reader",
    "SourceSpec",
    "Table",
    "open_table",
    "parse",
    "release",
]
