"""Parquet: a file, a folder, a glob or a list, with partitions of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.sources.columns import SAMPLE_ROWS, check_unique, choose, filter_columns
from pipeline.sources.content import identities
from pipeline.sources.describe import facts, holder, units_of
from pipeline.sources.files import File, find_files
from pipeline.sources.filters import parse
from pipeline.sources.ingest import Chunk, Ingest
from pipeline.sources.masks import decide
from pipeline.sources.numeric import plain
from pipeline.sources.pending import PendingTable, opened
from pipeline.sources.rowgroups import (
    MAX_GROUP,
    ParquetReader,
    RowGroups,
    open_parquet_file,
    row_groups,
)
from pipeline.sources.spec import SourceSpec
from pipeline.sources.table import Table, row_table, values_digest
from pipeline.sources.trouble import DataError, translated

SUFFIXES = (".parquet", ".pq", ".parq")
BATCH_ROWS = 65_536
MOST_FILES = 1000


@dataclass(frozen=True, eq=False)
class _Footer:
    """What a file says of itself: the types and the rows of each row group."""

    schema: pa.Schema
    sizes: tuple[int, ...]
    nulls: Mapping[str, int | None]
    """Rows without a value of each column that the filter reads; None where it does not tell."""


def open_parquet(spec: SourceSpec, scratch: Path) -> Table:
    """Open parquet files; only footers are read, and integer columns that may be identifiers.

    Parameters
    ----------
    spec : SourceSpec
    scratch : Path
        For the rows that a filter leaves, or row groups too large to be read as one.

    Raises
    ------
    DataError
        If a file is damaged, files differ, or a column is missing or not numeric.
    """
    files = find_files(spec.paths, spec.storage_options, SUFFIXES, "parquet")
    with ThreadPoolExecutor(8) as pool:
        asked = parse(spec.filter).columns if spec.filter else ()
        footers = list(pool.map(partial(_footer, asked), files))
    name, first = holder(spec, files), footers[0].schema
    check_unique(files[0].shown, first.names)
    n_rows = sum(sum(footer.sizes) for footer in footers)
    types = {field.name: field.type for field in first}
    choice = choose(spec, name, types, partial(_sample, files, footers), n_rows)
    tested = filter_columns(spec, name, first.names)
    read = choice.wide.read
    used = tuple(dict.fromkeys((*read, *spec.labels, *tested)))
    schema = _common(files, footers, used, every=spec.columns is None)
    groups = row_groups(files, [footer.sizes for footer in footers], schema)
    dtype = choice.wide.dtype(schema.field(column).type for column in read)
    largest = max((size for footer in footers for size in footer.sizes), default=0)
    huge = largest * 8 * len({*read, *spec.labels}) > MAX_GROUP
    notes = [*choice.notes, *([f"row groups of {largest} rows are cut smaller"] if huge else [])]
    about = facts(spec, "parquet", files, n_rows, notes, units_of(first))
    file_rows = _file_rows(files, footers)
    about |= {"file_rows": [list(pair) for pair in file_rows]} if file_rows else {}
    if spec.filter:
        about["filter_missing"] = _missing_in_filter(spec.filter, footers, schema)
    digest = values_digest(spec, choice.columns, identities(files))
    if spec.filter or huge:
        scan = ParquetScan(name, groups, tested, (*read, *spec.labels))
        work = Ingest(scan, spec, choice.wide, dtype, file_rows)
        return opened(PendingTable(work, digest, about, n_rows, scratch))
    labels = tuple((label, label) for label in spec.labels)
    reader = ParquetReader(groups, read, dtype, labels, n_rows)
    return row_table(spec, reader, choice.wide, dtype, digest, about)


def _file_rows(files: Sequence[File], footers: Sequence[_Footer]) -> tuple[tuple[str, int], ...]:
    """Return the rows of each file, for messages and the manifest; nothing for one or very many."""
    if not 1 < len(files) <= MOST_FILES:
        return ()
    pairs = zip(files, footers, strict=True)
    return tuple((file.shown, sum(footer.sizes)) for file, footer in pairs)


def _footer(asked: Sequence[str], file: File) -> _Footer:
    with (
        translated(file.shown, "a parquet file", file.secrets),
        open_parquet_file(file) as parquet,
    ):
        footer = parquet.metadata
        sizes = tuple(footer.row_group(g).num_rows for g in range(footer.num_row_groups))
        nulls = {name: _nulls(footer, name) for name in asked}
        return _Footer(parquet.schema_arrow, sizes, nulls)


def _nulls(footer: Any, name: str) -> int | None:
    """Return how many rows of a file have no value of a column, where its footer tells."""
    total = 0
    places = [i for i in range(footer.num_columns) if footer.schema.column(i).path == name]
    for g in range(footer.num_row_groups if places else 0):
        statistics = footer.row_group(g).column(places[0]).statistics
        if statistics is None or not statistics.has_null_count:
            return None
        total += statistics.null_count
    return total if places else None


def _missing_in_filter(
    text: str, footers: Sequence[_Footer], schema: pa.Schema
) -> dict[str, dict[str, Any]]:
    """Return for each column of a filter the rows without a value, and what becomes of them."""
    condition, found = parse(text), {}
    for name in condition.columns:
        counts = [footer.nulls.get(name) for footer in footers]
        rows = None if None in counts else sum(count or 0 for count in counts)
        kind = plain(schema.field(name).type)
        floating = pa.types.is_floating(kind)  # NaN are not counted in footers
        # of several columns the others decide too
        alone = len(condition.columns) == 1
        hole = pa.table({name: pa.nulls(1, kind)}) if alone else None
        dropped = None if hole is None else not len(decide(condition, hole).kept)
        told = rows is not None and (rows > 0 or not floating)
        found[name] = {
            "rows": rows if told else None,
            "at_least": floating,
            "dropped": dropped,
        }
    return found


def _sample(files: Sequence[File], footers: Sequence[_Footer], names: Sequence[str]) -> pa.Table:
    """Return leading rows of the first file that has some."""
    file = next((f for f, footer in zip(files, footers, strict=True) if sum(footer.sizes)), None)
    if file is None:
        return footers[0].schema.empty_table().select(list(names))
    with (
        translated(file.shown, "a parquet file", file.secrets),
        open_parquet_file(file) as parquet,
    ):
        batch = next(parquet.iter_batches(SAMPLE_ROWS, columns=list(names)))
    return pa.Table.from_batches([batch]).select(list(names))


def _common(
    files: Sequence[File], footers: Sequence[_Footer], used: Sequence[str], *, every: bool
) -> pa.Schema:
    """Return the types that hold the used columns of all files.

    Raises
    ------
    DataError
        If a file lacks a column, or has another kind of it; `every`: or has one more.
    """
    first = footers[0].schema
    common = pa.schema([_plain(first.field(name)) for name in used])
    for file, footer in zip(files[1:], footers[1:], strict=True):
        for name in used:
            if name not in footer.schema.names:
                raise DataError(
                    f"source.path: {file.shown} has no column {name}, which {files[0].shown} has; "
                    "files of one source need the same columns"
                )
        extra = [name for name in footer.schema.names if name not in first.names]
        if every and extra:
            raise DataError(
                f"source.path: {file.shown} has a column {extra[0]}, which {files[0].shown} "
                "lacks; name the columns that are wanted in source.columns"
            )
        common = _joined(common, footer.schema, file, files[0])
    return common.remove_metadata()


def _plain(field: pa.Field) -> pa.Field:
    """Return a field without dictionary, as each file has a dictionary of its own."""
    return pa.field(field.name, plain(field.type))


def _joined(common: pa.Schema, schema: pa.Schema, file: File, first: File) -> pa.Schema:
    fields = []
    for field in common:
        pair = [pa.schema([field]), pa.schema([_plain(schema.field(field.name))])]
        try:
            fields.append(pa.unify_schemas(pair, promote_options="permissive").field(0))
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            raise DataError(
                f"source.path: column {field.name} is {schema.field(field.name).type} in "
                f"{file.shown}, {field.type} in {first.shown}; files of one source need the "
                "same types"
            ) from None
    return pa.schema(fields)


@dataclass(frozen=True, eq=False)
class ParquetScan:
    """A `Scan` that reads the filter's columns first, the others where a row is kept.

    Parameters
    ----------
    where : str
    groups : RowGroups
    head, body : tuple of str
        Columns of the filter; values and labels.
    """

    where: str
    groups: RowGroups
    head: tuple[str, ...]
    body: tuple[str, ...]

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Common types of the used columns."""
        return {field.name: field.type for field in self.groups.schema}

    def chunks(self) -> Iterator[Chunk]:
        """Yield one chunk for each row group, or batches of one that is too large."""
        width = 8 * len({*self.head, *self.body})
        body = list(dict.fromkeys(self.body))
        both = list(dict.fromkeys((*self.head, *self.body)))
        ends = self.groups.ends
        for index, end in enumerate(ends):
            size = int(end) - (int(ends[index - 1]) if index else 0)
            if self.head and size * width <= MAX_GROUP:
                head = self.groups.group(index, self.head)
                yield Chunk(head, partial(self.groups.group, index, body))
            else:
                for table in self.groups.batches(index, both, BATCH_ROWS):
                    yield Chunk(table, partial(_itself, table))


def _itself(table: pa.Table) -> pa.Table:
    return table
