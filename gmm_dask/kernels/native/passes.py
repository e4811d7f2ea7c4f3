"""Whole passes over a block, put together from the stages.

Every pass takes the address of a table of addresses (`TABLE`). ``counts`` holds N, the number of
rows to read (a multiple of TILE), VALID, how many of them count, and K.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.density import TILE, density
from gmm_dask.kernels.native.moments import moments
from gmm_dask.kernels.native.softmax import labels, softmax
from gmm_dask.kernels.native.tile import load_shares, load_tile, whiten
from gmm_dask.kernels.native.values import LANES, VEC, Int, Ptr, Vec

TABLE = (
    "rows", "shift", "inverse_scale", "origin", "factor", "parameters", "sums", "scatter", "top",
    "total", "lost", "given", "zeros", "out", "scratch", "counts",
)  # fmt: skip
TASKS = ("e_step", "log_prob", "resp", "label", "moments")


class Key(NamedTuple):
    """What one module of machine code is made for. Travels between processes."""

    task: str
    """e_step: statistics; log_prob, resp, label: values per row; moments: from given shares."""
    form: str
    n_columns: int
    kind: str
    """"double" or "float": the rows that are read."""
    hard: bool
    registers: int


def in_place(key: Key) -> bool:
    """Return whether shares replace the log joint densities; spherical sums need both."""
    return key.form != "spherical"


class Pass:
    """Addresses and counts of a pass under construction."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.code = Code("run", "table", public=True)
        table = self.code.ptr("table")
        self.at = {name: table.address(i) for i, name in enumerate(TABLE)}
        self.n, self.valid, self.K = (self.at["counts"].number(i) for i in range(3))
        D = key.n_columns
        self.tile = self.at["scratch"]
        self.whitened = self.tile.at(D * TILE) if key.form == "tied" else self.tile
        after = self.whitened.at(D * TILE)
        self.top, self.total, self.weight = (after.at(i * TILE) for i in range(3))
        self.log_joint = after.at(3 * TILE)
        self.shares = self.log_joint
        if not in_place(key):
            self.shares = self.log_joint.at(self.K * TILE)

    def load(self, i: Int) -> None:
        """Bring rows i to i + TILE into the frame."""
        key, at = self.key, self.at
        rows = at["rows"].at(i * key.n_columns, key.kind)
        self.code.call("load_tile", rows, at["shift"], at["inverse_scale"], self.tile)
        if key.form == "tied":
            self.code.call("whiten", self.tile, at["origin"], at["factor"], self.whitened)

    def density(self) -> None:
        """Compute log joint densities and their row maxima."""
        parameters = self.at["parameters"]
        self.code.call("density", self.whitened, parameters, self.log_joint, self.top, self.K)

    def softmax(self, i: Int) -> None:
        """Compute shares, and note which rows are lost."""
        lost = self.at["lost"].at(i // LANES, "i8")
        row = (self.top, self.total, self.weight, lost)
        self.code.call("softmax", self.log_joint, self.shares, *row, self.K, self.valid - i)

    def moments(self) -> None:
        """Add the tile to the sums."""
        weighted = (self.log_joint, self.shares, self.weight)
        parameters, sums = self.at["parameters"], self.at["sums"]
        self.code.call("moments", self.whitened, parameters, *weighted, sums, self.K)
        if self.key.form == "tied":
            weighted = (self.log_joint, self.total, self.weight)
            scatter, one = self.at["scatter"], self.code.constant(1)
            self.code.call("scatter", self.whitened, self.at["zeros"], *weighted, scatter, one)

    def per_tile(self, i: Int) -> None:
        """Write the lanes' sums of maxima and products of totals: the log-likelihood's parts."""

        def rows(r: Int, carry: list[Vec]) -> list[Vec]:
            return [carry[0] + self.top.load(r), carry[1] * self.total.load(r)]

        start = [self.code.const(0.0), self.code.const(1.0)]
        lanes = self.code.loop(TILE, rows, start, step=LANES)
        for name, value in zip(("top", "total"), lanes, strict=True):
            self.at[name].store((i // TILE) * LANES, value)

    def per_row(self, i: Int) -> None:
        """Write each row's maximum and total."""

        def rows(r: Int, _: list[Vec]) -> None:
            self.at["top"].at(i).store(r, self.top.load(r))
            self.at["total"].at(i).store(r, self.total.load(r))

        self.code.loop(TILE, rows, step=LANES)

    def write(self, i: Int, source: Ptr, weigh: bool) -> None:
        """Write a tile (K, TILE) to the output (n, K)."""
        out = self.at["out"].at(i * self.K)

        def rows(r: Int, _: list[Vec]) -> None:
            def component(k: Int, _: list[Vec]) -> None:
                value = source.at(k * TILE).load(r)
                if weigh:
                    value = value * self.weight.load(r)
                out.at(r * self.K).at(k).scatter(self.K, value)

            self.code.loop(self.K, component)

        self.code.loop(TILE, rows, step=LANES)


def run(key: Key) -> str:
    """Return the public function of a module."""
    p = Pass(key)

    def tile(i: Int, _: list[Vec]) -> None:
        p.load(i)
        BODY[key.task](p, i)

    p.code.loop(p.n, tile, step=TILE)
    return p.code.text()


def e_step(p: Pass, i: Int) -> None:
    """E-step and statistics of a tile."""
    p.density()
    p.softmax(i)
    p.per_tile(i)
    p.moments()


def log_prob(p: Pass, i: Int) -> None:
    """Log joint densities of a tile."""
    p.density()
    p.write(i, p.log_joint, weigh=False)


def resp(p: Pass, i: Int) -> None:
    """Responsibilities of a tile."""
    p.density()
    p.softmax(i)
    p.per_row(i)
    p.write(i, p.shares, weigh=True)


def label(p: Pass, i: Int) -> None:
    """Likeliest components of a tile, and what their probabilities follow from."""
    p.density()
    p.code.call("labels", p.log_joint, p.top, p.at["out"].at(i), p.K)
    p.softmax(i)
    p.per_row(i)


def given_moments(p: Pass, i: Int) -> None:
    """Statistics of a tile from given responsibilities."""
    given = p.at["given"].at(i * p.K)
    p.code.call("load_shares", given, p.shares, p.weight, p.total, p.K, p.valid - i)
    if p.key.form == "spherical":
        p.density()
    p.moments()


BODY = {
    "e_step": e_step,
    "log_prob": log_prob,
    "resp": resp,
    "label": label,
    "moments": given_moments,
}


def module(key: Key) -> str:
    """Return the LLVM text of a module: its pass and the stages that this calls."""
    D = key.n_columns
    stages: dict[str, Callable[[], str]] = {
        "load_tile": lambda: load_tile(key.kind, D),
        "load_shares": load_shares,
        "whiten": lambda: whiten(D),
        "density": lambda: density(key.form, D),
        "softmax": lambda: softmax(key.hard, in_place(key)),
        "labels": labels,
        "moments": lambda: moments(key.form, D, key.registers),
        "scatter": lambda: moments("full", D, key.registers, name="scatter"),
    }
    whole = run(key)
    fma = f"declare {VEC} @llvm.fma.v{LANES}f64({VEC}, {VEC}, {VEC})\n"
    called = [make() for name, make in stages.items() if f"@{name}(" in whole]
    return "\n".join([fma, *called, whole])
