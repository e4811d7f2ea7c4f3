"""Products of a vector of rows with a triangular factor, in blocks of registers.

Some columns of the factor meet one vector of rows: as many sums in registers, a broadcast for
each multiplication. Above some sixteen columns this replaces code unrolled over all columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.values import Int, Vec

Block = tuple[int, int]
"""First column and number of columns."""


WIDTH = 12
"""Columns of a block."""


def column_blocks(n_columns: int) -> list[Block]:
    """Return blocks of WIDTH columns, the first of what remains: short where columns are short."""
    first = n_columns % WIDTH or WIDTH
    starts = [0, *range(first, n_columns, WIDTH)]
    return [(start, WIDTH if start else first) for start in starts]


def panels(factors: FloatArray) -> FloatArray:
    """Return triangular factors (A, D, D) in the order in which they are read, (A, size)."""
    parts = []
    for start, width in column_blocks(factors.shape[-1]):
        stop = start + width
        parts.append(factors[:, :start, start:stop].reshape(len(factors), -1))
        rows, cols = np.triu_indices(width)
        parts.append(factors[:, start + rows, start + cols])
    return np.concatenate(parts, axis=1)


def panel_size(n_columns: int) -> int:
    """Return how many numbers `panels` holds for each factor."""
    return sum(w * start + w * (w + 1) // 2 for start, w in column_blocks(n_columns))


def products(
    code: Code, key: Key, rows: Ptr, stride: int, factor: Ptr, use: Callable[[int, Vec], None]
) -> None:
    """Multiply a vector of rows by a factor, and hand each column of the product to `use`.

    Parameters
    ----------
    rows : Ptr
        (D, lanes), columns `stride` apart.
    factor : Ptr
        As made by `panels`.
    use : callable
        Takes the number of a column and the column.
    """
    at = 0
    for start, width in column_blocks(key.n_columns):
        for first in range(0, width, key.registers):
            some = range(first, min(first + key.registers, width))
            sums = [code.const(0.0) for _ in some]
            if start:
                sums = above(code, rows, stride, (factor.at(at), start, width), some)
            within(
                code,
                rows.at(start * stride),
                stride,
                (factor, at + start * width, width),
                some,
                sums,
            )
            for c, z in zip(some, sums, strict=True):
                use(start + c, z)
        at += start * width + width * (width + 1) // 2


def above(
    code: Code, rows: Ptr, stride: int, panel: tuple[Ptr, int, int], columns: range
) -> list[Vec]:
    """Sum over the full rows of a panel: those above its triangle."""
    numbers, height, width = panel

    def add(i: Int, sums: list[Vec]) -> list[Vec]:
        y = rows.at(i * stride).load()
        here = numbers.at(i * width)
        return [code.fma(here.splat(c), y, z) for c, z in zip(columns, sums, strict=True)]

    return code.loop(height, add, [code.const(0.0) for _ in columns])


def within(
    code: Code,
    rows: Ptr,
    stride: int,
    triangle: tuple[Ptr, int, int],
    columns: range,
    sums: list[Vec],
) -> None:
    """Add the triangle of a panel, unrolled."""
    numbers, at, width = triangle
    for t in range(columns[-1] + 1):
        y = rows.at(t * stride).load()
        for n, c in enumerate(columns):
            if c >= t:
                sums[n] = code.fma(numbers.splat(at + c - t), y, sums[n])
        at += width - t


def squares(key: Key) -> str:
    """Return the function that computes ``|y @ U|^2`` of a vector of rows.

    Arguments of the emitted function: rows (padded, lanes), factor and result
    (lanes).
    """
    code = Code("squares", "rows factor result", real=key.real)
    total = [code.const(0.0)]

    def use(_: int, z: Vec) -> None:
        total[0] = code.fma(z, z, total[0])

    products(code, key, code.ptr("rows"), key.real.lanes, code.ptr("factor"), use)
    code.ptr("result").store(0, total[0])
    return code.text()


def whiten_columns(key: Key) -> str:
    """Return the stage that multiplies a whole tile by one factor.

    Arguments of the emitted function: tile (D, tile), factor and whitened (D, tile).
    """
    code = Code("whiten_columns", "tile factor whitened", real=key.real)

    def rows(i: Int, _: list[Vec]) -> None:
        def use(c: int, z: Vec) -> None:
            code.ptr("whitened").at(c * key.tile).store(i, z)

        products(code, key, code.ptr("tile").at(i), key.tile, code.ptr("factor"), use)

    code.loop(key.tile, rows, step=key.real.lanes)
    return code.text()
