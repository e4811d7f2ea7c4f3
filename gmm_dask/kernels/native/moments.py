"""Weighted sums about the means, in registers: the last stage of a pass.

Sums stay in eight lanes (rows i, i + 8, ... of each tile) until the end of a block.
"""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import TILE, packed_size
from gmm_dask.kernels.native.values import LANES, Int, Ptr, Vec

ONE, SQUARE = -1, -2
Sum = tuple[int, int]
"""The sum of r * y_i * y_j. Column `ONE` is the constant 1; `SQUARE` the exponent c - log_joint,
which is a multiple of |y|^2."""


def sums_of(form: str, n_columns: int) -> list[Sum]:
    """Return what is summed for each component, in the order of storage."""
    D = n_columns
    pairs: list[Sum] = []
    for i in range(D):
        last = {"full": D, "diag": i + 1}.get(form, i)
        pairs += [*((i, j) for j in range(i, last)), (i, ONE)]
    return [*pairs, *([(ONE, SQUARE)] if form == "spherical" else []), (ONE, ONE)]


def groups(pairs: list[Sum], registers: int) -> list[list[Sum]]:
    """Cut the sums into runs that fit into registers with the weighted columns they need."""
    runs: list[list[Sum]] = [[]]
    for pair in pairs:
        longer = [*runs[-1], pair]
        if runs[-1] and len(longer) + len({i for i, _ in longer}) > registers:
            runs.append([pair])
        else:
            runs[-1] = longer
    return runs


def moments(form: str, n_columns: int, registers: int, name: str = "moments") -> str:
    """Return the stage that adds one tile to the sums.

    Arguments of the emitted function: tile, parameters, log_joint (K, TILE; read by spherical
    alone), shares (K, TILE), weight (TILE), sums (K, number of sums, LANES) and K. The shares
    come out multiplied by the weights.

    Parameters
    ----------
    registers : int
        How many vectors may be live at once; the tile is swept again for each group of sums.
    """
    code = Code(name, "tile parameters log_joint shares weight sums K")
    pairs = sums_of(form, n_columns)

    def component(k: Int, _: list[Vec]) -> None:
        of_k = code.ptr("parameters").at(k * packed_size(form, n_columns))
        sums = code.ptr("sums").at(k * (len(pairs) * LANES))
        number = 0
        for group in groups(pairs, registers):
            for value in sweep(code, k, of_k, group, weigh=number == 0):
                sums.store(number * LANES, sums.load(number * LANES) + value)
                number += 1

    code.loop(code.integer("K"), component)
    return code.text()


def sweep(code: Code, k: Int, of_k: Ptr, group: list[Sum], weigh: bool) -> list[Vec]:
    """Sum one group over the rows of the tile; the first sweep of a component weighs the shares."""
    shares = code.ptr("shares").at(k * TILE)

    def rows(i: Int, sums: list[Vec]) -> list[Vec]:
        r = shares.load(i)
        if weigh:
            r = r * code.ptr("weight").load(i)
            shares.store(i, r)
        result = add_rows(
            code, code.ptr("tile").at(i), of_k, r, dict(zip(group, sums, strict=True))
        )
        if (ONE, SQUARE) in group:
            square = of_k.splat(0) - code.ptr("log_joint").at(k * TILE).load(i)
            result[ONE, SQUARE] = code.fma(r, square, result[ONE, SQUARE])
        return [result[pair] for pair in group]

    return code.loop(TILE, rows, [code.const(0.0)] * len(group), step=LANES)


def add_rows(code: Code, rows: Ptr, of_k: Ptr, r: Vec, sums: dict[Sum, Vec]) -> dict[Sum, Vec]:
    """Return the sums with eight rows added, column after column so that few are live."""
    squares = {i for i, j in sums if i >= 0 and j >= 0}
    weighted: dict[int, Vec] = {}
    for j in sorted({column for pair in sums for column in pair if column >= 0}):
        y = rows.load(j * TILE) - of_k.splat(1 + j)
        if j in squares:
            weighted[j] = r * y
        sums |= {(i, c): code.fma(weighted[i], y, sums[i, c]) for i, c in sums if c == j}
        if (j, ONE) in sums:
            total = sums[j, ONE]
            sums[j, ONE] = total + weighted[j] if j in squares else code.fma(r, y, total)
    if (ONE, ONE) in sums:
        sums[ONE, ONE] = sums[ONE, ONE] + r
    return sums
