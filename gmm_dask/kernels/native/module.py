"""The modules of machine code: what each task does with a tile, and the stages it needs."""

from __future__ import annotations

from collections.abc import Callable

from gmm_dask.kernels.native.decide import decide
from gmm_dask.kernels.native.density import density
from gmm_dask.kernels.native.exact import exact
from gmm_dask.kernels.native.flat import columns, load_flat, project
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.lists import positions
from gmm_dask.kernels.native.moments import moments
from gmm_dask.kernels.native.multiply import squares, whiten_columns
from gmm_dask.kernels.native.near import enter, reach
from gmm_dask.kernels.native.outer import list_moments
from gmm_dask.kernels.native.passes import Pass
from gmm_dask.kernels.native.runs import run_of_runs
from gmm_dask.kernels.native.softmax import labels, softmax
from gmm_dask.kernels.native.tile import load_shares, load_tile, whiten
from gmm_dask.kernels.native.values import Int, Vec


def e_step(p: Pass, i: Int) -> None:
    """E-step and statistics of a tile."""
    p.density()
    p.softmax(i)
    if p.key.weighted:
        p.per_row(i)
    else:
        p.per_tile(i)
    p.moments()


def log_prob(p: Pass, i: Int) -> None:
    """Log joint densities of a tile."""
    p.density()
    p.write(i, "log_joint", weigh=False)


def resp(p: Pass, i: Int) -> None:
    """Responsibilities of a tile."""
    p.density()
    p.softmax(i)
    p.per_row(i)
    p.write(i, "shares", weigh=True)


def assign(p: Pass, i: Int) -> None:
    """Likeliest components of a tile, and what their probabilities follow from."""
    p.density()
    p.labels(i)
    p.softmax(i)
    p.per_row(i)


def given_moments(p: Pass, i: Int) -> None:
    """Statistics of a tile from given responsibilities."""
    if p.key.form == "spherical":
        p.density()
    given = p.at["given"].at(i * p.K)
    row = [p.room(name) for name in ("shares", "weight", "total")]
    p.code.call("load_shares", given, *row, p.K, p.valid - i)
    p.moments()


BODY = {
    "e_step": e_step,
    "log_prob": log_prob,
    "resp": resp,
    "assign": assign,
    "moments": given_moments,
}


def run(key: Key) -> str:
    """Return the public function of a module."""
    p = Pass(key)

    def tile(i: Int, _: list[Vec]) -> None:
        p.load(i)
        BODY[key.task](p, i)

    p.code.loop(p.n, tile, step=key.tile)
    return p.code.text()


def stages(key: Key) -> dict[str, Callable[[], str]]:
    """Return what makes each stage, callers before callees."""
    sums = list_moments if key.lists else moments
    return {
        "load_tile": lambda: load_tile(key),
        "load_flat": lambda: load_flat(key),
        "load_shares": lambda: load_shares(key),
        "columns": lambda: columns(key),
        "whiten": lambda: whiten(key),
        "whiten_columns": lambda: whiten_columns(key),
        "density": lambda: density(key.form, key.n_columns, key.tile, real=key.real),
        "project": lambda: project(key),
        "bounds": lambda: density(
            "tied" if key.metric else "full", key.projected, key.tile, "bounds", key.real
        ),
        "winners": lambda: exact(key, "winners"),
        "survivors": lambda: exact(key, "survivors"),
        "everywhere": lambda: exact(key, "everywhere"),
        "enter": lambda: enter(key),
        "reach": lambda: reach(key),
        "decide": lambda: decide(key),
        "squares": lambda: squares(key),
        "softmax": lambda: softmax(key),
        "labels": lambda: labels(key),
        "moments": lambda: sums(key, key.form, "moments"),
        "scatter": lambda: sums(key, "full", "scatter"),
    }


def module(key: Key) -> str:
    """Return the LLVM text of a module: its pass and the stages that this calls."""
    parts = [run_of_runs(key) if key.near else run(key)]
    for name, make in stages(key).items():
        if any(f"@{name}(" in part for part in parts):
            parts.append(make())
    text = "\n".join(parts)
    vec = key.real.vec
    fma = f"declare {vec} {key.real.fma}({vec}, {vec}, {vec})\n"
    count = "declare i64 @llvm.ctpop.i64(i64)\n"
    if "@llvm.sqrt" in text:
        count += f"declare {vec} @llvm.sqrt.v{key.real.lanes}f64({vec})\n"
    return fma + count + (positions() if "@positions" in text else "") + text
