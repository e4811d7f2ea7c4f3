"""From log joint densities to responsibilities: the second stage of a pass."""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import TILE
from gmm_dask.kernels.native.exponential import exponential
from gmm_dask.kernels.native.values import LANES, Int, Ptr, Vec
from gmm_dask.kernels.types import LOG_PROB_MIN


def softmax(hard: bool, in_place: bool) -> str:
    """Return the stage that turns log joint densities into shares.

    Arguments of the emitted function: log_joint (K, TILE); shares (K, TILE), not yet normalised,
    not touched if in place; top (TILE), the row maxima, set to 0 where a row is lost; total (TILE), the sums of the
    shares, 1 where lost; weight (TILE), what the shares must be multiplied by: 1 / total, 0 for
    lost rows and for rows from ROWS on; lost, a bit for each row; K and ROWS.

    A row is lost when its density under every component is not representable.

    Parameters
    ----------
    hard : bool
        Give each row to its likeliest component alone (the first of equals).
    in_place : bool
        Write the shares over the log joint densities: half the memory to move.
    """
    code = Code("softmax", "log_joint shares top total weight lost K ROWS")
    top, total, weight = code.ptr("top"), code.ptr("total"), code.ptr("weight")
    out = code.ptr("log_joint" if in_place else "shares")
    one, zero = code.const(1.0), code.const(0.0)

    def rows(i: Int, _: list[Vec]) -> None:
        highest = top.load(i)
        sums = write_shares(code, hard, i, highest, out)
        present = code.first_lanes(code.integer("ROWS") - i)
        good = (highest > code.const(0.5 * LOG_PROB_MIN)) & present
        code.ptr("lost").store_byte(i // LANES, (present & ~good).bits())
        top.store(i, good.where(highest, zero))
        sums = good.where(sums, one)
        total.store(i, sums)
        weight.store(i, good.where(one / sums, zero))

    code.loop(TILE, rows, step=LANES)
    return code.text()


def write_shares(code: Code, hard: bool, i: Int, highest: Vec, out: Ptr) -> Vec:
    """Write the shares of eight rows; return their sums over components."""
    one, zero = code.const(1.0), code.const(0.0)

    def component(k: Int, sums: list[Vec]) -> list[Vec]:
        value = code.ptr("log_joint").at(k * TILE).load(i)
        if hard:
            free = sums[0].equals(zero)
            share = (value.equals(highest) & free).where(one, zero)
        else:
            share = exponential(code, value - highest)
        out.at(k * TILE).store(i, share)
        return [sums[0] + share]

    return code.loop(code.integer("K"), component, [zero])[0]


def labels() -> str:
    """Return the stage that finds the likeliest component of each row, the first of equals.

    Arguments of the emitted function: log_joint (K, TILE), top (TILE), label (TILE) and K.
    """
    code = Code("labels", "log_joint top label K")

    def rows(i: Int, _: list[Vec]) -> None:
        highest = code.ptr("top").load(i)

        def component(k: Int, found: list[Vec]) -> list[Vec]:
            back = k * -1 + (code.integer("K") - 1)
            value = code.ptr("log_joint").at(back * TILE).load(i)
            number = code.splat(code.emit(f"sitofp i64 {back.name} to double"))
            return [value.equals(highest).where(number, found[0])]

        label = code.loop(code.integer("K"), component, [code.const(0.0)])[0]
        code.ptr("label").store(i, label)

    code.loop(TILE, rows, step=LANES)
    return code.text()
