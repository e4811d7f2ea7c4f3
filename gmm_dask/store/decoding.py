"""The JSON skeleton and arrays of `gmm_dask.store.codec` back into values."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.errors import FormatError
from gmm_dask.store.layout import DTYPES, NEWER, Limits, is_enum, stored_fields


class Decoder:
    """One walk over a skeleton. Nothing in it is trusted."""

    def __init__(
        self, classes: Mapping[str, type], limits: Limits, arrays: Mapping[str, npt.NDArray[Any]]
    ) -> None:
        self.classes = classes
        self.limits = limits
        self.arrays = arrays
        self.tags: dict[str, Callable[[Any, int], Any]] = {
            "dict": self._mapping,
            "class": self._instance,
            "enum": self._member,
            "array": self._array,
            "float": lambda bits, _: _decode_float(bits),
            "int": lambda digits, _: _decode_int(digits),
            "scalar": lambda parts, _: _decode_numpy(parts),
        }

    def decode(self, node: Any, depth: int) -> Any:
        """Return the value of one node of a skeleton."""
        if depth > self.limits.depth:
            raise FormatError(f"stored value is nested deeper than {self.limits.depth} levels")
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if isinstance(node, list):
            return tuple(self.decode(item, depth + 1) for item in node)
        if not isinstance(node, dict) or len(node) != 1:
            raise FormatError("damaged: an object of a stored value must have exactly one key")
        ((tag, content),) = node.items()
        if tag not in self.tags:
            raise FormatError(f"stored value of an unknown sort {tag!r}: {NEWER}")
        return self.tags[tag](content, depth)

    def _mapping(self, content: Any, depth: int) -> dict[str, Any]:
        return {key: self.decode(item, depth + 1) for key, item in _need(dict, content).items()}

    def _array(self, name: Any, _: int) -> npt.NDArray[Any]:
        if not isinstance(name, str) or name not in self.arrays:
            raise FormatError(f"damaged: array {name!r} is missing")
        return self.arrays[name]

    def _find(self, content: Any, what: str) -> tuple[type, Any]:
        name, rest = _pair(content)
        cls = self.classes.get(name) if isinstance(name, str) else None
        if cls is None or is_enum(cls) != (what == "enum"):
            raise FormatError(f"stored {what} {name!r} is not known: damage, or {NEWER}")
        return cls, rest

    def _member(self, content: Any, _: int) -> Any:
        cls, name = self._find(content, "enum")
        members = cls.__members__  # type: ignore[attr-defined]
        if not isinstance(name, str) or name not in members:
            raise FormatError(f"{cls.__name__} has no member {name!r}: damage, or {NEWER}")
        return members[name]

    def _instance(self, content: Any, depth: int) -> Any:
        cls, parts = self._find(content, "class")
        _check_fields(cls, set(_need(dict, parts)))
        values = {name: self.decode(part, depth + 1) for name, part in parts.items()}
        try:
            return cls(**values)
        except Exception as error:
            # Constructors validate; whatever they do not like here came from the file.
            raise FormatError(f"stored {cls.__name__} is not valid: {error}") from error


def _check_fields(cls: type, found: set[str]) -> None:
    """Refuse fields that the class lacks, and the lack of fields without a default."""
    known = stored_fields(cls)
    if extra := sorted(found - set(known)):
        raise FormatError(f"{cls.__name__} has no field {', '.join(extra)}: {NEWER}")
    if lost := [name for name, default in known.items() if name not in found and not default]:
        raise FormatError(
            f"{cls.__name__} lacks {', '.join(lost)}, which has no default: the file is damaged, "
            "or of a version too old to read"
        )


def _need(kind: type, content: Any) -> Any:
    if not isinstance(content, kind):
        raise FormatError(f"damaged: {kind.__name__} expected, {type(content).__name__} found")
    return content


def _pair(content: Any) -> tuple[Any, Any]:
    if len(_need(list, content)) != 2:
        raise FormatError(f"damaged: two entries expected, {len(content)} found")
    return content[0], content[1]


def _decode_float(bits: Any) -> float:
    try:
        return float(struct.unpack(">d", bytes.fromhex(_need(str, bits)))[0])
    except (ValueError, struct.error) as error:
        raise FormatError(f"damaged: {bits!r} is not the bits of a float") from error


def _decode_int(digits: Any) -> int:
    try:
        return int(_need(str, digits), 16)
    except ValueError as error:
        raise FormatError(f"damaged: {digits!r:.60} is not an integer") from error


def _decode_numpy(parts: Any) -> Any:
    code, content = _pair(parts)
    try:
        dtype = np.dtype(_need(str, code))
        if dtype.name not in DTYPES:
            raise ValueError(code)
        (scalar,) = np.frombuffer(bytes.fromhex(_need(str, content)), dtype)
        return scalar.astype(dtype.newbyteorder("="))
    except (TypeError, ValueError) as error:
        raise FormatError(f"damaged: {parts!r:.60} is not a scalar") from error
