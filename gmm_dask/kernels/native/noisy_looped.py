"""Rows with errors of their own, a factorisation for each row and component: many columns.

The elimination of `noisy_unrolled`, in scratch space: entry (i, j) of the matrix, for eight rows of
data, is the vector at ``j * height + i``. Its rows are T, then y, then V. Two of its columns are
computed at once (an odd number of columns is padded with one of variance 1), for eight of its rows
from any row on: the last run over into rows that are not needed.
"""

from __future__ import annotations

import math

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.logarithm import Product, empty_product, log_product, multiplied
from gmm_dask.kernels.native.noisy_key import PAIR, NoisyKey
from gmm_dask.kernels.native.values import LANES, Index, Int, Vec

Rooms = dict[str, Ptr]
AT_ONCE = 8
"""Rows of the matrix that are reduced at once."""


def entry(key: NoisyKey, at: Rooms, i: Index, j: Index) -> Ptr:
    """Return where an entry of the matrix stands."""
    return at["matrix"].at(j * (key.height * LANES)).at(i * LANES)


def fill(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr, with_covariance: bool) -> None:
    """Write the matrix; the rows V only where asked."""
    W = key.width
    V = of_k.at(1 + W)

    def column(j: Int, _: list[Vec]) -> None:
        def below(i: Int, _: list[Vec]) -> None:
            total = V.splat(i * W + j)
            if key.noise == "full":
                total = total + at["noise"].load((i * W + j) * LANES)
            entry(key, at, i, j).store(0, total)

        def whole(i: Int, _: list[Vec]) -> None:
            entry(key, at, i + (W + 1), j).store(0, V.splat(i * W + j))

        code.loop(W, below, start=j)
        entry(key, at, W, j).store(0, at["y"].load(j * LANES) - of_k.splat(j + 1))
        if key.noise == "diag":
            pivot = entry(key, at, j, j)
            pivot.store(0, pivot.load() + at["noise"].load(j * LANES))
        if with_covariance:
            code.loop(W, whole)

    code.loop(W, column)


def reduced(
    code: Code, key: NoisyKey, at: Rooms, row: Index, columns: Index, starts: list[list[Vec]]
) -> list[list[Vec]]:
    """Return starts plus products of consecutive rows with one or two columns of factors."""
    if columns == 0:
        return starts
    n = len(starts[0])

    def column(p: Int, sums: list[Vec]) -> list[Vec]:
        entries = entry(key, at, row, p)
        rows = [entries.load(r * LANES) for r in range(n)]
        factors = [at["factors"].at(p * (PAIR * LANES)).load(c * LANES) for c in range(len(starts))]
        pairs = [(x, factor) for factor in factors for x in rows]
        return [code.fma(x, factor, s) for (x, factor), s in zip(pairs, sums, strict=True)]

    flat = code.loop(columns, column, [one for column in starts for one in column])
    return [flat[c * n : (c + 1) * n] for c in range(len(starts))]


def scale(
    code: Code, key: NoisyKey, at: Rooms, row: Index, columns: Index, starts: list[Vec]
) -> list[Vec]:
    """Set the factors to two rows of the matrix times minus the inverse pivots.

    Returns
    -------
    list of Vec
        `starts` plus the products of the factors with the rows: first with first, first with
        second, second with second.
    """
    if columns == 0:
        return starts

    def column(p: Int, sums: list[Vec]) -> list[Vec]:
        rows = [entry(key, at, row, p).load(c * LANES) for c in range(PAIR)]
        minus = at["inverse"].load(p * LANES)
        factors = [x * minus for x in rows]
        for c, factor in enumerate(factors):
            at["factors"].at(p * (PAIR * LANES)).store(c * LANES, factor)
        pairs = ((0, 0), (0, 1), (1, 1))
        return [code.fma(factors[a], rows[b], s) for (a, b), s in zip(pairs, sums, strict=True)]

    found: list[Vec] = code.loop(columns, column, starts)
    return found


