"""Weighted sums about the means over lists of the rows that have a share.

Some columns are one vector, so that the work is proportional to the length of a list. Of second
moments the lower triangle is summed, in blocks of eight rows and three vectors. Sums in memory are
float64, whatever tiles are (see `moments`).
"""

from __future__ import annotations

from collections.abc import Sequence

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import list_rows
from gmm_dask.kernels.native.moments import add_to_lanes
from gmm_dask.kernels.native.real import DOUBLE
from gmm_dask.kernels.native.values import LANES, Int, Mask, Vec

NEGLIGIBLE_SHARE = 2.0**-72
PART = 64
"""Rows of a list whose products are summed at once."""


def list_size(form: str, key: Key) -> int:
    """Return how many numbers are summed for each component.

    A vector of counts, one of squares (spherical), the first moments (padded), then the second:
    full (D, padded), of which the lower triangle is summed; diag (padded).
    """
    second = {"full": key.n_columns * key.padded, "diag": key.padded}.get(form, 0)
    return 2 * LANES + key.padded + second


def list_moments(key: Key, form: str, name: str) -> str:
    """Return the stage that adds one tile to the sums.

    Arguments of the emitted function: flat (tile, padded), centres (K, padded), constants (K),
    log_joint (K, tile; read by spherical alone), shares (K, tile), weight (tile), sums (K,
    list_size), work (2, PART, padded), index (tile + lanes) and K. The shares come out multiplied
    by the weights. Shares below 2^-72 are left out of the moments, unless they were given. With
    `Key.near` before K: which (K; the component of each slot), and behind it ROWS, at most a tile.
    """
    arguments = "flat centres constants log_joint shares weight sums work index"
    arguments += " which K ROWS" if key.near else " K"
    code = Code(name, arguments, real=key.real)

    def component(k: Int, _: list[Vec]) -> None:
        of = code.ptr("which").number(k) if key.near else k
        sums = code.ptr("sums").at(of * list_size(form, key), "double")
        count = weigh(code, key, form, k, sums)
        centre = code.ptr("centres").at(of * key.padded)
        shares = code.ptr("shares").at(k * key.tile)

        def add() -> None:
            if form == "full":
                full(code, key, count, centre, shares, sums)
            else:
                round_or_diag(code, key, form, count, centre, shares, sums)

        code.when(count.compare("sgt", 0), add)

    code.loop(code.integer("K"), component)
    return code.text()


def weigh(code: Code, key: Key, form: str, k: Int, sums: Ptr) -> Int:
    """Weigh the shares of a component, add up its count, and list its rows."""
    shares = code.ptr("shares").at(k * key.tile)
    cut = code.const(0.0 if key.task == "moments" else NEGLIGIBLE_SHARE)

    def choose(i: Int, totals: list[Vec]) -> tuple[Mask, list[Vec]]:
        r = shares.load(i) * code.ptr("weight").load(i)
        shares.store(i, r)
        new = [totals[0] + r]
        if form == "spherical":
            square = code.ptr("constants").splat(k) - code.ptr("log_joint").at(k * key.tile).load(i)
            new.append(code.fma(r, square, totals[1]))
        return r > cut, new

    places = [0, LANES] if form == "spherical" else [0]
    start = opened(code, sums, places)
    n = code.integer("ROWS") if key.near else key.tile
    count, totals = list_rows(code, n, choose, code.ptr("index"), start)
    if key.real == DOUBLE:
        closed(sums, places, totals)
    else:
        for place, total in zip(places, totals, strict=True):
            add_to_lanes(sums, place, total)
    return count


def opened(code: Code, sums: Ptr, places: Sequence[int]) -> list[Vec]:
    """Return what sums over a list start from: those in memory, or 0 for float32."""
    if code.real == DOUBLE:
        return [sums.load(place) for place in places]
    return [code.const(0.0) for _ in places]


