"""Log densities of rows that share a home: the components that can matter are few among many.

A run is up to a tile of rows that lie nearest to one component, their home. Three bounds
dismiss the others, with A the whitening of the spread within components:

- every row of a run lies within a ball about its home, of radius ``max |(x - home) @ A|``, and
  component j stretches lengths by at most s_j, so that its distance from any of these rows is at
  least ``d_j(home) - s_j * radius``: a number for each pair of components, made once per pass;
- the squared distance from component j is at least ``l_j |(x - mean_j) @ A|^2``;
- with its precision P and d = mean_j - home, it is at least ``d^T P d - 2 d^T P (x - home) + l_j
  |(x - home) @ A|^2``: linear in the row but for what is known.

Each needs more work than the one before, and meets fewer components. What all of them leave is
computed exactly. The squares of the last are taken about the home, so that no digit is lost where
bounds matter; `rough` covers what rounding could do in a metric that is nearly singular.
"""

from __future__ import annotations

from collections.abc import Iterator

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.flat import take
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import write_numbers
from gmm_dask.kernels.native.multiply import above
from gmm_dask.kernels.native.values import LANES, Int, Vec

SKIPPED = 30.0
"""Components with a share below e^-SKIPPED = 9.4e-14 of a row are skipped."""
SLACK = 1e-9
"""By which bounds are loosened, as a fraction of the squares that they are made of."""
AT_ONCE = 4
"""Rows that share what is loaded of eight components."""
UNROLLED = 48
"""Columns up to which a product is straight code."""
FARTHEST = 1e300
"""Of squared distances, so that radii are finite."""


def enter(key: Key) -> str:
    """Return the stage that meets the home: exact densities, and places in the common metric.

    Arguments of the emitted function: flat (tile, padded), home (padded), constant, factor
    (panel_size), metric (padded / lanes, D, lanes), white (tile / lanes, padded, lanes), rest (the
    lengths along all but the leading columns), level, dist (squared lengths), log_joint and top
    (tile), work and ROWS. Lanes behind the last row repeat it.
    """
    arguments = "flat home constant factor metric white rest level dist log_joint top work ROWS"
    code, lanes = Code("enter", arguments, real=key.real), LANES
    n, work = code.integer("ROWS"), code.ptr("work")

    def rows(i: Int, _: list[Vec]) -> None:
        some = [(i + lane).minimum(n - 1) for lane in range(lanes)]
        take(code, key, some, code.ptr("home"), work, lanes)
        result = work.at(key.padded * lanes)
        code.call("squares", work, code.ptr("factor"), result)
        value = code.ptr("constant").splat() - result.load()
        value = code.maximum(value, code.const(key.real.lowest))
        for name in ("level", "log_joint", "top"):
            code.ptr(name).store(i, value)
        white, total, rest = code.ptr("white").at(i * key.padded), code.const(0.0), code.const(0.0)
        for c, z in common_metric(code, key, work):
            white.store(c * lanes, z)
            total = code.fma(z, z, total)
            rest = code.fma(z, z, rest) if c >= leading(key) else rest
        farthest = code.const(FARTHEST)
        code.ptr("dist").store(i, (farthest > total).where(total, farthest))
        code.ptr("rest").store(i, root(code, rest))

    code.loop(n, rows, step=lanes)
    return code.text()


