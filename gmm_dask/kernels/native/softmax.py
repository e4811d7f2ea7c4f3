"""From log joint densities to responsibilities: the second stage of a pass."""

from __future__ import annotations

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.exponential import exponential
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.values import LANES, Int, Vec


def softmax(key: Key) -> str:
    """Return the stage that turns log joint densities into shares.

    Arguments of the emitted function: log_joint (K, tile); shares (K, tile), not yet normalised,
    not touched if in place; top (tile), the row maxima, set to 0 where a row is lost; total
    (tile), the sums of the shares, 1 where lost; weight (tile), what the shares must be
    multiplied by: 1 / total, 0 for lost rows and for rows from ROWS on; entropy (tile), the sums
    of share * (highest - log_joint), written for the task "assign" alone; lost, a bit for each
    row; K and ROWS. With `Key.weighted` row_weight (tile) stands before lost, and `weight` is
    multiplied by it.

    A row is lost when its density under every component is too small for the arithmetic.
    With `Key.hard` its likeliest component (the first of equals) has all of a row.
    """
    of_row = "row_weight " if key.weighted else ""
    arguments = f"log_joint shares top total weight entropy {of_row}lost K ROWS"
    code, lanes = Code("softmax", arguments, real=key.real), key.real.lanes
    top, total, weight = code.ptr("top"), code.ptr("total"), code.ptr("weight")
    out = code.ptr("log_joint" if key.in_place else "shares")
    one, zero = code.const(1.0), code.const(0.0)

    def rows(i: Int, _: list[Vec]) -> None:
        highest = top.load(i)
        sums, *entropy = write_shares(code, key, i, highest, out)
        present = code.first_lanes(code.integer("ROWS") - i)
        good = (highest > code.const(key.real.lost)) & present
        code.ptr("lost").store_bits(i // LANES, (present & ~good).bits(), lanes)
        top.store(i, good.where(highest, zero))
        sums = good.where(sums, one)
        total.store(i, sums)
        own = code.ptr("row_weight").load(i) if key.weighted else one
        weight.store(i, good.where(own / sums, zero))
        for value in entropy:
            code.ptr("entropy").store(i, value)

    code.loop(code.integer("ROWS") if key.near else key.tile, rows, step=lanes)
    return code.text()


def write_shares(code: Code, key: Key, i: Int, highest: Vec, out: Ptr) -> list[Vec]:
    """Write the shares of a vector of rows; return their sums over components, and entropies."""
    one, zero = code.const(1.0), code.const(0.0)

    def component(k: Int, sums: list[Vec]) -> list[Vec]:
        value = code.ptr("log_joint").at(k * key.tile).load(i)
        if key.hard:
            free = sums[0].equals(zero)
            share = (value.equals(highest) & free).where(one, zero)
        else:
            share = exponential(code, value - highest)
        out.at(k * key.tile).store(i, share)
        entropy = [code.fma(share, highest - value, total) for total in sums[1:]]
        return [sums[0] + share, *entropy]

    start = [zero, zero] if key.task == "assign" else [zero]
    return code.loop(code.integer("K"), component, start)


def labels(key: Key) -> str:
    """Return the stage that finds the likeliest component of each row, the first of equals.

    Arguments of the emitted function: log_joint (K, tile), top (tile), label (tile) and K.
    """
    code = Code("labels", "log_joint top label K", real=key.real)

    def rows(i: Int, _: list[Vec]) -> None:
        highest = code.ptr("top").load(i)

        def component(k: Int, found: list[Vec]) -> list[Vec]:
            back = k * -1 + (code.integer("K") - 1)
            value = code.ptr("log_joint").at(back * key.tile).load(i)
            number = code.splat_number(back)
            return [value.equals(highest).where(number, found[0])]

        label = code.loop(code.integer("K"), component, [code.const(0.0)])[0]
        code.ptr("label").store(i, label)

    code.loop(key.tile, rows, step=key.real.lanes)
    return code.text()
