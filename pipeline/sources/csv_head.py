"""The first lines of a text table: its column names, its delimiter, its encoding."""

from __future__ import annotations

import csv
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.sources.columns import check_unique
from pipeline.sources.files import File
from pipeline.sources.trouble import DataError, translated

HEAD_BYTES = 2**20
DELIMITERS = ",;\t|"
CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Head:
    """What the first lines tell.

    Parameters
    ----------
    names : tuple of str
        Column names, stripped of blanks.
    delimiter : str
    skip : int
        Lines before the first row: comments (``#``) and the header.
    text : bytes
        The first megabyte, decompressed.
    complete : bool
        Whether `text` is the whole file.
    """

    names: tuple[str, ...]
    delimiter: str
    skip: int
    text: bytes
    complete: bool


def codec(file: File) -> str | None:
    """Return the compression that a file's name states."""
    return next((name for suffix, name in CODECS.items() if file.shown.endswith(suffix)), None)


def open_text(file: File) -> Any:
    """Open a file as a stream of decompressed bytes."""
    stream = pa.OSFile(file.url) if file.is_local else pa.PythonFile(file.open(), "r")
    kind = codec(file)
    return pa.CompressedInputStream(stream, kind) if kind else stream


def read_head(file: File) -> Head:
    """Read the first megabyte of a file.

    Raises
    ------
    DataError
        If the file is empty, is not UTF-8, or its first line holds no column names.
    """
    where = file.shown
    with translated(where, "a CSV file", file.secrets), closing(open_text(file)) as stream:
        text = stream.read(HEAD_BYTES + 1)
    complete, text = len(text) <= HEAD_BYTES, text[:HEAD_BYTES]
    lines = _decode(where, text, complete).splitlines()
    skip = next((i for i, line in enumerate(lines) if line and line[0] != "#"), None)
    if skip is None:
        raise DataError(f"{where} is empty: a header line and rows are needed")
    header = lines[skip]
    delimiter = max(DELIMITERS, key=header.count)
    names = tuple(name.strip() for name in next(csv.reader([header], delimiter=delimiter)))
    if all(is_number(name) for name in names):
        raise DataError(
            f"{where} line {skip + 1} holds numbers where column names are needed; add a header"
        )
    check_unique(where, names)
    return Head(names, delimiter, skip + 1, text, complete)


def _decode(where: str, text: bytes, complete: bool) -> str:
    if text.startswith(_UTF16) or b"\0" in text[:1000]:
        raise DataError(f"{where} is not UTF-8 text (UTF-16, or binary); save it as UTF-8")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not complete and error.start > len(text) - 4:
            return text[: error.start].decode("utf-8-sig")
        line = text.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{where} line {line}: byte 0x{text[error.start]:02x} is not UTF-8; "
            "save the file as UTF-8 (iconv -f latin1 -t utf8)"
        ) from None


def is_number(text: str) -> bool:
    """Return whether a field holds a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
