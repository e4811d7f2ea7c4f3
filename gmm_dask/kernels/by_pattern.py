"""E-steps of many small groups of rows, each under a model of its own: one call a group, no more.

What is done per call elsewhere (room for sums, addresses, sums over lanes) is done here for many
groups at once. So a block that falls into a hundred patterns of missing values costs little more
than one whose rows are alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.call import checked, function, key_of
from gmm_dask.kernels.fused import Model, lost_rows
from gmm_dask.kernels.layout import aligned
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.passes import TABLE, scratch_size
from gmm_dask.kernels.native.values import LANES
from gmm_dask.kernels.types import EStepSums
from gmm_dask.kernels.unpack import found_in, moments_from, sums_shape
from gmm_dask.tree import add

ROOM = 2 * 2**20
"""Bytes of rows and sums that are worked on together: they stay in the cache."""

_AT = {name: place for place, name in enumerate(TABLE)}


class Group(NamedTuple):
    """Rows that one model measures."""

    model: Model
    places: npt.NDArray[np.int64]
    """(n,) which rows, at least one."""
    columns: npt.NDArray[np.int64]
    """(d,) which of their columns."""


def e_step(values: npt.NDArray[Any], groups: Sequence[Group]) -> list[EStepSums]:
    """Return the E-step sums of groups of rows; see `fused.e_step`.

    Parameters
    ----------
    values : (N, D) float32 or float64, source units
    groups : sequence of Group
    """
    values = checked(values, values.shape[1])
    found: list[Any] = [None] * len(groups)
    by_key: dict[Key, list[int]] = {}
    for place, group in enumerate(groups):
        model, one = group.model, values[:1, : len(group.columns)]
        by_key.setdefault(key_of("e_step", model.layout, one, model.hard), []).append(place)
    for key, places in by_key.items():
        for batch in _batches(key, values, [groups[place] for place in places], places):
            sums = _measure(key, values, [groups[place] for place in batch])
            for place, of_group in zip(batch, sums, strict=True):
                found[place] = of_group
    return found


def _batches(
    key: Key, values: npt.NDArray[Any], groups: list[Group], places: list[int]
) -> Iterator[list[int]]:
    """Yield groups whose rows and sums fit into `ROOM`, at least one at a time."""
    batch: list[int] = []
    of_component, of_row = 8 * prod(sums_shape(key, key.form)), values.itemsize * key.n_columns
    size = 0
    for place, group in zip(places, groups, strict=True):
        more = of_component * len(group.model.layout.means) + of_row * len(group.places)
        if batch and size + more > ROOM:
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += more
    if batch:
        yield batch


class _Room(NamedTuple):
    """What the calls of a batch read and write, side by side."""

    tiles: npt.NDArray[np.int64]
    """(G + 1,) first tile of each group, and the end."""
    rows: npt.NDArray[Any]
    """(tiles, tile, d); behind the last row of a group it is repeated."""
    top: FloatArray
    """(tiles, LANES)."""
    total: FloatArray
    """(tiles, LANES)."""
    lost: npt.NDArray[np.uint8]
    """(tiles, tile / LANES)."""
    sums: FloatArray
    """Of all components of all groups."""
    scatter: FloatArray
    """Of all groups."""
    ends: npt.NDArray[np.int64]
    """(G + 1,) first component of each group, and the end."""

    def lost_bits(self, g: int) -> npt.NDArray[np.uint8]:
        """Return which rows of a group are lost, eight to a byte."""
        return self.lost[self.tiles[g] : self.tiles[g + 1]].ravel()


def _measure(key: Key, values: npt.NDArray[Any], groups: list[Group]) -> list[EStepSums]:
    """Return the sums of groups that the same code measures."""
    room = _room(key, values, groups)
    _run(key, groups, room)
    of_components = found_in(key, key.form, room.sums)
    likelihood = np.add.reduceat((room.top + np.log(room.total)).sum(axis=1), room.tiles[:-1])
    lost = np.add.reduceat(room.lost.any(axis=1), room.tiles[:-1]) > 0
    found = []
    for g, group in enumerate(groups):
        layout, mine = group.model.layout, slice(room.ends[g], room.ends[g + 1])
        of_group = {name: sums[mine] for name, sums in of_components.items()}
        count, moments = moments_from(layout, key, of_group, room.scatter[g : g + 1])
        n = len(group.places)
        gone = np.flatnonzero(lost_rows(room.lost_bits(g), n)) if lost[g] else ()
        kept = n - len(gone)
        sums = EStepSums(
            np.asarray(likelihood[g] + kept * layout.offset),
            np.asarray(float(kept)),
            count[None, :],
            moments,
            np.zeros(()),
        )
        if kept < n:
            rows = values[group.places[gone][:, None], group.columns]
            sums = add(sums, group.model.oracle(rows))
        found.append(sums)
    return found


def _room(key: Key, values: npt.NDArray[Any], groups: list[Group]) -> _Room:
    sizes = np.array([len(group.places) for group in groups])
    tiles = np.concatenate([[0], np.cumsum(-(-sizes // key.tile))])
    alive = np.array([len(group.model.layout.means) for group in groups])
    ends = np.concatenate([[0], np.cumsum(alive)])
    n = int(tiles[-1])
    rows = np.empty((n * key.tile, key.n_columns), dtype=values.dtype)
    for group, first, end in zip(groups, tiles[:-1], tiles[1:], strict=True):
        mine = rows[first * key.tile : end * key.tile]
        n_rows = len(group.places)
        whole = values.take(group.places, axis=0)
        whole.take(group.columns, axis=1, out=mine[:n_rows], mode="clip")  # else it is buffered
        mine[n_rows:] = mine[n_rows - 1]
    return _Room(
        tiles,
        rows.reshape(n, key.tile, key.n_columns),
        np.empty((n, LANES)),
        np.empty((n, LANES)),
        np.empty((n, key.tile // LANES), dtype=np.uint8),
        aligned((int(ends[-1]), *sums_shape(key, key.form))),
        aligned((len(groups), *sums_shape(key, "full"))),
        ends,
    )


def _run(key: Key, groups: list[Group], room: _Room) -> None:
    """Call the code once for each group."""
    tables, counts = _tables(key, groups, room)
    scratch = aligned((scratch_size(key, int(counts[:, 2].max())),), fill=None)
    tables[:, _AT["scratch"]] = scratch.ctypes.data
    run, start = function(key), tables.ctypes.data
    for g in range(len(groups)):
        run(start + g * tables.strides[0])


def _tables(
    key: Key, groups: list[Group], room: _Room
) -> tuple[npt.NDArray[np.uintp], npt.NDArray[np.int64]]:
    """Return the table of addresses (G, ...) and the counts (G, 3) of each group's call."""
    tables = np.zeros((len(groups), len(TABLE)), dtype=np.uintp)
    for g, group in enumerate(groups):
        found = group.model.layout.addresses
        tables[g, [_AT[name] for name in found]] = list(found.values())
    counts = np.empty((len(groups), 3), dtype=np.int64)
    counts[:, 0] = np.diff(room.tiles) * key.tile
    counts[:, 1] = [len(group.places) for group in groups]
    counts[:, 2] = np.diff(room.ends)
    every = np.arange(len(groups))
    firsts = dict.fromkeys(("rows", "top", "total", "lost"), room.tiles[:-1])
    firsts |= {"sums": room.ends[:-1], "scatter": every}
    for name, first in firsts.items():
        array = getattr(room, name)
        tables[:, _AT[name]] = array.ctypes.data + first * array.strides[0]
    tables[:, _AT["counts"]] = counts.ctypes.data + every * counts.strides[0]
    return tables, counts
