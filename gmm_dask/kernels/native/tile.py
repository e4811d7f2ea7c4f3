"""Rows of the source become a tile of the frame: what comes before the densities."""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import TILE
from gmm_dask.kernels.native.values import LANES, Int, Vec

UNROLLED = 16
FARTHEST = 1e300


def load_tile(kind: str, n_columns: int) -> str:
    """Return the stage that turns TILE rows into columns, in the frame.

    Arguments of the emitted function: rows (TILE, D), shift (D), inverse_scale (D) and tile (D,
    TILE). Coordinates beyond 1e300 are drawn in, so that 0 times any of them is 0.

    Parameters
    ----------
    kind : str
        "double" or "float": the type of the rows. float32 are widened before the shift.
    """
    code = Code("load_tile", "rows shift inverse_scale tile")
    source, tile = code.ptr("rows"), code.ptr("tile")

    def rows(i: Int, _: list[Vec]) -> None:
        first = source.at(i * n_columns, kind)

        def column(j: Int | int, _: list[Vec]) -> None:
            x = first.at(j, kind).gather(n_columns, kind)
            y = (x - code.ptr("shift").splat(j)) * code.ptr("inverse_scale").splat(j)
            tile.at(j * TILE).store(i, bounded(code, y))

        if n_columns <= UNROLLED:
            for j in range(n_columns):
                column(j, [])
        else:
            code.loop(n_columns, column)

    code.loop(TILE, rows, step=LANES)
    return code.text()


def bounded(code: Code, y: Vec) -> Vec:
    """Return y drawn into [-1e300, 1e300]; NaN stays NaN."""
    high, low = code.const(FARTHEST), code.const(-FARTHEST)
    y = (y > high).where(high, y)
    return (low > y).where(low, y)


def load_shares() -> str:
    """Return the stage that reads given responsibilities into a tile.

    Arguments of the emitted function: given (TILE, K), shares (K, TILE), weight (TILE), which
    becomes 1 for the first ROWS rows and 0 for others, total (TILE), the sums of the shares; K
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
            code.ptr("shares").at(k * TILE).store(i, share)
            return [sums[0] + share]

        code.ptr("total").store(i, code.loop(K, component, [code.const(0.0)])[0])

    code.loop(TILE, rows, step=LANES)
    return code.text()


def whiten(n_columns: int) -> str:
    """Return the stage that whitens a tile by one factor: ``(x - origin) @ U``.

    Arguments of the emitted function: tile (D, TILE), origin (D), factor (D, D; the row-major
    transpose of U, of which the lower triangle is read) and whitened (D, TILE).
    """
    code = Code("whiten", "tile origin factor whitened")
    D = n_columns

    def rows(i: Int, _: list[Vec]) -> None:
        def column(j: Int | int, _: list[Vec]) -> None:
            row = code.ptr("factor").at(j * D)

            def term(a: Int | int, sums: list[Vec]) -> list[Vec]:
                y = code.ptr("tile").at(a * TILE).load(i) - code.ptr("origin").splat(a)
                return [code.fma(row.splat(a), y, sums[0])]

            z = code.loop(j + 1, term, [code.const(0.0)])[0]
            code.ptr("whitened").at(j * TILE).store(i, z)

        code.loop(D, column)

    code.loop(TILE, rows, step=LANES)
    return code.text()
