"""Arithmetic on nested tuples of float64 arrays: the additive monoid all statistics live in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def _rebuild(like: Any, values: list[Any]) -> Any:
    """Return a tuple of the type of `like` holding `values`."""
    return type(like)(*values) if hasattr(like, "_fields") else tuple(values)


def combine(function: Callable[..., Any], first: T, *rest: T) -> T:
    """Apply `function` leaf by leaf to trees of one shape.

    Parameters
    ----------
    function : callable
        Takes as many leaves as there are trees, returns a leaf.
    first, *rest : trees
        Nested (named) tuples of the same structure; leaves are arrays or scalars. ``None`` leaves
        (a statistic that a family does not need) stay ``None``.

    Raises
    ------
    ValueError
        If the structures differ.
    """
    if first is None:
        if any(other is not None for other in rest):
            raise ValueError("trees differ: None in the first, a value in another")
        return first
    if isinstance(first, tuple):
        if any(not isinstance(o, tuple) or len(o) != len(first) for o in rest):
            raise ValueError(f"trees differ: {type(first).__name__} of {len(first)} and another")
        columns = zip(first, *rest, strict=True)
        result: T = _rebuild(first, [combine(function, *column) for column in columns])
        return result
    leaf: T = function(first, *rest)
    return leaf


def add(a: T, b: T) -> T:
    """Return the leafwise sum of two trees."""
    return combine(lambda x, y: x + y, a, b)


def scale(a: T, factor: float) -> T:
    """Return the tree with every leaf multiplied by `factor`."""
    return combine(lambda x: x * factor, a)


def leaves(tree: Any) -> Iterator[Any]:
    """Yield the leaves of nested tuples and frozen dataclasses in a fixed order."""
    if isinstance(tree, tuple | list):
        for item in tree:
            yield from leaves(item)
    elif is_dataclass(tree) and not isinstance(tree, type):
        yield type(tree).__name__
        for field in fields(tree):
            if field.compare:
                yield field.name
                yield from leaves(getattr(tree, field.name))
    else:
        yield tree


def nbytes(tree: Any) -> int:
    """Return the bytes of all array leaves."""
    return sum(leaf.nbytes for leaf in leaves(tree) if isinstance(leaf, np.ndarray))


def is_finite(tree: Any) -> bool:
    """Return whether every float leaf is finite."""
    numbers = (x for x in leaves(tree) if isinstance(x, np.ndarray | np.generic | float))
    return all(bool(np.isfinite(leaf).all()) for leaf in numbers)


def fingerprint(tree: Any) -> str:
    """Return the SHA-256 (hex) of the values, shapes and types of all leaves.

    Two trees have one fingerprint exactly when they hold the same bits.
    """
    digest = hashlib.sha256()
    for leaf in leaves(tree):
        if isinstance(leaf, np.ndarray):
            digest.update(f"array {leaf.dtype.str} {leaf.shape} ".encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        elif isinstance(leaf, np.generic):
            digest.update(f"scalar {leaf.dtype.str} ".encode() + leaf.tobytes())
        else:
            digest.update(f"{type(leaf).__name__} {leaf!r} ".encode())
    return digest.hexdigest()
