"""From log joint densities to responsibilities: the second stage of a pass."""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import TILE
from gmm_dask.kernels.native.exponential import exponential
from gmm_dask.kernels.native.values import LANES, Int, Vec
from gmm_dask.kernels.types import LOG_PROB_MIN


def softmax(hard: bool) -> str:
    """Return the stage that turns log joint densities into shares, in place.

    Arguments of the emitted function: log_joint (K, TILE), which becomes shares (not yet
    normalised); top (TILE), the row maxima, set to 0 where a row is lost; total (TILE), the sums
    of the shares, 1 where lost; weight (TILE), what the shares must be multiplied by: 1 / total,
    0 for lost rows and for rows from ROWS on; lost, a bit for each row; K and ROWS.

    A row is lost when its density under every component is not representable.

    Parameters
    ----------
    hard : bool
        Give each row to its likeliest component alone (the first of equals).
    """
    code = Code("softmax", "log_joint top total weight lost K ROWS")
    top, total, weight = code.ptr("top"), code.ptr("total"), code.ptr("weight")
    one, zero = code.const(1.0), code.const(0.0)
    lowest = code.const(0.5 * LOG_PROB_MIN)

    def rows(i: Int, _: list[Vec]) -> None:
        highest = top.load(i)
        sums = (shares_hard if hard else shares_soft)(code, i, highest)
        present = code.first_lanes(code.integer("ROWS") - i)
        good = (highest > lowest) & present
        code.ptr("lost").store_byte(i // LANES, (present & ~good).bits())
        top.store(i, good.where(highest, zero))
        sums = good.where(sums, one)
        total.store(i, sums)
        weight.store(i, good.where(one / sums, zero))

    code.loop(TILE, rows, step=LANES)
    return code.text()


def shares_soft(code: Code, i: Int, highest: Vec) -> Vec:
    """Replace log joint densities by ``exp(value - highest)``; return the sums over components."""
    values = code.ptr("log_joint").at(i)

    def component(k: Int, sums: list[Vec]) -> list[Vec]:
        at = values.at(k * TILE)
        share = exponential(code, at.load() - highest)
        at.store(0, share)
        return [sums[0] + share]

    return code.loop(code.integer("K"), component, [code.const(0.0)])[0]


def shares_hard(code: Code, i: Int, highest: Vec) -> Vec:
    """Replace log joint densities by 1 at the first highest and 0 elsewhere; return ones."""
    values = code.ptr("log_joint").at(i)
    one, zero = code.const(1.0), code.const(0.0)

    def component(k: Int, sums: list[Vec]) -> list[Vec]:
        at = values.at(k * TILE)
        free = sums[0].equals(zero)
        share = (at.load().equals(highest) & free).where(one, zero)
        at.store(0, share)
        return [sums[0] + share]

    return code.loop(code.integer("K"), component, [zero])[0]
