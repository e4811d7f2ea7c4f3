"""Rows of a block that are measured together: of one group, with the same columns observed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import IntArray, Observed

T = TypeVar("T")

TILE = 32768
POOLED = -1
"""For a group: rows that have none."""


def pieces(rows: Observed) -> Iterator[tuple[int, IntArray, IntArray | slice]]:
    """Yield rows of one group with the same columns observed: group, columns and places.

    Groups ascend, and rows within a piece: what comes out does not depend on how they lay.
    """
    if rows.group is None or not len(rows.group):
        for columns, places in patterns(rows.values):
            yield POOLED, columns, places
        return
    if (rows.group[0] == rows.group).all():
        for columns, places in patterns(rows.values):
            yield int(rows.group[0]), columns, places
        return
    order = np.argsort(rows.group, kind="stable")
    ends = np.flatnonzero(np.diff(rows.group[order])) + 1
    for mine in np.split(order, ends):
        for columns, places in patterns(rows.values[mine]):
            yield int(rows.group[mine[0]]), columns, mine[places]


def patterns(values: Any) -> Iterator[tuple[IntArray, IntArray | slice]]:
    """Yield the columns (d,) that some rows have in common, and the places of these rows.

    Parameters
    ----------
    values : (n, D) array
        NaN where missing.

    Yields
    ------
    columns : (d,)
    places : (m,) or slice
        Ascending; a slice where all rows are alike.
    """
    n, D = values.shape
    words = words_of(values)
    if not any(word.any() for word in words):
        if n:
            yield np.arange(D), slice(None)
        return
    order = np.argsort(words[0], kind="stable") if D <= 16 else np.lexsort(words)
    new = np.zeros(n - 1, dtype=bool)
    for word in words:
        ordered = word.take(order)
        new |= ordered[1:] != ordered[:-1]
    for places in np.split(order, np.flatnonzero(new) + 1):
        yield np.flatnonzero(~np.isnan(values[places[0]])), places


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield consecutive items in lists of at most `size`."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def words_of(values: Any) -> npt.NDArray[np.uint16]:
    """Return which values (n, D) are NaN as bits of words (-(-D // 16), n).

    Words of 16 bits sort in linear time.
    """
    n, D = values.shape
    words = np.zeros((-(-D // 16), n), dtype=np.uint16)
    for lo in range(0, n, TILE):
        tile = slice(lo, lo + TILE)
        holes = np.isnan(values[tile])
        for j in range(D):
            words[j // 16, tile] |= holes[:, j].astype(np.uint16) << np.uint16(j % 16)
    return words


def taken(rows: Observed, places: IntArray | slice, columns: IntArray) -> Observed:
    """Return some rows in some columns."""
    if isinstance(places, slice):
        return rows
    values = rows.values.take(places, axis=0).take(columns, axis=1)
    weight = None if rows.sample_weight is None else rows.sample_weight.take(places)
    group = None if rows.group is None else rows.group.take(places)
    noise = None if rows.noise is None else rows.noise.take(places, axis=0)
    if noise is not None:
        inside = noise[:, columns] if noise.ndim == 2 else noise[:, columns[:, None], columns]
        noise = np.ascontiguousarray(inside)
    return Observed(values, weight, noise, group)
