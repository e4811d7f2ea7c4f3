"""npy: one array of shape (N, D), memory-mapped where it is local. Nothing is ever unpickled."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from pipeline.sources.content import identities
from pipeline.sources.describe import facts, holder
from pipeline.sources.files import File, find_files
from pipeline.sources.handles import borrowed
from pipeline.sources.joined import JoinedMatrix
from pipeline.sources.matrix import Plain, open_matrix
from pipeline.sources.spec import SourceSpec
from pipeline.sources.table import Table
from pipeline.sources.trouble import DataError, translated, untrusted

SUFFIXES = (".npy",)


@dataclass(frozen=True)
class NpyMatrix(Plain):
    """The rows of one npy file; pickles as a recipe.

    Parameters
    ----------
    width : int
        Number of columns.
    file : File
    n_rows : int
    stored : str
        NumPy type string, with byte order.
    offset : int, bytes
        Where the first row starts.
    by_column : bool
        Whether the file is in Fortran order.
    """

    file: File
    n_rows: int
    stored: str
    offset: int
    by_column: bool

    @property
    def where(self) -> str:
        """The file."""
        return self.file.shown

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type as stored."""
        return np.dtype(self.stored)

    def rows(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return rows lo to hi as stored."""
        where = self.file.shown
        with translated(where, "an npy file", self.file.secrets):
            if self.file.is_local:
                with borrowed(("npy", self.file), self._map) as rows:
                    return np.array(rows[lo:hi])
            with borrowed(("npy", self.file, threading.get_ident()), self._open) as stream:
                return self._read(stream, lo, hi)

    def _map(self) -> npt.NDArray[Any]:
        self.file.verify()
        order: Literal["F", "C"] = "F" if self.by_column else "C"
        shape = (self.n_rows, self.width)
        return np.memmap(self.file.url, self.dtype, "r", self.offset, shape, order)

    def _open(self) -> BinaryIO:
        self.file.verify()
        return self.file.open()

    def _read(self, stream: BinaryIO, lo: int, hi: int) -> npt.NDArray[Any]:
        if self.by_column:
            starts = range(0, self.n_rows * self.width, self.n_rows)
            return np.stack([self._run(stream, at + lo, hi - lo) for at in starts], axis=1)
        values = self._run(stream, lo * self.width, (hi - lo) * self.width)
        return values.reshape(hi - lo, self.width)

    def _run(self, stream: BinaryIO, start: int, count: int) -> npt.NDArray[Any]:
        """Return a run of values as they lie in the file."""
        stream.seek(self.offset + start * self.dtype.itemsize)
        return np.frombuffer(stream.read(count * self.dtype.itemsize), self.dtype, count)


def open_npy(spec: SourceSpec, scratch: Path) -> Table:
    """Open npy files; headers are read, no row.

    Parameters
    ----------
    spec : SourceSpec
    scratch : Path
        For the rows that a filter leaves.

    Raises
    ------
    DataError
        If a file is damaged or cut short, or holds no real numbers in two dimensions.
    """
    files = find_files(spec.paths, spec.storage_options, SUFFIXES, "npy")
    matrix = JoinedMatrix.of([_header(file) for file in files], holder(spec, files))
    about = facts(spec, "npy", files, matrix.n_rows)
    return open_matrix(spec, scratch, matrix, identities(files), about)


def _header(file: File) -> NpyMatrix:
    where = file.shown
    with untrusted(where, "an npy file", file.secrets), file.open() as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, by_column, dtype = read(stream)
        offset = stream.tell()
    if len(shape) != 2:
        raise DataError(
            f"{where} has shape {shape}; needed: two dimensions, rows and columns (N, D)"
        )
    if any(type(size) is not int for size in shape):  # the parser lets truths pass
        raise DataError(f"{where}: damaged, or not an npy file (shape {shape})")
    if dtype.hasobject or dtype.names:
        kind = "named fields" if dtype.names else "Python objects, which are never unpickled"
        raise DataError(f"{where} holds {kind} ({dtype}); save plain numbers of shape (N, D)")
    if 0 in shape:
        raise DataError(f"{where} has shape {shape}: no row, or no column")
    expected = offset + shape[0] * shape[1] * dtype.itemsize
    if file.size < expected:
        raise DataError(f"{where} is cut short: {file.size} bytes of {expected}; copy it again")
    return NpyMatrix(shape[1], file, shape[0], dtype.str, offset, by_column)
