"""Tiles with rows one after another: what sums over lists of rows read.

A flat tile holds row i, column j at i * padded + j, with zeros in the padding; a tile (see
`density`) holds it at j * tile + i.
"""

from __future__ import annotations

from collections.abc import Sequence

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.tile import bounded
from gmm_dask.kernels.native.values import LANES, Int, Vec

AT_ONCE = 16
"""Projected columns that are summed at once."""


def load_flat(key: Key) -> str:
    """Return the stage that brings rows into the frame.

    Arguments of the emitted function: rows (tile, D), shift (padded), inverse_scale (padded) and
    flat (tile, padded); with `Key.near` ROWS, which may be fewer. See `tile.load_tile`.
    """
    code = Code("load_flat", "rows shift inverse_scale flat" + (" ROWS" if key.near else ""))

    def row(i: Int, _: list[Vec]) -> None:
        source = code.ptr("rows").at(i * key.n_columns, key.kind)
        for j in range(0, key.n_columns, LANES):
            x = source.at(j, key.kind).load_as(key.kind, min(LANES, key.n_columns - j))
            y = (x - code.ptr("shift").load(j)) * code.ptr("inverse_scale").load(j)
            flat = code.ptr("flat").at(i * key.padded, key.compute)
            y = bounded(code, y, key.real.farthest)
            flat.at(j, key.compute).store_as(key.compute, y)
        if key.padded - j > LANES:
            flat.at(j + LANES, key.compute).store_as(key.compute, code.const(0.0))

    code.loop(code.integer("ROWS") if key.near else key.tile, row)
    return code.text()


def transposed(rows: Sequence[Vec]) -> list[Vec]:
    """Return the columns of as many rows as a vector has lanes, exchanged 1, 2, 4, ... apart."""
    block, n = list(rows), len(rows)
    for apart in [1 << bit for bit in range(n.bit_length() - 1)]:
        for i in range(n):
            if i & apart:
                continue
            a, b = block[i], block[i | apart]
            lanes = range(n)
            low = [lane if not lane & apart else n + lane - apart for lane in lanes]
            high = [lane + apart if not lane & apart else n + lane for lane in lanes]
            block[i], block[i | apart] = a.shuffle(b, low), a.shuffle(b, high)
    return block


def columns(key: Key) -> str:
    """Return the stage that turns a flat tile into a tile, less an origin.

    Arguments of the emitted function: flat (tile, padded), origin (padded), tile (padded, tile).
    """
    code, lanes = Code("columns", "flat origin tile", real=key.real), key.real.lanes

    def rows(i: Int, _: list[Vec]) -> None:
        def block(j: Int, _: list[Vec]) -> None:
            origin = code.ptr("origin").load(j)
            some = [code.ptr("flat").at((i + r) * key.padded).load(j) for r in range(lanes)]
            for c, column in enumerate(transposed([row - origin for row in some])):
                code.ptr("tile").at((j + c) * key.tile).store(i, column)

        code.loop(key.padded, block, step=lanes)

    code.loop(key.tile, rows, step=lanes)
    return code.text()


def project(key: Key) -> str:
    """Return the stage that multiplies rows by a matrix with few columns.

    Arguments of the emitted function: flat (tile, padded), projection (padded, P) and projected
    (P, tile).
    """
    code = Code("project", "flat projection projected", real=key.real)
    P = key.projected

    def rows(i: Int, _: list[Vec]) -> None:
        for start in range(0, P, AT_ONCE):
            some = range(start, min(start + AT_ONCE, P))
            for d, value in zip(some, project_rows(code, key, i, some), strict=True):
                code.ptr("projected").at(d * key.tile).store(i, value)

    code.loop(key.tile, rows, step=key.real.lanes)
    return code.text()


def project_rows(code: Code, key: Key, i: Int, directions: range) -> list[Vec]:
    """Return the products of a vector of rows with some columns of the projection."""
    lanes = key.real.lanes

    def block(j: Int, sums: list[Vec]) -> list[Vec]:
        some = [code.ptr("flat").at((i + r) * key.padded).load(j) for r in range(lanes)]
        for c, column in enumerate(transposed(some)):
            weights = code.ptr("projection").at((j + c) * key.projected)
            pairs = zip(directions, sums, strict=True)
            sums = [code.fma(weights.splat(d), column, total) for d, total in pairs]
        return sums

    zeros = [code.const(0.0) for _ in directions]
    return code.loop(key.padded, block, zeros, step=lanes)


def take(code: Code, key: Key, index: Sequence[Int], centre: Ptr, out: Ptr, stride: int) -> None:
    """Write a vector of listed rows of a flat tile, less a centre, as columns `stride` apart."""
    starts = [code.ptr("flat").at(i * key.padded) for i in index]

    def block(j: Int, _: list[Vec]) -> None:
        mean = centre.load(j)
        for c, column in enumerate(transposed([row.load(j) - mean for row in starts])):
            out.at((j + c) * stride).store(0, column)

    code.loop(key.padded, block, step=key.real.lanes)
