"""Values into the JSON skeleton and arrays of `gmm_dask.store.codec`."""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.errors import FormatError
from gmm_dask.store.layout import DTYPES, PLAIN_INT, Arrays, Limits, stored_fields
from gmm_dask.store.names import unique_name


class Encoder:
    """One walk over a value; collects the arrays."""

    def __init__(self, classes: Mapping[str, type], limits: Limits) -> None:
        self.classes = classes
        self.limits = limits
        self.arrays: Arrays = {}
        self.taken: set[str] = set()
        self.bytes = 0

    def encode(self, value: Any, place: tuple[str, ...]) -> Any:
        """Return the skeleton of one value, found at `place`."""
        if len(place) > self.limits.depth:
            raise FormatError(f"value is nested deeper than {self.limits.depth} levels")
        if isinstance(value, np.ndarray):
            return self._array(value, place)
        if self.classes.get(type(value).__name__) is type(value):
            return self._instance(value, place)
        if type(value) in (tuple, list):
            return [self.encode(item, (*place, str(i))) for i, item in enumerate(value)]
        if type(value) is dict and all(type(key) is str for key in value):
            return {"dict": {k: self.encode(v, (*place, k)) for k, v in value.items()}}
        return _encode_scalar(value, place)

    def _instance(self, value: Any, place: tuple[str, ...]) -> Any:
        name = type(value).__name__
        if isinstance(value, enum.Enum):
            return {"enum": [name, value.name]}
        names = stored_fields(type(value))
        parts = {field: self.encode(getattr(value, field), (*place, field)) for field in names}
        return {"class": [name, parts]}

    def _array(self, value: npt.NDArray[Any], place: tuple[str, ...]) -> Any:
        if isinstance(value, np.ma.MaskedArray) or value.dtype.name not in DTYPES:
            raise TypeError(
                f"{_show(place)}: cannot store a {type(value).__name__} of {value.dtype}; "
                f"plain arrays of {', '.join(DTYPES)} can be stored"
            )
        self.bytes += value.nbytes
        if value.ndim > self.limits.dimensions or self.bytes > self.limits.array_bytes:
            raise FormatError(
                f"{_show(place)}: array of shape {value.shape} exceeds the limits of what can be "
                f"read back ({self.limits.array_bytes} bytes in all)"
            )
        name = unique_name(place, self.taken)
        self.arrays[name] = np.asarray(value, value.dtype.newbyteorder("="), order="C")
        return {"array": name}


def _encode_scalar(value: Any, place: tuple[str, ...]) -> Any:
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return value if abs(value) < PLAIN_INT else {"int": hex(value)}
    if type(value) is float:
        return value if np.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, np.generic) and value.dtype.name in DTYPES:
        little = value.astype(value.dtype.newbyteorder("<"))
        return {"scalar": [little.dtype.str, little.tobytes().hex()]}
    known = "tuples, dicts with str keys, None, bool, int, float, str, arrays and listed classes"
    raise TypeError(f"{_show(place)}: cannot store {type(value).__name__}; {known} can be stored")


def _show(place: tuple[str, ...]) -> str:
    return ".".join(place) or "value"
