"""Frozen dataclasses to plain JSON values and back, read from their annotations."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from gmm_dask import FormatError

_INFINITIES = {"inf": math.inf, "-inf": -math.inf}


def to_plain(value: Any) -> Any:
    """Return dicts, lists, strings and numbers; nan is None and infinities are words."""
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return {field.name: to_plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, np.ndarray | np.generic):
        plain = value.tolist()
        return plain if np.isfinite(value).all() else to_plain(plain)
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def _plain_float(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def from_plain(kind: Any, value: Any, where: str) -> Any:
    """Return the value of type `kind` that `to_plain` turned into `value`.

    Parameters
    ----------
    kind : type
        A dataclass, str, int, float, bool, an array, a tuple of one type, or one of these or None.
    value : plain JSON value
    where : str
        Path of the value, for messages.

    Raises
    ------
    FormatError
        When something is missing, left over or of another type.
    """
    if isinstance(kind, types.UnionType):
        inner = next(part for part in get_args(kind) if part is not type(None))
        return None if value is None else from_plain(inner, value, where)
    if get_origin(kind) is tuple:
        return _read_tuple(get_args(kind)[0], value, where)
    if get_origin(kind) is np.ndarray:
        return _read_array(value, where)
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    return _SCALARS[kind](value, where)


def _read_tuple(inner: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    return tuple(from_plain(inner, item, f"{where}[{i}]") for i, item in enumerate(value))


def _read_array(value: Any, where: str) -> np.ndarray:
    if not isinstance(value, list):
        raise _wrong(where, "a list of numbers", value)
    try:
        array = np.array(value)
    except ValueError:
        raise _wrong(where, "lists of numbers of one length", value) from None
    if array.dtype.kind not in "if":  # nan and infinities are no JSON numbers
        array = np.array(_numbers(value, where))
    array = array.astype(np.float64)
    array.flags.writeable = False
    return array


def _numbers(value: list[Any], where: str) -> list[Any]:
    return [
        _numbers(item, where) if isinstance(item, list) else _read_float(item, where)
        for item in value
    ]


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(where, "an object", value)
    hints = _hints(kind)
    extra = sorted(set(value) - set(hints))
    if extra:
        raise FormatError(f"stored {where} has an unknown part {extra[0]!r}: run the fit again")
    for field in dataclasses.fields(kind):
        if field.name not in value and field.default is dataclasses.MISSING:
            raise FormatError(f"stored {where} has no {field.name}: run the fit again")
    parts = {
        name: from_plain(hint, value[name], f"{where}.{name}")
        for name, hint in hints.items()
        if name in value
    }
    return kind(**parts)


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _read_str(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "a string", value)
    return value


def _read_int(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(where, "a whole number", value)
    return value


def _read_bool(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, "true or false", value)
    return value


def _read_float(value: Any, where: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _INFINITIES:
        return _INFINITIES[value]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(where, "a number", value)
    return float(value)


_SCALARS: dict[Any, Callable[[Any, str], Any]] = {
    str: _read_str,
    int: _read_int,
    bool: _read_bool,
    float: _read_float,
}


def _wrong(where: str, needed: str, value: Any) -> FormatError:
    return FormatError(f"stored {where}: {needed} is needed, {str(value)[:60]!r} came")
