"""Weighted sums about the means, in registers: the last stage of a pass.

Sums stay in eight lanes (rows i, i + 8, ... of each tile) until the end of a block. Where tiles
are float32 so are sums over one tile, which are then added to those of the block in float64, so
that errors do not grow with the number of rows.
"""

from __future__ import annotations

from functools import cache

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import packed_size
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.real import DOUBLE
from gmm_dask.kernels.native.values import LANES, Int, Vec

ONE, SQUARE = -1, -2
Sum = tuple[int, int]
"""The sum of r * y_i * y_j. Column `ONE` is the constant 1; `SQUARE` the exponent c - log_joint,
which is a multiple of |y|^2."""


@cache
def sums_of(form: str, n_columns: int) -> list[Sum]:
    """Return what is summed for each component, in the order of storage."""
    D = n_columns
    pairs: list[Sum] = []
    for i in range(D):
        last = {"full": D, "diag": i + 1}.get(form, i)
        pairs += [*((i, j) for j in range(i, last)), (i, ONE)]
    return [*pairs, *([(ONE, SQUARE)] if form == "spherical" else []), (ONE, ONE)]


def groups(pairs: list[Sum], registers: int) -> list[list[Sum]]:
    """Cut the sums into runs that fit into registers.

    A weighted column is kept beside them as long as products with later columns are to come.
    """
    runs: list[list[Sum]] = [[]]
    for pair in pairs:
        longer = [*runs[-1], pair]
        if runs[-1] and len(longer) + len({i for i, j in longer if j > i}) > registers:
            runs.append([pair])
        else:
            runs[-1] = longer
    return runs


def moments(key: Key, form: str, name: str) -> str:
    """Return the stage that adds one tile to the sums.

    Arguments of the emitted function: tile, parameters, log_joint (K, tile; read by spherical
    alone), shares (K, tile), weight (tile), sums (K, number of sums, LANES) and K. The shares
    come out multiplied by the weights.
    The tile is swept again for each group of sums that fits into registers.
    """
    code = Code(name, "tile parameters log_joint shares weight sums K", real=key.real)
    pairs = sums_of(form, key.n_columns)
    squares = any(a >= 0 and b >= 0 for a, b in pairs)

    def component(k: Int, _: list[Vec]) -> None:
        of_k = code.ptr("parameters").at(k * packed_size(form, key.n_columns))
        sums = code.ptr("sums").at(k * (len(pairs) * LANES), "double")
        number = 0
        for group in groups(pairs, key.registers):
            for value in sweep(code, key, k, of_k, group, number == 0, squares):
                add_to_lanes(sums, number * LANES, value)
                number += 1

    code.loop(code.integer("K"), component)
    return code.text()


def add_to_lanes(sums: Ptr, place: int, value: Vec) -> None:
    """Add lanes that are rows to eight lanes of float64 in memory."""
    before = sums.load(place, DOUBLE)
    if value.real == DOUBLE:
        sums.store(place, before + value)
    else:
        low, high = value.widened()
        sums.store(place, before + (low + high))


def sweep(
    code: Code, key: Key, k: Int, of_k: Ptr, group: list[Sum], weigh: bool, squares: bool
) -> list[Vec]:
    """Sum one group over the rows of the tile.

    Parameters
    ----------
    weigh : bool
        Multiply the shares by the weights: in the first sweep of a component.
    squares : bool
        Whether the form has second moments: then weighted columns are needed anyway.
    """
    shares = code.ptr("shares").at(k * key.tile)

    def rows(i: Int, sums: list[Vec]) -> list[Vec]:
        r = shares.load(i)
        if weigh:
            r = r * code.ptr("weight").load(i)
            shares.store(i, r)
        result = add_rows(code, key, i, of_k, r, dict(zip(group, sums, strict=True)), squares)
        if (ONE, SQUARE) in group:
            square = of_k.splat(0) - code.ptr("log_joint").at(k * key.tile).load(i)
            result[ONE, SQUARE] = code.fma(r, square, result[ONE, SQUARE])
        return [result[pair] for pair in group]

    return code.loop(key.tile, rows, [code.const(0.0)] * len(group), step=key.real.lanes)


def add_rows(
    code: Code, key: Key, i: Int, of_k: Ptr, r: Vec, sums: dict[Sum, Vec], squares: bool
) -> dict[Sum, Vec]:
    """Return the sums with a vector of rows added, column after column so that few are live."""
    weighted: dict[int, Vec] = {}
    for j in sorted({column for pair in sums for column in pair if column >= 0}):
        y = code.ptr("tile").at(i + j * key.tile).load() - of_k.splat(1 + j)
        if squares and any(a == j for a, _ in sums):
            weighted[j] = r * y
        sums |= {(a, b): code.fma(weighted[a], y, sums[a, b]) for a, b in sums if b == j}
        if (j, ONE) in sums:
            total = sums[j, ONE]
            sums[j, ONE] = total + weighted[j] if squares else code.fma(r, y, total)
    if (ONE, ONE) in sums:
        sums[ONE, ONE] = sums[ONE, ONE] + r
    return sums
