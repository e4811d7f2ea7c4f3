"""Rows in the order of their groups, and back."""

from __future__ import annotations

import numpy as np

from gmm_dask.blocks import BoolArray, FloatArray, IntArray, Observed
from gmm_dask.kernels.grouped import SMALL


def sorted_by_group(rows: Observed) -> tuple[Observed, IntArray | None]:
    """Return rows in ascending order of their groups, and the place of each before (n,).

    None where they are in order already. Rows of one group keep theirs.
    """
    if rows.group is None or not (rows.group[1:] < rows.group[:-1]).any():
        return rows, None
    order = np.argsort(rows.group, kind="stable")
    return some_of(rows, order), order


def some_of(rows: Observed, places: IntArray | BoolArray | slice) -> Observed:
    """Return some of the rows."""
    weight, noise, group, projection = rows[1:]
    return Observed(
        rows.values[places],
        None if weight is None else weight[places],
        None if noise is None else noise[places],
        None if group is None else group[places],
        None if projection is None else projection[places],
    )


def in_place(ordered: FloatArray, order: IntArray | None) -> FloatArray:
    """Return an array (n, ...) of rows of sorted rows as the rows were before."""
    if order is None:
        return ordered
    result = np.empty_like(ordered)
    result[order] = ordered
    return result


def are_small(group: IntArray | None) -> bool:
    """Return whether rows (ascending groups) are better measured together than group by group."""
    if group is None or not len(group):
        return False
    n_groups = 1 + int((group[1:] != group[:-1]).sum())
    return n_groups > 1 and len(group) < SMALL * n_groups
