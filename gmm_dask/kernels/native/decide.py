"""The components in slots: what a run's list leaves of each is computed exactly.

See `gmm_dask.kernels.native.near` for the bounds.
"""

from __future__ import annotations

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.flat import take
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import list_rows, numbers
from gmm_dask.kernels.native.multiply import panel_size
from gmm_dask.kernels.native.near import SKIPPED, SLACK, UNROLLED, save
from gmm_dask.kernels.native.values import LANES, Int, Mask, Vec


def decide(key: Key) -> str:
    """Return the stage that computes what matters of the listed components, in slots.

    Arguments of the emitted function: flat (tile, padded), white, level and dist as made by
    `enter`, list and found as made by `reach`, whites (K, padded; means in the common metric),
    constants, loose, rough (K; what rounding may cost of a square), precisions (K, D, padded; in
    the common metric), centres (K, padded), factors (K, panel_size), log_joint (slots, tile), which
    (the component of each slot), top (tile), work, index, delta and gradient (padded), the home's
    number HOME, and ROWS. Slot 0 is the home's; `found` becomes the number of slots.
    """
    arguments = (
        "flat white level dist list found whites constants loose rough precisions centres "
        "factors log_joint which top work index delta gradient HOME ROWS"
    )
    code = Code("decide", arguments, real=key.real)
    home, which, found = code.integer("HOME"), code.ptr("which"), code.ptr("found")
    save(code, which, 0, home)

    def component(a: Int, carry: list[Int]) -> list[Int]:
        j, slot = code.ptr("list").number(a), carry[0]
        save(code, which, slot, j)
        save(code, found, 1, code.constant(0))
        out = code.ptr("log_joint").at(slot * key.tile)
        code.when(j.compare("ne", home), lambda: closer(code, key, j, home, out))
        return [slot + found.number(1).minimum(1)]

    one = code.constant(1)
    slots = code.loop(found.number(0), component, [one])
    save(code, found, 0, slots[0])
    return code.text()


def difference(code: Code, key: Key, j: Int, home: Int) -> Vec:
    """Write the difference of two means in the common metric; return its square in all lanes."""
    mine, theirs = (code.ptr("whites").at(k * key.padded) for k in (j, home))
    total = code.const(0.0)
    for c in range(0, key.padded, LANES):
        step = mine.load(c) - theirs.load(c)
        code.ptr("delta").store(c, step)
        total = code.fma(step, step, total)
    return summed(total)


def product(code: Code, key: Key, i: Int, along: Ptr) -> Vec:
    """Return the products of rows, in the common metric about their home, with a vector."""
    white = code.ptr("white").at(i * key.padded)

    def columns(c: Int | int, sums: list[Vec], n_columns: int = LANES) -> list[Vec]:
        by, here, sums = along.at(c), white.at(c * LANES), list(sums)
        for n in range(n_columns):
            sums[n % 2] = code.fma(here.load(n * LANES), by.splat(n), sums[n % 2])
        return sums

    sums = [code.const(0.0), code.const(0.0)]
    if key.n_columns <= UNROLLED:
        even, odd = columns(0, sums, key.n_columns)
    else:
        even, odd = code.loop(key.padded, columns, sums, step=LANES)
    return even + odd


def closer(code: Code, key: Key, j: Int, home: Int, out: Ptr) -> None:
    """Look at all columns of the common metric, and go on where they leave a row."""
    apart = difference(code, key, j, home)

    def choose(i: Int, _: list[Vec]) -> tuple[Mask, list[Vec]]:
        return may_matter(code, key, i, j, apart), []

    count, _ = list_rows(code, code.integer("ROWS"), choose, code.ptr("index"))
    code.when(count.compare("sgt", 0), lambda: closest(code, key, j, apart, out))


def may_matter(code: Code, key: Key, i: Int, j: Int, apart: Vec) -> Mask:
    """Return the rows for which the distance in the common metric does not dismiss component j."""
    squares = code.ptr("dist").load(i) + apart
    both = product(code, key, i, code.ptr("delta"))
    square = code.fma(code.const(-2.0), both, squares * code.const(1 - SLACK))
    loose, level = code.ptr("loose").splat(j), code.ptr("level").load(i)
    bound = code.fma(-loose, square, code.ptr("constants").splat(j))
    return (bound > level - code.const(SKIPPED)) & code.first_lanes(code.integer("ROWS") - i)


def closest(code: Code, key: Key, j: Int, apart: Vec, out: Ptr) -> None:
    """Look at rows with the precision of component j, and compute what still matters."""
    square = slope(code, key, j)
    constant = code.fma(square, code.const(-0.5), code.ptr("constants").splat(j))
    loose, rough = code.ptr("loose").splat(j), code.ptr("rough").splat(j)

    def matters(i: Int, _: list[Vec]) -> tuple[Mask, list[Vec]]:
        dist, level = code.ptr("dist").load(i), code.ptr("level").load(i)
        bound = constant + product(code, key, i, code.ptr("gradient"))
        bound = code.fma(-loose, dist, code.fma(rough, dist + apart, bound))
        out.store(i, code.const(key.real.lowest))
        some = code.first_lanes(code.integer("ROWS") - i)
        return (bound > level - code.const(SKIPPED)) & some, []

    count, _ = list_rows(code, code.integer("ROWS"), matters, code.ptr("index"))
    save(code, code.ptr("found"), 1, count)
    code.when(count.compare("sgt", 0), lambda: compute(code, key, j, count, out))


def slope(code: Code, key: Key, j: Int) -> Vec:
    """Write the gradient P d of a density's exponent at the home; return d^T P d in all lanes."""
    precision = code.ptr("precisions").at(j * (key.n_columns * key.padded))
    delta, total = code.ptr("delta"), code.const(0.0)
    for first in range(0, key.padded, 4 * LANES):
        some = range(first, min(first + 4 * LANES, key.padded), LANES)

        def add(i: Int, sums: list[Vec], some: range = some) -> list[Vec]:
            row, by = precision.at(i * key.padded), delta.splat(i)
            return [code.fma(by, row.load(c), one) for c, one in zip(some, sums, strict=True)]

        parts = code.loop(key.n_columns, add, [code.const(0.0) for _ in some])
        for c, part in zip(some, parts, strict=True):
            code.ptr("gradient").store(c, part)
            total = code.fma(part, delta.load(c), total)
    return summed(total)


def summed(total: Vec) -> Vec:
    """Return the sum of the lanes in all lanes."""
    for apart in (4, 2, 1):
        total = total + total.shuffle(total, [lane ^ apart for lane in range(LANES)])
    return total


def compute(code: Code, key: Key, j: Int, count: Int, out: Ptr) -> None:
    """Compute the exact densities of the rows that `index` lists."""
    centre = code.ptr("centres").at(j * key.padded)
    factor = code.ptr("factors").at(j * panel_size(key.n_columns))
    work, top = code.ptr("work"), code.ptr("top")

    def some(a: Int, _: list[Vec]) -> None:
        rows = numbers(code.ptr("index").at(a, "i64"), LANES)
        take(code, key, rows, centre, work, LANES)
        result = work.at(key.padded * LANES)
        code.call("squares", work, factor, result)
        value = code.ptr("constants").splat(j) - result.load()
        value = code.maximum(value, code.const(key.real.lowest))
        out.put(rows, value)
        top.put(rows, code.maximum(value, top.pick(rows)))

    code.loop(count, some, step=LANES)
