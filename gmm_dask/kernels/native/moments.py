"""Weighted sums about the means, in registers: the last stage of a pass.

Sums stay in eight lanes (rows i, i + 8, ... of each tile) until the end of a block.
"""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import TILE, packed_size
from gmm_dask.kernels.native.values import LANES, Int, Ptr, Vec

ONE = -1
Sum = tuple[int, int]
"""The sum of r * y_i * y_j, where column `ONE` is the constant 1."""


def sums_of(covariance_type: str, n_columns: int) -> list[Sum]:
    """Return what is summed for each component, in the order of storage."""
    D = n_columns
    if covariance_type == "full":
        rows = [[*((i, j) for j in range(i, D)), (i, ONE)] for i in range(D)]
    elif covariance_type == "diag":
        rows = [[(i, i), (i, ONE)] for i in range(D)]
    else:
        rows = [[(i, ONE)] for i in range(D)]
    return [pair for row in rows for pair in row] + [(ONE, ONE)]


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


def moments(covariance_type: str, n_columns: int, registers: int) -> str:
    """Return the stage that adds one tile to the sums.

    Arguments of the emitted function: tile, parameters, shares (K, TILE), weight (TILE), sums
    (K, number of sums, LANES) and K. The shares come out multiplied by the weights.

    Parameters
    ----------
    registers : int
        How many vectors may be live at once; the tile is swept again for each group of sums.
    """
    code = Code("moments", "tile parameters shares weight sums K")
    pairs = sums_of(covariance_type, n_columns)

    def component(k: Int, _: list[Vec]) -> None:
        of_k = code.ptr("parameters").at(k * packed_size(covariance_type, n_columns))
        shares = code.ptr("shares").at(k * TILE)
        sums = code.ptr("sums").at(k * (len(pairs) * LANES))
        number = 0
        for group in groups(pairs, registers):
            weight = code.ptr("weight") if number == 0 else None
            for value in sweep(code, of_k, shares, weight, group):
                sums.store(number * LANES, sums.load(number * LANES) + value)
                number += 1

    code.loop(code.integer("K"), component)
    return code.text()


def sweep(code: Code, of_k: Ptr, shares: Ptr, weight: Ptr | None, group: list[Sum]) -> list[Vec]:
    """Sum one group over the rows of the tile; the first sweep of a component has the weights."""

    def rows(i: Int, sums: list[Vec]) -> list[Vec]:
        r = shares.load(i)
        if weight:
            r = r * weight.load(i)
            shares.store(i, r)
        return add_rows(code, code.ptr("tile").at(i), of_k, r, dict(zip(group, sums, strict=True)))

    return code.loop(TILE, rows, [code.const(0.0)] * len(group), step=LANES)


def add_rows(code: Code, rows: Ptr, of_k: Ptr, r: Vec, sums: dict[Sum, Vec]) -> list[Vec]:
    """Return the sums with eight rows added, column after column so that few are live."""
    weighted = {ONE: r}
    columns = sorted({column for pair in sums for column in pair} - {ONE})
    for j in columns:
        y = rows.load(j * TILE) - of_k.splat(1 + j)
        if any(i == j for i, _ in sums):
            weighted[j] = r * y
        sums |= {(i, c): code.fma(weighted[i], y, sums[i, c]) for i, c in sums if c == j}
    sums |= {(i, c): sums[i, c] + weighted[i] for i, c in sums if c == ONE}
    return list(sums.values())