def closed(sums: Ptr, places: Sequence[int], totals: Sequence[Vec]) -> None:
    """Bring sums over a list, whose lanes are columns, to memory: what `opened` began."""
    for place, total in zip(places, totals, strict=True):
        if total.real == DOUBLE:
            sums.store(place, total)
            continue
        for number, half in enumerate(total.widened()):
            at = place + number * LANES
            sums.store(at, sums.load(at, DOUBLE) + half)


def round_or_diag(
    code: Code, key: Key, form: str, count: Int, centre: Ptr, shares: Ptr, sums: Ptr
) -> None:
    """Add up first moments (and their squares for diag), some vectors of columns at a time."""
    per_column = 2 if form == "diag" else 1
    lanes = key.real.lanes
    at_once = max(1, (key.registers - 4) // (per_column + 1)) * lanes
    for start in range(0, key.padded, at_once):
        columns = range(start, min(start + at_once, key.padded), lanes)
        places = [2 * LANES + p * key.padded + j for p in range(per_column) for j in columns]

        def row(a: Int, carry: list[Vec], columns: range = columns) -> list[Vec]:
            i = code.ptr("index").number(a)
            r, x = shares.splat(i), code.ptr("flat").at(i * key.padded)
            y = [x.load(j) - centre.load(j) for j in columns]
            if form != "diag":
                return [code.fma(r, one, total) for one, total in zip(y, carry, strict=True)]
            weighted = [r * one for one in y]
            first, second = carry[: len(y)], carry[len(y) :]
            return [a + b for a, b in zip(first, weighted, strict=True)] + [
                code.fma(w, one, total) for w, one, total in zip(weighted, y, second, strict=True)
            ]

        closed(sums, places, code.loop(count, row, opened(code, sums, places)))


def full(code: Code, key: Key, count: Int, centre: Ptr, shares: Ptr, sums: Ptr) -> None:
    """Add up first and second moments, PART rows of the list at a time."""

    def part(start: Int, _: list[Vec]) -> None:
        n = (count - start).minimum(PART)
        gather(code, key, start, n, centre, shares, sums.at(2 * LANES, "double"))
        second = sums.at(2 * LANES + key.padded, "double")
        height, width = (8, 3) if key.registers >= 28 else (4, 1)
        for i in range(0, key.n_columns, height):
            rows = range(i, min(i + height, key.n_columns))
            vectors = range(0, rows[-1] + 1, key.real.lanes)
            for j in range(0, len(vectors), width):
                block(code, key, n, second, rows, vectors[j : j + width])

    code.loop(count, part, step=PART)


def gather(code: Code, key: Key, start: Int, n: Int, centre: Ptr, shares: Ptr, first: Ptr) -> None:
    """Write differences and weighted differences of listed rows, and add up the latter."""
    work, columns = code.ptr("work"), range(0, key.padded, key.real.lanes)

    def row(a: Int, carry: list[Vec]) -> list[Vec]:
        i = code.ptr("index").number(start + a)
        r, x = shares.splat(i), code.ptr("flat").at(i * key.padded)
        totals = []
        for j, total in zip(columns, carry, strict=True):
            y = x.load(j) - centre.load(j)
            work.at(a * key.padded).store(j, y)
            work.at((a + PART) * key.padded).store(j, r * y)
            totals.append(code.fma(r, y, total))
        return totals

    closed(first, columns, code.loop(n, row, opened(code, first, columns)))


def block(code: Code, key: Key, n: Int, second: Ptr, rows: range, columns: range) -> None:
    """Add up the products of some weighted columns with some vectors of columns."""
    work = code.ptr("work")
    places = [row * key.padded + j for row in rows for j in columns]

    def add(a: Int, carry: list[Vec]) -> list[Vec]:
        y = [work.at(a * key.padded).load(j) for j in columns]
        weighted = work.at((a + PART) * key.padded)
        factors = [weighted.splat(row) for row in rows]
        pairs = [(w, one) for w in factors for one in y]
        return [code.fma(w, one, total) for (w, one), total in zip(pairs, carry, strict=True)]

    closed(second, places, code.loop(n, add, opened(code, second, places)))
