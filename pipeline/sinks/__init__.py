"""Where results go: assignments by row, and single files; written aside, then put in place."""

from __future__ import annotations

from pipeline.sinks.anndata_rows import with_origin
from pipeline.sinks.anndata_what import WriteBack, WrittenBack, needed_outputs
from pipeline.sinks.anndata_writeback import local_source, write_copy, write_in_place
from pipeline.sinks.base import Format, Sink
from pipeline.sinks.digests import sha256_of
from pipeline.sinks.files import write_candidates_csv, write_json_atomic
from pipeline.sinks.layout import Layout, part_rows_for
from pipeline.sinks.records import FileRecord, OutputRecord, PartRecord
from pipeline.sinks.registry import FORMATS, check_target, open_sink, read_output

__all__ = [
    "FORMATS",
    "FileRecord",
    "Format",
    "Layout",
    "OutputRecord",
    "PartRecord",
    "Sink",
    "WriteBack",
    "WrittenBack",
    "check_target",
    "local_source",
    "needed_outputs",
    "open_sink",
    "part_rows_for",
    "read_output",
    "sha256_of",
    "with_origin",
    "write_candidates_csv",
    "write_copy",
    "write_in_place",
    "write_json_atomic",
]
