"""Log densities of a tile under each component: the first stage of a pass.

Rows of a tile stand in columns (structure of arrays): element (row i, column j) at j * TILE + i.
Eight rows are one vector. Distances are taken from each component's own mean, so no digit is lost
to cancellation.
"""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.values import LANES, Int, Ptr, Vec
from gmm_dask.kernels.types import LOG_PROB_MIN

TILE = 256


FORMS = ("full", "diag", "spherical", "tied")
"""Of covariances. In a tied tile the rows are whitened already."""


def packed_size(form: str, n_columns: int) -> int:
    """Return how many parameters of a component `density` reads.

    A constant, the D coordinates of the mean, then: full, the columns of the triangular factor;
    diag, D inverse deviations; spherical and tied, one inverse variance.
    """
    D = n_columns
    return 1 + D + {"full": D * (D + 1) // 2, "diag": D}.get(form, 1)


def density(form: str, n_columns: int) -> str:
    """Return the stage that writes log joint densities and their row maxima.

    Arguments of the emitted function: tile, parameters (K, packed_size), log_joint (K, TILE),
    top (TILE) and K. All factors come multiplied by sqrt(1/2) (inverse variances: by 1/2), so
    that a squared length needs no halving. Logarithms below -1e300, and those
    that overflow on the way, are -1e300.
    """
    code = Code("density", "tile parameters log_joint top K")
    tile, top = code.ptr("tile"), code.ptr("top")
    low = code.const(LOG_PROB_MIN)
    code.loop(TILE, lambda i, _: top.store(i, low), step=LANES)

    def component(k: Int, _: list[Vec]) -> None:
        of_k = code.ptr("parameters").at(k * packed_size(form, n_columns))
        out = code.ptr("log_joint").at(k * TILE)

        def rows(i: Int, _: list[Vec]) -> None:
            value = EXPONENT.get(form, spherical)(code, tile.at(i), of_k, n_columns)
            value = code.maximum(value, low)
            out.store(i, value)
            top.store(i, code.maximum(value, top.load(i)))

        code.loop(TILE, rows, step=LANES)

    code.loop(code.integer("K"), component)
    return code.text()


def full(code: Code, rows: Ptr, of_k: Ptr, n_columns: int) -> Vec:
    """Return ``c - |(x - mean) @ U|^2`` with the columns of U unrolled."""
    y = differences(rows, of_k, n_columns)
    value = of_k.splat(0)
    at = 1 + n_columns
    for j in range(n_columns):
        z = of_k.splat(at) * y[0]
        for i in range(1, j + 1):
            z = code.fma(of_k.splat(at + i), y[i], z)
        value = code.fma(-z, z, value)
        at += j + 1
    return value


def diag(code: Code, rows: Ptr, of_k: Ptr, n_columns: int) -> Vec:
    """Return ``c - sum(((x - mean) * s)^2)``."""
    value = of_k.splat(0)
    for j, y in enumerate(differences(rows, of_k, n_columns)):
        z = y * of_k.splat(1 + n_columns + j)
        value = code.fma(-z, z, value)
    return value


def spherical(code: Code, rows: Ptr, of_k: Ptr, n_columns: int) -> Vec:
    """Return ``c - h |x - mean|^2``."""
    first, *others = differences(rows, of_k, n_columns)
    square = first * first
    for y in others:
        square = code.fma(y, y, square)
    return code.fma(-square, of_k.splat(1 + n_columns), of_k.splat(0))


def differences(rows: Ptr, of_k: Ptr, n_columns: int) -> list[Vec]:
    """Return ``x - mean``, column by column, of eight rows."""
    return [rows.load(j * TILE) - of_k.splat(1 + j) for j in range(n_columns)]


EXPONENT = {"full": full, "diag": diag}
