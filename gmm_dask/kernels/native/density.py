"""Log densities of a tile under each component: the first stage of a pass.

Rows of a tile stand in columns (structure of arrays): row i, column j is at j * tile + i, where
``tile`` is the number of rows. Eight rows (sixteen of float32) are one vector. Distances are taken
from each component's own mean, so no digit is lost to cancellation.
"""

from __future__ import annotations

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.real import DOUBLE, Real
from gmm_dask.kernels.native.values import Int, Vec

AT_ONCE = 4
"""Vectors of rows that share what is loaded of a component, where registers are not short."""


def packed_size(form: str, n_columns: int) -> int:
    """Return how many parameters of a component `density` reads.

    A constant, the D coordinates of the mean, then: full, the columns of the triangular factor;
    diag, D inverse deviations; spherical and tied, one inverse variance.
    """
    D = n_columns
    return 1 + D + {"full": D * (D + 1) // 2, "diag": D}.get(form, 1)


def density(
    form: str, n_columns: int, tile_rows: int, name: str = "density", real: Real = DOUBLE
) -> str:
    """Return the stage that writes log joint densities and their row maxima.

    Arguments of the emitted function: tile (D, tile), parameters (K, packed_size), log_joint (K,
    tile), top (tile) and K. All factors come multiplied by sqrt(1/2) (inverse variances: by
    1/2), so that a squared length needs no halving. Logarithms below `Real.lowest`, and those
    that overflow on the way, are that.
    """
    lanes = real.lanes
    step = lanes if form == "full" else AT_ONCE * lanes
    code = Code(name, "tile parameters log_joint top K", real=real)
    tile, top = code.ptr("tile"), code.ptr("top")
    low = code.const(real.lowest)
    code.loop(tile_rows, lambda i, _: top.store(i, low), step=lanes)

    def component(k: Int, _: list[Vec]) -> None:
        of_k = code.ptr("parameters").at(k * packed_size(form, n_columns))
        out = code.ptr("log_joint").at(k * tile_rows)

        def rows(i: Int, _: list[Vec]) -> None:
            some = [tile.at(i + r) for r in range(0, step, lanes)]
            values = EXPONENT[form](code, some, tile_rows, of_k, n_columns)
            for r, value in enumerate(values):
                value = code.maximum(value, low)
                at = i + r * lanes
                out.store(at, value)
                top.store(at, code.maximum(value, top.load(at)))

        code.loop(tile_rows, rows, step=step)

    code.loop(code.integer("K"), component)
    return code.text()


def full(code: Code, rows: list[Ptr], stride: int, of_k: Ptr, n_columns: int) -> list[Vec]:
    """Return ``c - |(x - mean) @ U|^2`` of some vectors of rows, the columns of U unrolled."""
    means = [of_k.splat(1 + j) for j in range(n_columns)]
    values = []
    for row in rows:
        y = [row.at(j * stride).load() - mean for j, mean in enumerate(means)]
        values.append(full_row(code, y, of_k))
    return values


def full_row(code: Code, y: list[Vec], of_k: Ptr) -> Vec:
    """Return ``c - |y @ U|^2`` of a vector of rows."""
    value = of_k.splat(0)
    at = 1 + len(y)
    for j in range(len(y)):
        z = of_k.splat(at) * y[0]
        for i in range(1, j + 1):
            z = code.fma(of_k.splat(at + i), y[i], z)
        value = code.fma(-z, z, value)
        at += j + 1
    return value


def diag(code: Code, rows: list[Ptr], stride: int, of_k: Ptr, n_columns: int) -> list[Vec]:
    """Return ``c - sum(((x - mean) * s)^2)`` of some vectors of rows."""
    values = [of_k.splat(0)] * len(rows)
    for j in range(n_columns):
        mean, s = of_k.splat(1 + j), of_k.splat(1 + n_columns + j)
        for r, row in enumerate(rows):
            z = (row.at(j * stride).load() - mean) * s
            values[r] = code.fma(-z, z, values[r])
    return values


def spherical(code: Code, rows: list[Ptr], stride: int, of_k: Ptr, n_columns: int) -> list[Vec]:
    """Return ``c - h |x - mean|^2`` of some vectors of rows."""
    squares = [code.const(0.0)] * len(rows)
    for j in range(n_columns):
        mean = of_k.splat(1 + j)
        for r, row in enumerate(rows):
            y = row.at(j * stride).load() - mean
            squares[r] = code.fma(y, y, squares[r])
    h, constant = of_k.splat(1 + n_columns), of_k.splat(0)
    return [code.fma(-square, h, constant) for square in squares]


EXPONENT = {"full": full, "diag": diag, "spherical": spherical, "tied": spherical}
