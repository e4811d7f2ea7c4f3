"""Many small arrays as one flat array per type, so that a checkpoint is a handful of files.

A grid of fits holds hundreds of arrays; a file and an fsync for each would make a checkpoint slow
on a laptop and very slow on a cluster's shared file system.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.errors import FormatError
from gmm_dask.store.layout import DTYPES, Arrays


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[Arrays, list[list[Any]]]:
    """Return flat arrays by type name, and the index ``[[name, type, shape], ...]``.

    The index lists the arrays of a type in the order in which they follow one another.
    """
    index = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    groups: dict[str, list[npt.NDArray[Any]]] = {}
    for array in arrays.values():
        groups.setdefault(array.dtype.name, []).append(array.reshape(-1))
    return {name: np.concatenate(parts) for name, parts in groups.items()}, index


def unpack(packed: Mapping[str, npt.NDArray[Any]], index: Any) -> Arrays:
    """Return the arrays of an index, each a part of its own of the flat arrays.

    Raises
    ------
    FormatError
        If the index does not fit the flat arrays exactly.
    """
    position = dict.fromkeys(packed, 0)
    arrays: Arrays = {}
    for entry in index if isinstance(index, list) else [None]:
        name, kind, shape = _entry(entry, position)
        start, position[kind] = position[kind], position[kind] + math.prod(shape)
        if position[kind] > len(packed[kind]):
            raise FormatError(f"damaged: array {name!r} reaches past the stored values")
        arrays[name] = packed[kind][start : position[kind]].reshape(shape)
    if any(position[kind] != len(flat) for kind, flat in packed.items()):
        raise FormatError("damaged: stored values that belong to no array")
    return arrays


def _entry(entry: Any, kinds: Mapping[str, int]) -> tuple[str, str, tuple[int, ...]]:
    """Return a validated entry of the index."""
    match entry:
        case [str(name), str(kind), list(shape)] if kind in DTYPES and kind in kinds:
            if all(type(n) is int and n >= 0 for n in shape):
                return name, kind, tuple(shape)
    raise FormatError(f"damaged: {entry!r:.80} does not describe a stored array")