def leading(key: Key) -> int:
    """Return how many columns of the common metric are compared one by one in `reach`."""
    return -(-key.n_columns // 2)


def common_metric(code: Code, key: Key, rows: Ptr) -> Iterator[tuple[int, Vec]]:
    """Yield the columns of a vector of rows in the common metric, zeros behind the last."""
    at_once = min(LANES, key.registers)
    for start in range(0, key.padded, LANES):
        panel = code.ptr("metric").at(start * key.n_columns), key.n_columns, LANES
        for first in range(0, LANES, at_once):
            some = range(first, min(first + at_once, LANES))
            sums = above(code, rows, LANES, panel, some)
            yield from ((start + c, z) for c, z in zip(some, sums, strict=True))


def root(code: Code, square: Vec) -> Vec:
    """Return the square root."""
    kind = square.kind
    text = f"call {kind} @llvm.sqrt.v{LANES}f64({kind} {square.name})"
    return Vec(code, code.emit(text), square.real)


def across(value: Vec, larger: bool) -> Vec:
    """Return the largest (or smallest) lane in all lanes."""
    for apart in (4, 2, 1):
        other = value.shuffle(value, [lane ^ apart for lane in range(LANES)])
        value = (value > other).where(*((value, other) if larger else (other, value)))
    return value


def reach(key: Key) -> str:
    """Return the stage that lists the components which neither bound dismisses for all rows.

    Arguments of the emitted function: apart (K of whole vectors; distances of the home from each
    component, in that component's metric), constants, stretch and loose (the same length; loose is
    half the least squared stretch), places (K / lanes, D, lanes; means in the common metric), home
    (D; that of the home), white, rest, level and dist as made by `enter`, list (K and a vector
    more), found (1; how many are listed), excess (a vector), delta (D, lanes), K and ROWS.
    """
    arguments = (
        "apart constants stretch loose places home white rest level dist list found excess delta "
        "K ROWS"
    )
    code = Code("reach", arguments, real=key.real)
    least, radius = ball(code)
    excess, low = code.ptr("excess"), code.const(key.real.lowest)

    def block(j: Int, carry: list[Int]) -> list[Int]:
        gap = code.ptr("apart").load(j) - code.ptr("stretch").load(j) * radius
        gap = code.maximum(gap, code.const(0.0))
        constant = code.ptr("constants").load(j)
        near = code.fma(gap * code.const(-0.5), gap, constant) > least
        excess.store(0, low)
        code.when(near.bits().compare("ne", 0), lambda: all_rows(code, key, j))
        kept = (constant + excess.load() > code.const(-SKIPPED)) & near
        return [carry[0] + write_numbers(code, j, kept.bits(), code.ptr("list"), carry[0])]

    count = code.loop(code.integer("K"), block, [code.constant(0)], step=LANES)[0]
    save(code, code.ptr("found"), 0, count)
    return code.text()


def ball(code: Code) -> tuple[Vec, Vec]:
    """Return the lowest density that matters for any row, and the radius of the ball of all."""

    def rows(i: Int, carry: list[Vec]) -> list[Vec]:
        low, far = code.ptr("level").load(i), code.ptr("dist").load(i)
        return [(low > carry[0]).where(carry[0], low), code.maximum(far, carry[1])]

    first = [code.ptr("level").load(0), code.ptr("dist").load(0)]
    low, far = code.loop(code.integer("ROWS"), rows, first, step=LANES)
    radius = root(code, across(far, larger=True))
    return across(low, larger=False) - code.const(SKIPPED), radius


def all_rows(code: Code, key: Key, j: Int) -> None:
    """Write how far bounds of eight components exceed the home's densities, at most, of any row."""
    loose, places = code.ptr("loose").load(j), code.ptr("places").at(j * key.n_columns)

    P, D = leading(key), key.n_columns

    def shift(c: Int, sums: list[Vec]) -> list[Vec]:
        about = places.at(c * LANES).load() - code.ptr("home").splat(c)
        code.ptr("delta").at(c * LANES).store(0, about)
        return [code.fma(about, about, one) for one in sums]

    code.loop(P, shift)
    zero = [code.const(0.0)]
    beyond = root(code, code.loop(D, shift, zero, start=P)[0]) if P < D else None

    def some(i: Int, carry: list[Vec]) -> list[Vec]:
        group = i // LANES
        lane = i - group * LANES
        white = code.ptr("white").at(group * (LANES * key.padded)).at(lane)
        level, best = code.ptr("level").at(i), carry[0]
        for r, square in enumerate(squared_distances(code, key, white)):
            if beyond is not None:
                gap = beyond - code.ptr("rest").at(i).splat(r)
                square = code.fma(gap, gap, square)
            value = code.fma(-loose, square * code.const(1 - SLACK), -level.splat(r))
            best = code.maximum(value, best)
        return [best]

    lowest = code.const(key.real.lowest)
    best = code.loop(code.integer("ROWS"), some, [lowest], step=AT_ONCE)[0]
    code.ptr("excess").store(0, best)


def squared_distances(code: Code, key: Key, white: Ptr) -> list[Vec]:
    """Return squared distances of some rows from eight components, along the leading columns."""

    def columns(c: Int | int, sums: list[Vec], n_columns: int) -> list[Vec]:
        sums = list(sums)
        for n in range(n_columns):
            delta = code.ptr("delta").at((c + n) * LANES).load()
            for r in range(AT_ONCE):
                away = delta - white.at((c + n) * LANES).splat(r)
                sums[r] = code.fma(away, away, sums[r])
        return sums

    sums, P = [code.const(0.0)] * AT_ONCE, leading(key)
    if P <= UNROLLED:
        return columns(0, sums, P)
    whole = P // LANES * LANES
    sums = code.loop(whole, lambda c, now: columns(c, now, LANES), sums, step=LANES)
    return columns(whole, sums, P % LANES)


def save(code: Code, at: Ptr, index: Int | int, value: Int) -> None:
    """Store a 64-bit integer."""
    code.line(f"store i64 {value.name}, ptr {at.at(index, 'i64').name}, align 8")
