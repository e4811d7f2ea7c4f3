"""Products of rows with a triangular factor, in blocks of registers.

Six columns of the factor meet four vectors of eight rows: 24 sums in registers for every ten
loads. Above some sixteen columns this replaces the code that is unrolled over all columns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import CHUNK
from gmm_dask.kernels.native.values import LANES, Int, Ptr, Vec

Block = tuple[int, int]
"""First column and number of columns."""


def column_blocks(n_columns: int) -> list[Block]:
    """Return blocks of six columns, the first of what remains: short where columns are short."""
    first = n_columns % WIDTH or WIDTH
    starts = [0, *range(first, n_columns, WIDTH)]
    return [(start, WIDTH if start else first) for start in starts]


WIDTH = 6


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
    code: Code,
    key: Key,
    rows: Ptr,
    stride: int,
    factor: Ptr,
    use: Callable[[int, list[list[Vec]]], None],
) -> None:
    """Multiply CHUNK rows by a factor, and hand each block of columns to `use`.

    Parameters
    ----------
    rows : Ptr
        (D, CHUNK), columns `stride` apart.
    factor : Ptr
        As made by `panels`.
    use : callable
        Takes the first column and the products, [column][vector of rows].
    """
    vectors = range(0, CHUNK, LANES)

    def add(sums: list[list[Vec]], i: Int | int, factors: list[Vec]) -> list[list[Vec]]:
        y = [rows.at(i * stride).load(r) for r in vectors]
        return [
            [code.fma(u, a, b) for a, b in zip(y, column, strict=True)]
            for u, column in zip(factors, sums, strict=True)
        ]

    at = 0
    for start, width in column_blocks(key.n_columns):
        sums = [[code.const(0.0) for _ in vectors] for _ in range(width)]
        if start:
            panel = factor.at(at)

            def above(i: Int, flat: list[Vec], width: int = width, panel: Ptr = panel) -> list[Vec]:
                n = len(vectors)
                columns = [flat[c * n : (c + 1) * n] for c in range(width)]
                here = panel.at(i * width)
                new = add(columns, i, [here.splat(c) for c in range(width)])
                return [v for column in new for v in column]

            flat = code.loop(start, above, [v for column in sums for v in column])
            n = len(vectors)
            sums = [flat[c * n : (c + 1) * n] for c in range(width)]
        at += start * width
        for t in range(width):
            factors = [factor.splat(at + c) for c in range(width - t)]
            sums[t:] = add(sums[t:], start + t, factors)
            at += width - t
        use(start, sums)


def squares(key: Key) -> str:
    """Return the function that computes ``|y @ U|^2`` of CHUNK rows.

    Arguments of the emitted function: rows (padded, CHUNK), factor and result (CHUNK).
    """
    code = Code("squares", "rows factor result")
    totals = [code.const(0.0) for _ in range(0, CHUNK, LANES)]

    def use(_: int, sums: list[list[Vec]]) -> None:
        for column in sums:
            totals[:] = [code.fma(z, z, q) for z, q in zip(column, totals, strict=True)]

    products(code, key, code.ptr("rows"), CHUNK, code.ptr("factor"), use)
    for r, total in enumerate(totals):
        code.ptr("result").store(r * LANES, total)
    return code.text()


def whiten_columns(key: Key) -> str:
    """Return the stage that multiplies a whole tile by one factor.

    Arguments of the emitted function: tile (D, tile), factor and whitened (D, tile).
    """
    code = Code("whiten_columns", "tile factor whitened")

    def chunk(i: Int, _: list[Vec]) -> None:
        def use(start: int, sums: list[list[Vec]]) -> None:
            for c, column in enumerate(sums, start):
                for r, z in enumerate(column):
                    code.ptr("whitened").at(c * key.tile).store(i + r * LANES, z)

        products(code, key, code.ptr("tile").at(i), key.tile, code.ptr("factor"), use)

    code.loop(key.tile, chunk, step=CHUNK)
    return code.text()