def eliminate(code: Code, key: NoisyKey, at: Rooms, rows: int) -> Product:
    """Reduce the first so many rows of the matrix; return the product of the pivots."""

    def pair(j: Index, product: list[Vec]) -> list[Vec]:
        entries = [entry(key, at, j, j).load(), entry(key, at, j, j).load(LANES)]
        entries.append(entry(key, at, j, j).at(key.height * LANES).load(LANES))
        first, beside, second = scale(code, key, at, j, j, entries)
        first, minus_first = inverted(code, first)
        factor = beside * minus_first
        second, minus_second = inverted(code, code.fma(beside, factor, second))
        at["inverse"].at(j * LANES).store(0, minus_first)
        at["inverse"].at(j * LANES).store(LANES, minus_second)

        def some(i: Int, _: list[Vec]) -> None:
            columns = [entry(key, at, i, j), entry(key, at, i, j).at(key.height * LANES)]
            starts = [[column.load(r * LANES) for r in range(AT_ONCE)] for column in columns]
            left, right = reduced(code, key, at, i, j, starts)
            for r in range(AT_ONCE):
                columns[0].store(r * LANES, left[r])
                columns[1].store(r * LANES, code.fma(left[r], factor, right[r]))

        code.loop(rows, some, start=j, step=AT_ONCE)
        return list(multiplied(code, multiplied(code, Product(*product), first), second))

    product = pair(0, list(empty_product(code)))
    return Product(*code.loop(key.width, pair, product, start=PAIR, step=PAIR))


def inverted(code: Code, pivot: Vec) -> tuple[Vec, Vec]:
    """Return a pivot, NaN unless positive, and minus its inverse."""
    pivot = (pivot > code.const(0.0)).where(pivot, code.const(math.nan))
    return pivot, code.const(-1.0) / pivot


def density(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr) -> Vec:
    """Return log joint densities of eight rows."""
    W, zero = key.width, code.const(0.0)
    fill(code, key, at, of_k, with_covariance=False)
    product = eliminate(code, key, at, W + 1)
    minus_square, *_ = scale(code, key, at, W, W, [zero] * 3)
    double = minus_square - log_product(code, product, W)
    return code.fma(double, code.const(0.5), of_k.splat(0))


def add(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr, sums: Ptr, r: Vec) -> None:
    """Add expected true values of eight rows, with weights r, to the moments."""
    W = key.width
    fill(code, key, at, of_k, with_covariance=True)
    eliminate(code, key, at, 2 * W + 1)
    expect(code, key, at, sums, r)
    alone = key.second == "diag"
    V, second = of_k.at(1 + W), sums.at((1 + W) * LANES)
    n = PAIR if alone else AT_ONCE

    def pair(a: Int, _: list[Vec]) -> None:
        scale(code, key, at, a + (W + 1), W, [code.const(0.0)] * 3)
        weighted = [r * at["step"].at(a * LANES).load(c * LANES) for c in range(PAIR)]

        def some(b: Int, _: list[Vec]) -> None:
            starts = [[V.splat((b + q) * W + a + c) for q in range(n)] for c in range(PAIR)]
            spares = reduced(code, key, at, b + (W + 1), W, starts)
            for c, q in [(c, q) for c in range(PAIR) for q in range(n) if q == c or not alone]:
                step = at["step"].at(b * LANES).load(q * LANES)
                place = (a + c) if alone else (a + c) * key.slots + (b - a + q)
                before = code.fma(r, spares[c][q], second.at(place * LANES).load())
                second.at(place * LANES).store(0, code.fma(weighted[c], step, before))

        if alone:
            some(a, [])
        else:
            code.loop(W, some, start=a, step=AT_ONCE)

    code.loop(W, pair, step=PAIR)


def expect(code: Code, key: NoisyKey, at: Rooms, sums: Ptr, r: Vec) -> None:
    """Write expected true values less the mean to `step`, and add them to the first moments."""
    W, zero = key.width, code.const(0.0)
    scale(code, key, at, W, W, [zero] * 3)

    def some(a: Int, _: list[Vec]) -> None:
        (minus,) = reduced(code, key, at, a + (W + 1), W, [[zero] * AT_ONCE])
        for q, value in enumerate(minus):
            at["step"].at(a * LANES).store(q * LANES, -value)

    def row(a: Int, _: list[Vec]) -> None:
        first = sums.at((a + 1) * LANES)
        first.store(0, code.fma(r, at["step"].load(a * LANES), first.load()))

    code.loop(W, some, step=AT_ONCE)
    code.loop(W, row)
