"""Columns of any numeric type as float32 or float64, and the types that are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from pipeline.sources.trouble import DataError

FloatRows = npt.NDArray[Any]
Origin = range | npt.NDArray[np.int64]

EXACT = 2**53
"""Largest integer up to which float64 holds all of them."""

IDENTIFIER_ROWS = 1000
"""Distinct integers that do not count up are taken for identifiers from this many on."""


_TEXT = ("text", "name it in source.id or source.carry, or leave it out")
_TRUTH = ("true or false", "cast it to numbers upstream, or leave it out")
_TIME = ("points in time", "convert it to a number with a unit of your choice")
_LISTS = ("lists", "write one column for each entry, or a 2-D zarr or npy array")
_COMPLEX = ("complex numbers", "write real and imaginary parts as two columns")
_OTHER = ("not numbers", "convert it upstream or leave it out of source.columns")
_KINDS = {
    **dict.fromkeys(("string", "large_string", "string_view", "object", "StringDType()"), _TEXT),
    "bool": _TRUTH,
    **dict.fromkeys(("timestamp", "date", "time", "duration", "datetime", "timedelta"), _TIME),
    **dict.fromkeys(("list", "large_list", "fixed_size_list", "list_view"), _LISTS),
    "complex": _COMPLEX,
    "null": ("nothing (all rows are null)", "leave it out"),
}
"""What a type name without its width means, and what to do about it."""


def plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values behind a dictionary or run-end encoding."""
    while pt.is_dictionary(kind) or pt.is_run_end_encoded(kind):
        kind = kind.value_type
    return kind


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether a column of this arrow type can be a value."""
    kind = plain(kind)
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def refuse(where: str, column: str, kind: object) -> DataError:
    """Make the error for a column whose type is not a number."""
    text = str(plain(kind)) if isinstance(kind, pa.DataType) else str(kind)
    what, advice = _KINDS.get(text.split("[")[0].split("<")[0].rstrip("0123456789"), _OTHER)
    return DataError(f"source.columns: {where}: {column} holds {what} ({text}); {advice}")


def float_type(kinds: Iterable[pa.DataType]) -> np.dtype[Any]:
    """Return float32 where it holds every value of these numeric types exactly, else float64."""
    return _narrowest(_holds(plain(kind)) for kind in kinds)


def _holds(kind: pa.DataType) -> np.dtype[Any]:
    small = pt.is_integer(kind) and kind.bit_width <= 16
    if small or pt.is_float16(kind) or pt.is_float32(kind):
        return np.dtype(np.float32)
    return np.dtype(np.float64)


def _narrowest(kinds: Iterable[np.dtype[Any]]) -> np.dtype[Any]:
    return max(kinds, key=lambda kind: kind.itemsize)


def array_type(where: str, column: str, kind: np.dtype[Any]) -> np.dtype[Any]:
    """Return the float type for values of a NumPy type.

    Raises
    ------
    DataError
        If the type is not a real number.
    """
    if kind.kind not in "iuf":
        raise refuse(where, column, kind)
    small = kind.itemsize <= 2 or kind == np.dtype(np.float32).newbyteorder(kind.byteorder)
    return np.dtype(np.float32 if small else np.float64)


def to_float(where: str, columns: Sequence[str], lo: int, values: Any, dtype: Any) -> FloatRows:
    """Return rows (n, D) in C order and native byte order as `dtype`, always a copy.

    Raises
    ------
    DataError
        If an integer is too large for float64; its column and row are told.
    """
    rows = np.array(values, dtype=dtype, order="C")
    if values.dtype.kind in "iu" and values.dtype.itemsize == 8:
        wide = (values > EXACT) | (values < -EXACT) if values.dtype.kind == "i" else values > EXACT
        if wide.any():
            row, column = np.argwhere(wide)[0]
            raise _too_large(where, columns[column], lo + int(row), int(values[row, column]))
    return rows


def _too_large(where: str, column: str, row: int, value: int) -> DataError:
    return DataError(
        f"source.columns: {where}: {column} holds {value} in row {row}, an integer beyond 2^53 "
        "that float64 cannot hold; if it is an identifier name it in source.id"
    )


def table_values(
    where: str, table: pa.Table, names: Sequence[str], dtype: np.dtype[Any], origin: Origin
) -> FloatRows:
    """Return numeric columns of an arrow table as rows (n, D); null becomes NaN.

    Parameters
    ----------
    where : str
        The file, for messages.
    table : pyarrow.Table with the columns `names`
    dtype : float32 or float64
    origin : sequence of int
        Row number of each row, for messages.
    """
    rows = np.empty((table.num_rows, len(names)), dtype)
    for j, name in enumerate(names):
        rows[:, j] = column_values(where, name, table.column(name), dtype, origin)
    return rows


def column_values(
    where: str, name: str, column: Any, dtype: np.dtype[Any], origin: Origin
) -> FloatRows:
    """Return one numeric arrow column as (n,) `dtype`; null becomes NaN."""
    kind = plain(column.type)
    column = column.cast(kind) if kind != column.type else column
    try:
        floats = column.cast(pa.from_numpy_dtype(dtype))
    except pa.ArrowInvalid:
        raise _first_too_large(where, name, column, origin) from None
    values: FloatRows = floats.to_numpy()
    return values


def _first_too_large(where: str, name: str, column: Any, origin: Origin) -> DataError:
    for row, value in enumerate(column.to_pylist()):
        if value is not None and abs(value) > EXACT:
            return _too_large(where, name, int(origin[row]), int(value))
    return refuse(where, name, column.type)


def looks_like_identifier(column: Any) -> bool:
    """Return whether an arrow column of integers has only distinct values, as identifiers have.

    Few distinct integers may be measurements; they count only if each is one more than the last.
    """
    kind = plain(column.type)
    if not pt.is_integer(kind) or len(column) < 2 or column.null_count:
        return False
    column = column.cast(kind) if kind != column.type else column
    values = column.to_numpy()
    counting = bool((values[1:] == values[:-1] + 1).all())
    return counting or (len(values) >= IDENTIFIER_ROWS and _distinct(column))


def _distinct(column: Any) -> bool:
    return int(pc.count_distinct(column).as_py()) == len(column)
