"""What a stored value may consist of, and how much of it is accepted."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]

DTYPES = (
    *("float16", "float32", "float64", "bool"),
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)
PLAIN_INT = 2**63
NEWER = "it was written by a newer version of gmm-dask: upgrade gmm-dask to read it"


@dataclass(frozen=True)
class Limits:
    """What is accepted from a file before anything of that size is allocated.

    Parameters
    ----------
    depth : int
        Levels of nesting.
    dimensions : int
        Axes of an array.
    array_bytes : int
        Bytes of all arrays of one tree together.
    json_bytes : int
        Bytes of one JSON file.
    """

    depth: int = 64
    dimensions: int = 16
    array_bytes: int = 8 << 30
    json_bytes: int = 256 << 20


LIMITS = Limits()


def is_enum(cls: type) -> bool:
    """Return whether a class is an Enum."""
    return isinstance(cls, type) and issubclass(cls, enum.Enum)


def is_named_tuple(cls: type) -> bool:
    """Return whether a class is a NamedTuple."""
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


def is_frozen(cls: type) -> bool:
    """Return whether a class is a frozen dataclass."""
    return dataclasses.is_dataclass(cls) and bool(cls.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def stored_fields(cls: type) -> dict[str, bool]:
    """Return the stored fields of a class: name to whether it has a default."""
    if is_named_tuple(cls):
        defaults = cls._field_defaults  # type: ignore[attr-defined]
        return {name: name in defaults for name in cls._fields}  # type: ignore[attr-defined]
    missing = dataclasses.MISSING
    return {
        field.name: field.default is not missing or field.default_factory is not missing
        for field in dataclasses.fields(cls)
        if field.init
    }
