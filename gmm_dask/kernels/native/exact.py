"""Log densities of listed rows alone: most rows lie far from most components.

A projection of rows and component onto few directions bounds every density from above (the
Mahalanobis distance of a projection is at most that of the whole). The exact value is computed
first where a row's bound is highest, then wherever the bound leaves the component a share above
e^-50, which is 0 to double precision.
"""

from __future__ import annotations

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.flat import take
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import CHUNK, list_rows, numbers
from gmm_dask.kernels.native.multiply import panel_size
from gmm_dask.kernels.native.values import LANES, Int, Mask, Ptr, Vec
from gmm_dask.kernels.types import LOG_PROB_MIN

NEGLIGIBLE = 50.0
"""Shares below e^-NEGLIGIBLE of the largest are taken to be 0."""


def exact(key: Key, name: str) -> str:
    """Return a stage that replaces bounds by exact log joint densities.

    Arguments of the emitted function: flat (tile, padded), centres (K, padded), constants (K),
    factors (K, panel_size), log_joint (K, tile), label (tile; the component of the highest
    bound), level (tile; its exact value), top (tile; the highest exact value), work (padded + 2,
    CHUNK), index (tile + CHUNK) and K.

    Parameters
    ----------
    name : str
        "everywhere": compute all; "winners": where the label is k, which sets level and top;
        "survivors": the rest of those that can matter, -1e300 elsewhere.
    """
    code = Code(name, "flat centres constants factors log_joint label level top work index K")
    top, low = code.ptr("top"), code.const(LOG_PROB_MIN)
    if name != "survivors":
        code.loop(key.tile, lambda i, _: top.store(i, low), step=LANES)

    def component(k: Int, _: list[Vec]) -> None:
        out, index = code.ptr("log_joint").at(k * key.tile), code.ptr("index")
        count = list_rows(code, key.tile, lambda i: CHOSEN[name](code, k, i, out), index)
        centre = code.ptr("centres").at(k * key.padded)
        factor = code.ptr("factors").at(k * panel_size(key.n_columns))

        def chunk(a: Int, _: list[Vec]) -> None:
            evaluate(code, key, index.at(a), centre, factor)
            for r in range(0, CHUNK, LANES):
                square = code.ptr("work").at(key.padded * CHUNK).load(r)
                value = code.maximum(code.ptr("constants").splat(k) - square, low)
                write(code, name, numbers(index.at(a + r)), out, value)

        code.when(count.compare("sgt", 0), lambda: one(code.loop(count, chunk, step=CHUNK)))

    code.loop(code.integer("K"), component)
    return code.text()


def one(_: list[Vec]) -> None:
    """Drop what a loop returns."""


def evaluate(code: Code, key: Key, index: Ptr, centre: Ptr, factor: Ptr) -> None:
    """Write the squared lengths of CHUNK listed rows behind the work space."""
    work = code.ptr("work")

    def eight(r: Int, _: list[Vec]) -> None:
        take(code, key, numbers(index.at(r)), centre, work.at(r), CHUNK)

    code.loop(CHUNK, eight, step=LANES)
    code.call("squares", work, factor, work.at(key.padded * CHUNK))


def write(code: Code, name: str, rows: list[Int], out: Ptr, value: Vec) -> None:
    """Store eight exact values; copies of a row in the list's padding write the same."""
    top = code.ptr("top")
    out.put(rows, value)
    if name == "winners":
        code.ptr("level").put(rows, value)
        top.put(rows, value)
    else:
        top.put(rows, code.maximum(value, top.pick(rows)))


def _everywhere(code: Code, _: Int, __: Int, ___: Ptr) -> Mask:
    return code.const(0.0).equals(code.const(0.0))


def _winners(code: Code, k: Int, i: Int, _: Ptr) -> Mask:
    number = code.splat(code.emit(f"sitofp i64 {k.name} to double"))
    return code.ptr("label").load(i).equals(number)


def _survivors(code: Code, k: Int, i: Int, out: Ptr) -> Mask:
    bound = out.load(i)
    matters = bound + code.const(NEGLIGIBLE) > code.ptr("level").load(i)
    winner = _winners(code, k, i, out)
    out.store(i, winner.where(bound, code.const(LOG_PROB_MIN)))
    return matters & ~winner


CHOSEN = {"everywhere": _everywhere, "winners": _winners, "survivors": _survivors}
