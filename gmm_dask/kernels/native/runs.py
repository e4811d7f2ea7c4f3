"""A pass over rows that come in runs: rows of one home, against the components near it.

``counts`` holds the number of runs, K up to whole vectors, and K; ``runs`` (R, 3) the first row,
the number of rows (at most a tile) and the home of each.
"""

from __future__ import annotations

from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.multiply import panel_size
from gmm_dask.kernels.native.passes import Pass
from gmm_dask.kernels.native.values import LANES, Int, Vec


def run_of_runs(key: Key) -> str:
    """Return the public function of a module whose rows come in runs."""
    p = Pass(key)

    def one(r: Int, _: list[Vec]) -> None:
        start, rows, home = (p.at["runs"].number(r * 3 + n) for n in range(3))
        load(p, start, rows)
        near(p, home, rows)
        weigh(p, r, rows)
        of = "flat *centres *constants log_joint shares weight *sums work index which"
        p.call("moments", of, p.room("found").number(0), rows)

    p.code.loop(p.n, one)
    return p.code.text()


def load(p: Pass, start: Int, rows: Int) -> None:
    """Bring the rows of a run into the frame."""
    source = p.at["rows"].at(start * p.key.n_columns, p.key.kind)
    room = p.room("flat")
    p.code.call("load_flat", source, p.at["shift"], p.at["inverse_scale"], room, rows)


def near(p: Pass, home: Int, rows: Int) -> None:
    """Compute log joint densities in slots, and their row maxima."""
    padded, size = p.key.padded, panel_size(p.key.n_columns)
    of_home = (
        p.at["centres"].at(home * padded),
        p.at["constants"].at(home),
        p.at["factors"].at(home * size),
        p.at["metric"],
    )
    out = [p.room(name) for name in ["white", "rest", "level", "dist", "log_joint", "top", "work"]]
    p.code.call("enter", p.room("flat"), *of_home, *out, rows)
    apart = p.at["apart"].at(home * p.valid)
    table = [p.at[name] for name in ["constants", "stretch", "loose", "places"]]
    here = p.at["whites"].at(home * padded)
    rooms = [
        p.room(name)
        for name in ["white", "rest", "level", "dist", "list", "found", "gradient", "deltas"]
    ]
    p.code.call("reach", apart, *table, here, *rooms, p.valid, rows)
    read = "flat white level dist list found *whites *constants *loose *rough *precisions"
    p.call(
        "decide",
        f"{read} *centres *factors log_joint which top work index delta gradient",
        home,
        rows,
    )


def weigh(p: Pass, r: Int, rows: Int) -> None:
    """Compute shares and note lost rows; write the lanes' sums of maxima, products of totals."""
    lost = p.at["lost"].at(r * (p.key.tile // LANES), "i8")
    row = [p.room(name) for name in ["log_joint", "shares", "top", "total", "weight", "entropy"]]
    p.code.call("softmax", *row, lost, p.room("found").number(0), rows)

    def add(i: Int, carry: list[Vec]) -> list[Vec]:
        return [carry[0] + p.read("top", i), carry[1] * p.read("total", i)]

    start = [p.code.const(0.0), p.code.const(1.0)]
    lanes = p.code.loop(rows, add, start, step=LANES)
    for name, value in zip(("top", "total"), lanes, strict=True):
        p.at[name].store(r * LANES, value)
