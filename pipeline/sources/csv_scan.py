"""All rows of text tables, once, in batches of bounded size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc

from pipeline.sources.csv_head import Head, is_number, open_text
from pipeline.sources.files import File
from pipeline.sources.ingest import Chunk, WiderScan
from pipeline.sources.trouble import DataError, first_line, translated

BLOCK_BYTES = 4 * 2**20

_BAD_VALUE = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to .*?: invalid (?:value '(.*)'|(.*))",
    re.DOTALL,
)
_RAGGED = re.compile(
    r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL
)


def reading(
    head: Head,
    stream: Any,
    words: Sequence[str],
    types: Mapping[str, pa.DataType] | None,
    block: int,
) -> Any:
    """Return a batch reader over one file.

    Parameters
    ----------
    head : Head
    stream : file-like
        The decompressed bytes.
    words : sequence of str
        Words that mean missing, besides arrow's own (empty, NA, NaN, null, ...).
    types : mapping, optional
        The columns to read, and their types; default all, with types found in the first block.
    block : int, bytes
    """
    nulls = [*pc.ConvertOptions().null_values, *words]
    return pc.open_csv(
        stream,
        # one thread: only then do errors tell the row, and rows keep their order
        read_options=pc.ReadOptions(
            use_threads=False, block_size=block, skip_rows=head.skip, column_names=list(head.names)
        ),
        parse_options=pc.ParseOptions(delimiter=head.delimiter, newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=types,
            include_columns=list(types or ()),
            null_values=nulls,
            strings_can_be_null=True,
        ),
    )


@dataclass(frozen=True, eq=False)
class CsvScan:
    """A `Scan` over text tables.

    Parameters
    ----------
    where : str
    files, heads : tuple of File, tuple of Head
    types : mapping of column to arrow type
        The columns that are read.
    values : tuple of str
        Those of them that must be numbers.
    words : tuple of str
        Words that mean missing.
    """

    where: str
    files: tuple[File, ...]
    heads: tuple[Head, ...] = field(repr=False)
    types: Mapping[str, pa.DataType]
    values: tuple[str, ...]
    words: tuple[str, ...] = ()

    def chunks(self) -> Iterator[Chunk]:
        """Yield one chunk for each block of text."""
        for file, head in zip(self.files, self.heads, strict=True):
            file.verify()
            with translated(file.shown, "a CSV file", file.secrets):
                yield from self._chunks(file, head)

    def _chunks(self, file: File, head: Head) -> Iterator[Chunk]:
        with closing(open_text(file)) as stream:
            batches = self._batches(file, head, stream)
            for batch in batches:
                table = pa.Table.from_batches([batch])
                yield Chunk(table, partial(_itself, table))

    def _batches(self, file: File, head: Head, stream: Any) -> Iterator[pa.RecordBatch]:
        try:
            reader = reading(head, stream, self.words, self.types, BLOCK_BYTES)
            yield from reader
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):
                return
            raise self._explained(file, head, str(error)) from None

    def _explained(self, file: File, head: Head, text: str) -> Exception:
        bad = _BAD_VALUE.search(text)
        if bad is None:
            return unreadable(file, text)
        name, row, value, other = head.names[int(bad[1])], bad[2], bad[3], bad[4]
        if other is not None:
            return DataError(f"{file.shown} line {row}: {name} holds {other}; save it as UTF-8")
        wider = self._wider(name, value)
        if wider is not None:
            return WiderScan(replace(self, types={**self.types, name: wider}))
        return DataError(
            f"source.columns: {file.shown} line {row}: {name} is {value!r}, not a number; correct "
            "it, name it in source.missing_values if it means missing, or leave the column out"
        )

    def _wider(self, name: str, value: str) -> pa.DataType | None:
        """Return a type that holds a value which that of the first rows does not."""
        narrow = self.types[name] != pa.float64()
        if name in self.values:
            return pa.float64() if narrow and is_number(value) else None
        whole = value.strip().lstrip("+-").isdigit()
        # whole numbers too large for 64 bits are identifiers, and keep their digits as text
        number = pa.types.is_integer(self.types[name]) and is_number(value) and not whole
        return pa.float64() if number else pa.string()


def unreadable(file: File, text: str) -> DataError:
    """Make the error for text that is not a table."""
    ragged = _RAGGED.search(text)
    if ragged is None:
        return DataError(f"{file.shown}: not a CSV table ({first_line(ValueError(text))})")
    line, expected, got, row = ragged.groups()
    row = row if len(row) <= 80 else row[:80] + " ..."
    return DataError(
        f"{file.shown} line {line} has {got} fields, the header has {expected}: {row!r} "
        "(blank lines are not counted)"
    )


def _itself(table: pa.Table) -> pa.Table:
    return table
