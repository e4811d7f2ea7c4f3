"""What tells one state of a file from another: its content, as far as that is cheap to read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from pipeline.sources.files import File
from pipeline.sources.trouble import translated

WHOLE = 4 << 20
"""Bytes up to which a single file is read completely, and what is read of a larger one."""
ALL_FILES = 256 << 20
"""Bytes that are read of all files of a source together, unless they are very many."""
LEAST = 64 << 10
PIECES = 64
FOOTER = 64 << 20
MAGIC = b"PAR1"

Identity = tuple[str, int, str]


def identities(files: Sequence[File]) -> list[Identity]:
    """Return for each file its name, size and a digest of its content, for a fingerprint.

    The time of the last change does not count: a file that is copied, touched or downloaded again
    is the same, and a run goes on with it. Of a local file of at most 4 MiB every byte counts. Of
    a larger one the beginning, the end, 62 pieces spread evenly between them and, for parquet, the
    whole footer with the place, size and statistics of every column are read, 4 MiB in all; of
    each of very many files less, but at least 64 KiB.

    So a change of a large file is missed if it alters neither its size nor any of these pieces: a
    value rewritten in place in a CSV, npy or HDF5 file. Not even the time could tell it surely. A
    source that changes while it is read is noticed in another way (`File.verify`, and the digest
    of the rows of each pass).

    Behind a URL nothing is read: what the store calls the content's tag (or the time of the last
    change, where it has no tag) counts.

    Parameters
    ----------
    files : sequence of File

    Raises
    ------
    DataError, ResourceError
        A file is gone, or cannot be read.
    """
    share = min(max(ALL_FILES // max(len(files), 1), LEAST), WHOLE)
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda file: _identity(file, share), files))


def _identity(file: File, share: int) -> Identity:
    name = Path(file.shown).name
    if not file.is_local:
        return name, file.size, file.stamp
    with translated(file.shown, "a file"), Path(file.url).open("rb") as stream:
        return name, file.size, content_digest(stream, file.size, share)


def content_digest(stream: BinaryIO, size: int, share: int) -> str:
    """Return the SHA-256 (hex) of a file, or of evenly spread pieces of `share` bytes in all."""
    total = hashlib.sha256()
    if size <= share:
        total.update(stream.read())
        return total.hexdigest()
    piece = share // PIECES
    for index in range(PIECES):
        stream.seek(index * (size - piece) // (PIECES - 1))
        total.update(stream.read(piece))
    total.update(_footer(stream, size))
    return total.hexdigest()


def _footer(stream: BinaryIO, size: int) -> bytes:
    """Return the footer of a parquet file, nothing of another.

    References
    ----------
    Apache Parquet file format: the file ends with the footer, its length (4 bytes, little endian)
    and ``PAR1``.
    """
    stream.seek(-8, os.SEEK_END)
    length, magic = stream.read(4), stream.read(4)
    found = int.from_bytes(length, "little")
    if magic != MAGIC or found > min(size - 8, FOOTER):
        return b""
    stream.seek(-8 - found, os.SEEK_END)
    return stream.read(found)
