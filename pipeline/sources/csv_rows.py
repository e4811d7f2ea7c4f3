"""CSV and its relatives: any delimiter, compressed or not; one file or many with one header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.sources.columns import choose, filter_columns
from pipeline.sources.content import identities
from pipeline.sources.csv_head import HEAD_BYTES, Head, codec, read_head
from pipeline.sources.csv_scan import CsvScan, reading, unreadable
from pipeline.sources.describe import facts, holder
from pipeline.sources.files import File, find_files
from pipeline.sources.ingest import Ingest
from pipeline.sources.pending import PendingTable, opened
from pipeline.sources.spec import SourceSpec
from pipeline.sources.table import Table, values_digest
from pipeline.sources.trouble import DataError

PLAIN = (".csv", ".tsv", ".txt")
SUFFIXES = tuple(plain + packed for plain in PLAIN for packed in ("", ".gz", ".bz2", ".zst"))


def open_csv(spec: SourceSpec, scratch: Path) -> Table:
    """Open text tables; the first megabyte of each file is read.

    Parameters
    ----------
    spec : SourceSpec
    scratch : Path
        For the rows as they are rewritten for reading by position.

    Raises
    ------
    DataError
        If a file has no header, files differ, or a column is missing or not numeric.
    """
    files = find_files(spec.paths, spec.storage_options, SUFFIXES, "CSV")
    heads = [read_head(file) for file in files]
    name = holder(spec, files)
    sample = _sample(files, heads, spec)
    seen = {field.name: _type_of(field, spec) for field in sample.schema}
    n_rows, exact = _estimate(files, heads, sample.num_rows)
    choice = choose(spec, name, seen, sample.select, n_rows if exact else None)
    tested = filter_columns(spec, name, list(seen))
    types = dict.fromkeys(choice.wide.read, pa.float64())
    types |= {column: _type_of_filter(seen[column]) for column in tested}
    # last, as identifiers must keep all of their digits
    types |= {column: _type_of_label(seen[column]) for column in spec.labels}
    for file, head in zip(files, heads, strict=True):
        _check_names(file, head, files[0], types)
    # the scan travels, the first megabytes need not
    bare = tuple(replace(head, text=b"") for head in heads)
    scan = CsvScan(name, files, bare, types, choice.wide.read, spec.missing_words)
    work = Ingest(scan, spec, choice.wide, np.dtype(np.float64))
    digest = values_digest(spec, choice.columns, identities(files))
    about = facts(spec, "csv", files, n_rows if exact else None, choice.notes)
    return opened(PendingTable(work, digest, about, n_rows, scratch))


def _sample(files: Sequence[File], heads: Sequence[Head], spec: SourceSpec) -> pa.Table:
    """Return the rows of the first megabyte of the first file that has rows."""
    for file, head in zip(files, heads, strict=True):
        table = _leading(file, head, spec)
        if table.num_rows:
            return table
    raise DataError(f"source: {holder(spec, files)} has no rows, only a header")


def _leading(file: File, head: Head, spec: SourceSpec) -> pa.Table:
    text = head.text if head.complete else head.text[: head.text.rfind(b"\n") + 1]
    stream = pa.BufferReader(text)
    try:
        # one block, so that types follow from all of it
        reader = reading(head, stream, spec.missing_words, None, 2 * HEAD_BYTES)
        return reader.read_all()
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return pa.table({name: pa.nulls(0) for name in head.names})
        raise unreadable(file, str(error)) from None


def _type_of(field: Any, spec: SourceSpec) -> pa.DataType:
    # a named column whose first megabyte is empty may hold numbers further on
    named = spec.columns is not None and field.name in spec.columns
    return pa.float64() if named and field.type == pa.null() else field.type


def _type_of_label(kind: pa.DataType) -> pa.DataType:
    return pa.string() if kind in (pa.null(), pa.binary()) else kind


def _type_of_filter(kind: pa.DataType) -> pa.DataType:
    return pa.float64() if kind == pa.null() else _type_of_label(kind)


def _estimate(files: Sequence[File], heads: Sequence[Head], rows_seen: int) -> tuple[int, bool]:
    """Return the number of rows, and whether it is exact."""
    if len(files) == 1 and heads[0].complete:
        return rows_seen, True
    seen = max(1, max(len(head.text) for head in heads))
    # text tables shrink to about a third when compressed
    n_bytes = sum(file.size * (3 if codec(file) else 1) for file in files)
    return max(1, rows_seen * n_bytes // seen), False


def _check_names(file: File, head: Head, first: File, used: Iterable[str]) -> None:
    for name in used:
        if name not in head.names:
            raise DataError(
                f"source.path: {file.shown} has no column {name}, which {first.shown} has; "
                "files of one source need the same columns"
            )
