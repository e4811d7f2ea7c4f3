"""Rows of the source become a tile of the frame: what comes before the densities."""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.values import LANES, Int, Vec


def load_tile(key: Key) -> str:
    """Return the stage that turns rows into columns, in the frame, eight rows at a time.

    Arguments of the emitted function: rows (tile, D), shift (D), inverse_scale (D) and tile (D,
    tile). Rows of float32 are widened before the shift, and only what comes out is rounded where
    tiles are float32, so an offset costs no digit. Coordinates beyond `Real.farthest` are drawn in.
    """
    code = Code("load_tile", "rows shift inverse_scale tile")
    D = key.n_columns

    def rows(i: Int, _: list[Vec]) -> None:
        first = code.ptr("rows").at(i * D, key.kind)
        for j in range(D):
            x = first.at(j, key.kind).gather(D, key.kind)
            y = (x - code.ptr("shift").splat(j)) * code.ptr("inverse_scale").splat(j)
            tile = code.ptr("tile").at(j * key.tile, key.compute)
            y = bounded(code, y, key.real.farthest)
            tile.at(i, key.compute).store_as(key.compute, y)

    code.loop(key.tile, rows, step=LANES)
    return code.text()


def bounded(code: Code, y: Vec, farthest: float) -> Vec:
    """Return y drawn in to [-farthest, farthest]; NaN stays NaN."""
    high, low = code.const(farthest), code.const(-farthest)
    y = (y > high).where(high, y)
    return (low > y).where(low, y)


def load_shares(key: Key) -> str:
    """Return the stage that reads given responsibilities into a tile.

    Arguments of the emitted function: given (tile, K), shares (K, tile), weight (tile), which
    becomes 1 for the first ROWS rows and 0 for others, total (tile), the sums of the shares; K
    and ROWS.
    """
    code = Code("load_shares", "given shares weight total K ROWS")
    K = code.integer("K")

    def rows(i: Int, _: list[Vec]) -> None:
        present = code.first_lanes(code.integer("ROWS") - i)
        code.ptr("weight").store(i, present.where(code.const(1.0), code.const(0.0)))
        first = code.ptr("given").at(i * K)

        def component(k: Int, sums: list[Vec]) -> list[Vec]:
            share = first.at(k).gather(K)
            code.ptr("shares").at(k * key.tile).store(i, share)
            return [sums[0] + share]

        code.ptr("total").store(i, code.loop(K, component, [code.const(0.0)])[0])

    code.loop(key.tile, rows, step=LANES)
    return code.text()


def whiten(key: Key) -> str:
    """Return the stage that whitens a tile by one factor: ``(x - origin) @ U``.

    Arguments of the emitted function: tile (D, tile), origin (D), factor (D, D; the row-major
    transpose of U, of which the lower triangle is read) and whitened (D, tile).
    """
    code = Code("whiten", "tile origin factor whitened", real=key.real)
    D = key.n_columns

    def rows(i: Int, _: list[Vec]) -> None:
        def column(j: Int | int, _: list[Vec]) -> None:
            row = code.ptr("factor").at(j * D)

            def term(a: Int | int, sums: list[Vec]) -> list[Vec]:
                y = code.ptr("tile").at(a * key.tile).load(i) - code.ptr("origin").splat(a)
                return [code.fma(row.splat(a), y, sums[0])]

            z = code.loop(j + 1, term, [code.const(0.0)])[0]
            code.ptr("whitened").at(j * key.tile).store(i, z)

        code.loop(D, column)

    code.loop(key.tile, rows, step=key.real.lanes)
    return code.text()
