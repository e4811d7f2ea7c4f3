"""Several inputs of one format as one run of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.sources.matrix import Matrix
from pipeline.sources.table import IntArray, Reader
from pipeline.sources.trouble import DataError

T = TypeVar("T")


def pieces(
    parts: Sequence[T], sizes: Sequence[int], lo: int, hi: int
) -> Iterator[tuple[T, int, int]]:
    """Yield the parts that hold rows lo to hi, with the rows in each part's own numbers."""
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        if lo < start + size and hi > start:
            yield part, max(lo - start, 0), min(hi - start, size)
        start += size


@dataclass(frozen=True, eq=False)
class JoinedMatrix:
    """Matrices below each other; they have the same columns.

    Parameters
    ----------
    parts : tuple of Matrix
    where : str
    """

    parts: tuple[Matrix, ...]
    where: str

    @staticmethod
    def of(parts: Sequence[Matrix], where: str) -> Matrix:
        """Join matrices, or return the only one.

        Raises
        ------
        DataError
            If they differ in columns or kind of number.
        """
        first = parts[0]
        for part in parts[1:]:
            for what, a, b in (
                ("columns", len(first.names), len(part.names)),
                ("type", first.dtype, part.dtype),
            ):
                if a != b:
                    raise DataError(
                        f"source.path: {part.where} has {what} {b}, {first.where} {a}; "
                        "files of one source need the same"
                    )
        return first if len(parts) == 1 else JoinedMatrix(tuple(parts), where)

    @property
    def n_rows(self) -> int:
        """Rows of all parts."""
        return sum(part.n_rows for part in self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, those of the first part."""
        return self.parts[0].names

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type as stored."""
        return self.parts[0].dtype

    @property
    def extra_types(self) -> Mapping[str, pa.DataType]:
        """Further columns."""
        return self.parts[0].extra_types

    def rows(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return rows lo to hi as stored."""
        sizes = [part.n_rows for part in self.parts]
        found = [part.rows(a, b) for part, a, b in pieces(self.parts, sizes, lo, hi)]
        return np.concatenate(found)

    def extras(self, names: Sequence[str], lo: int, hi: int) -> pa.Table:
        """Return further columns of rows lo to hi."""
        sizes = [part.n_rows for part in self.parts]
        found = [part.extras(names, a, b) for part, a, b in pieces(self.parts, sizes, lo, hi)]
        return pa.concat_tables(found)


@dataclass(frozen=True, eq=False)
class JoinedReader:
    """Readers below each other; they have the same columns, types and labels.

    Parameters
    ----------
    parts : tuple of Reader
    """

    parts: tuple[Reader, ...]

    @property
    def n_rows(self) -> int:
        """Rows kept in all parts."""
        return sum(part.n_rows for part in self.parts)

    @property
    def n_origin(self) -> int:
        """Rows of all inputs."""
        return sum(part.n_origin for part in self.parts)

    def values(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return the values of rows lo to hi."""
        return np.concatenate(self._each(lambda part, a, b: part.values(a, b), lo, hi))

    def labels(self, lo: int, hi: int) -> pa.Table:
        """Return the id and carried columns of rows lo to hi."""
        tables = self._each(lambda part, a, b: part.labels(a, b), lo, hi)
        return pa.concat_tables(tables, promote_options="permissive")

    def origin(self, lo: int, hi: int) -> IntArray:
        """Return positions in the inputs, counted on from one to the next."""
        starts = np.cumsum([0, *(part.n_origin for part in self.parts)])
        shifted = list(zip(self.parts, starts[:-1], strict=True))
        sizes = [part.n_rows for part in self.parts]
        found = pieces(shifted, sizes, lo, hi)
        return np.concatenate([part.origin(a, b) + start for (part, start), a, b in found])

    def _each(self, read: Callable[[Reader, int, int], T], lo: int, hi: int) -> list[T]:
        sizes = [part.n_rows for part in self.parts]
        return [read(part, a, b) for part, a, b in pieces(self.parts, sizes, lo, hi)]
