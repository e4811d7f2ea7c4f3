"""Log densities of listed rows alone: most rows lie far from most components.

A projection of rows and component onto few directions bounds every density from above (the
Mahalanobis distance of a projection is at most that of the whole). The exact value is computed
first where a row's bound is highest, then wherever the bound leaves the component a share above
e^-50, which is 0 to double precision.
"""

from __future__ import annotations

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.flat import take
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import list_rows, numbers
from gmm_dask.kernels.native.multiply import panel_size
from gmm_dask.kernels.native.values import Int, Mask, Vec

NEGLIGIBLE = 50.0
"""Shares below e^-NEGLIGIBLE of the largest are taken to be 0."""


def exact(key: Key, name: str) -> str:
    """Return a stage that replaces bounds by exact log joint densities.

    Arguments of the emitted function: flat (tile, padded), centres (K, padded), constants (K),
    factors (K, panel_size), log_joint (K, tile), label (tile; the component of the highest
    bound), level (tile; its exact value), top (tile; the highest exact value), work (padded + 1,
    lanes), index (tile + lanes) and K.

    Parameters
    ----------
    name : str
        "everywhere": compute all; "winners": where the label is k, which sets level and top;
        "survivors": the rest of those that can matter, -1e300 elsewhere.
    """
    arguments = "flat centres constants factors log_joint label level top work index K"
    code, lanes = Code(name, arguments, real=key.real), key.real.lanes
    top, low = code.ptr("top"), code.const(key.real.lowest)
    if name != "survivors":
        code.loop(key.tile, lambda i, _: top.store(i, low), step=lanes)

    def component(k: Int, _: list[Vec]) -> None:
        out, index = code.ptr("log_joint").at(k * key.tile), code.ptr("index")
        count, _ = list_rows(
            code, key.tile, lambda i, _: (CHOSEN[name](code, k, i, out), []), index
        )
        centre = code.ptr("centres").at(k * key.padded)
        factor = code.ptr("factors").at(k * panel_size(key.n_columns))

        def some(a: Int, _: list[Vec]) -> None:
            rows = numbers(index.at(a, "i64"), lanes)
            work = code.ptr("work")
            take(code, key, rows, centre, work, lanes)
            result = work.at(key.padded * lanes)
            code.call("squares", work, factor, result)
            value = code.ptr("constants").splat(k) - result.load()
            write(code, name, rows, out, code.maximum(value, low))

        code.when(count.compare("sgt", 0), lambda: nothing(code.loop(count, some, step=lanes)))

    code.loop(code.integer("K"), component)
    return code.text()


def nothing(_: list[Vec]) -> None:
    """Drop what a loop returns."""


def write(code: Code, name: str, rows: list[Int], out: Ptr, value: Vec) -> None:
    """Store exact values; copies of a row in the list's padding write the same."""
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
    number = code.splat_number(k)
    return code.ptr("label").load(i).equals(number)


def _survivors(code: Code, k: Int, i: Int, out: Ptr) -> Mask:
    bound = out.load(i)
    matters = bound + code.const(NEGLIGIBLE) > code.ptr("level").load(i)
    winner = _winners(code, k, i, out)
    out.store(i, winner.where(bound, code.const(code.real.lowest)))
    return matters & ~winner


CHOSEN = {"everywhere": _everywhere, "winners": _winners, "survivors": _survivors}
