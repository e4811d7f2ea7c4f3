"""AnnData's encoding of values in a file: what h5py and zarr have in common.

References
----------
anndata, "On-disk format" (the specification of encoding-type and encoding-version).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

ARRAY = ("array", "0.2.0")
STRINGS = ("string-array", "0.2.0")
STRING = ("string", "0.2.0")
NUMBER = ("numeric-scalar", "0.2.0")
CATEGORICAL = ("categorical", "0.2.0")
DICT = ("dict", "0.1.0")


class Box(Protocol):
    """An AnnData file that is being changed: keys are paths such as ``obs/gmm``."""

    def has(self, key: str) -> bool:
        """Return whether the key is there."""
        ...

    def keys(self, key: str) -> list[str]:
        """Return the names inside a group."""
        ...

    def is_group(self, key: str) -> bool:
        """Return whether the key is there and a group."""
        ...

    def length(self, key: str) -> int:
        """Return the first dimension of an array."""
        ...

    def attributes(self, key: str) -> dict[str, Any]:
        """Return the attributes of a key."""
        ...

    def set_attribute(self, key: str, name: str, value: Any) -> None:
        """Set one attribute of a group: a bool, a text or a list of texts."""
        ...

    def make_group(self, key: str, encoding: tuple[str, str] | None) -> None:
        """Make a group."""
        ...

    def make_rows(self, key: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Make an array of numbers that `write_rows` fills."""
        ...

    def write_rows(self, key: str, lo: int, rows: npt.NDArray[Any]) -> None:
        """Write rows from `lo` on."""
        ...

    def put(self, key: str, value: Any, encoding: tuple[str, str]) -> None:
        """Write a small array, list of texts, text or number."""
        ...

    def move(self, key: str, to: str) -> None:
        """Rename a key; `to` is free."""
        ...

    def delete(self, key: str) -> None:
        """Delete a key with all it holds."""
        ...

    def begin_replacing(self) -> None:
        """Drop what would describe keys that are about to be replaced."""
        ...

    def settle(self, key: str) -> None:
        """Wait until a key and all it holds are on the disk."""
        ...

    def finish(self) -> None:
        """Tell readers that use a summary of the keys, and wait for the disk."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def put_value(box: Box, key: str, value: Any) -> None:
    """Write a value and what it holds in AnnData's encoding; None is left out.

    Parameters
    ----------
    box : Box
    key : str
    value : mapping, ndarray, sequence of str or numbers, str, number or None

    Raises
    ------
    TypeError
        If AnnData has no encoding for it here.
    """
    if value is None:
        return
    if isinstance(value, Mapping):
        box.make_group(key, DICT)
        for name, item in value.items():
            put_value(box, f"{key}/{name}", item)
    elif isinstance(value, str):
        box.put(key, value, STRING)
    elif isinstance(value, bool | int | float | np.generic):
        box.put(key, value, NUMBER)
    elif isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        box.put(key, list(value), STRINGS)
    else:
        box.put(key, _numbers(key, value), ARRAY)


def _numbers(key: str, value: Any) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{key}: {type(value).__name__} of {array.dtype} has no place in AnnData")
    return array


def decoded(value: Any) -> str:
    """Return an attribute as text: old files hold bytes."""
    return value.decode() if isinstance(value, bytes) else str(value)


def encoding_attributes(encoding: tuple[str, str] | None) -> dict[str, Any]:
    """Return the two attributes by which AnnData knows how to read a value."""
    return (
        {} if encoding is None else {"encoding-type": encoding[0], "encoding-version": encoding[1]}
    )
