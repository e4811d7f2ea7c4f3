"""Passes over rows with errors of their own, eight rows at a time.

Each row is measured under each component with the covariance ``V + C``, so every row and component
has a factorisation of its own. It is made again for the statistics, where some row has a share: log
densities are a third of a pass at D = 5, a sixth at D = 40, and scratch space stays small.
"""

from __future__ import annotations

import math
from types import ModuleType

from gmm_dask.kernels.native import noisy_diagonal, noisy_looped, noisy_unrolled
from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.exponential import exponential
from gmm_dask.kernels.native.logarithm import logarithm
from gmm_dask.kernels.native.noisy_key import NoisyKey, parameters_size, rooms, sums_size
from gmm_dask.kernels.native.outer import NEGLIGIBLE_SHARE
from gmm_dask.kernels.native.real import DOUBLE
from gmm_dask.kernels.native.tile import bounded
from gmm_dask.kernels.native.values import LANES, Int, Vec

TABLE = ("rows", "errors", "weight", "parameters", "sums", "out", "scratch", "counts")


def form(key: NoisyKey) -> ModuleType:
    """Return what computes densities and moments."""
    if key.diagonal:
        return noisy_diagonal
    return noisy_unrolled if key.unrolled else noisy_looped


def module(key: NoisyKey) -> str:
    """Return the LLVM text of a pass over rows.

    Its function takes the address of a table of addresses: rows (N, D) in the frame, errors (N, D)
    or (N, D, D), weight (N), parameters (K, parameters_size), sums (K, sums_size, LANES), out: log
    densities (N), or log joint densities (N, K); scratch (scratch_size), and counts: N, a multiple
    of 8, and K. A row is lost where every log joint density is below -5e299: then its log density
    is that, and it adds nothing. Where V + C is not positive definite log densities are NaN.
    """
    code = Code("run", "table", public=True)
    table = code.ptr("table")
    at = {name: table.address(i) for i, name in enumerate(TABLE)}
    N, K = at["counts"].number(0), at["counts"].number(1)
    place = at["scratch"]
    for name, vectors in rooms(key).items():
        at[name] = place
        place = place.at(vectors * LANES)

    def rows(i: Int, _: list[Vec]) -> None:
        load(code, key, at, i)
        sound = densities(code, key, at, K)
        if key.task == "log_joint":
            write(code, at, i, sound, K)
        else:
            weight = share(code, at, i, sound, K)
            moments(code, key, at, weight, K)

    code.loop(N, rows, step=LANES)
    vec = DOUBLE.vec
    return f"declare {vec} {DOUBLE.fma}({vec}, {vec}, {vec})\n" + code.text()


def load(code: Code, key: NoisyKey, at: dict[str, Ptr], i: Int) -> None:
    """Bring eight rows and their errors into columns; coordinates too far out are drawn in.

    Columns of the padding stay 0.
    """
    D = key.n_columns
    source = at["rows"].at(i * D)
    for j in range(D):
        y = bounded(code, source.at(j).gather(D), DOUBLE.farthest)
        at["y"].store(j * LANES, y)
    if key.noise == "diag":
        errors = at["errors"].at(i * D)
        for j in range(D):
            at["noise"].store(j * LANES, errors.at(j).gather(D))
        return

    def row(a: Int, _: list[Vec]) -> None:
        errors = at["errors"].at(i * (D * D)).at(a * D)
        noise = at["noise"].at(a * (key.width * LANES))
        code.loop(D, lambda b, _: noise.store(b * LANES, errors.at(b).gather(D * D)))

    code.loop(D, row)


def densities(code: Code, key: NoisyKey, at: dict[str, Ptr], K: Int) -> Vec:
    """Write log joint densities, at least -1e300; return 0, NaN where one of them is NaN."""
    low, nan = code.const(DOUBLE.lowest), code.const(math.nan)

    def component(k: Int, sound: list[Vec]) -> list[Vec]:
        of_k = at["parameters"].at(k * parameters_size(key))
        value = form(key).density(code, key, at, of_k)
        at["log_joint"].store(k * LANES, code.maximum(value, low))
        return [value.equals(value).where(sound[0], nan)]

    sound: list[Vec] = code.loop(K, component, [code.const(0.0)])
    return sound[0]


def write(code: Code, at: dict[str, Ptr], i: Int, sound: Vec, K: Int) -> None:
    """Write log joint densities to the output."""
    out = at["out"].at(i * K)

    def component(k: Int, _: list[Vec]) -> None:
        out.at(k).scatter(K, at["log_joint"].load(k * LANES) + sound)

    code.loop(K, component)


def share(code: Code, at: dict[str, Ptr], i: Int, sound: Vec, K: Int) -> Vec:
    """Turn log joint densities into shares; return what these must be multiplied by.

    That is 0 where a row is lost.
    """
    low, zero = code.const(DOUBLE.lowest), code.const(0.0)

    def highest(k: Int, top: list[Vec]) -> list[Vec]:
        return [code.maximum(at["log_joint"].load(k * LANES), top[0])]

    top: Vec = code.loop(K, highest, [low])[0]

    def component(k: Int, total: list[Vec]) -> list[Vec]:
        one_share = exponential(code, at["log_joint"].load(k * LANES) - top)
        at["log_joint"].store(k * LANES, one_share)
        return [total[0] + one_share]

    total: Vec = code.loop(K, component, [zero])[0]
    good = top > code.const(DOUBLE.lost)
    at["out"].at(i).store(0, top + logarithm(code, total) + sound)
    return good.where(at["weight"].at(i).load() / total, zero)


def moments(code: Code, key: NoisyKey, at: dict[str, Ptr], weight: Vec, K: Int) -> None:
    """Add eight rows to the sums; shares below 2^-72 alone add to no moment."""

    def component(k: Int, _: list[Vec]) -> None:
        one_share = at["log_joint"].load(k * LANES)
        r = one_share * weight
        sums = at["sums"].at(k * (sums_size(key) * LANES))
        sums.store(0, sums.load() + r)
        of_k = at["parameters"].at(k * parameters_size(key))
        some = (one_share > code.const(NEGLIGIBLE_SHARE)) & (r > code.const(0.0))
        code.when(
            some.bits().compare("ne", 0),
            lambda: form(key).add(code, key, at, of_k, sums, r),
        )

    code.loop(K, component)
