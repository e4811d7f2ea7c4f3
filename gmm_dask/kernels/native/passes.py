"""Whole passes over a block, put together from the stages.

Every pass takes the address of a table of addresses (`TABLE`). ``counts`` holds N, the number of
rows to read (a multiple of the tile), VALID, how many of them count, and K.
"""

from __future__ import annotations

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.outer import PART
from gmm_dask.kernels.native.real import DOUBLE
from gmm_dask.kernels.native.values import LANES, Index, Int, Vec

TABLE = (
    "rows", "shift", "inverse_scale", "origin", "factor", "parameters", "centres", "constants",
    "factors", "projection", "bounds", "zeros", "given", "sums", "scatter", "top", "total", "lost",
    "out", "entropy", "scratch", "counts", "row_weights", "runs", "apart", "stretch", "loose",
    "whites", "metric", "rough", "precisions", "places",
)  # fmt: skip


def rooms(key: Key) -> dict[str, tuple[int, int]]:
    """Return the scratch space of a pass: numbers for each component, and numbers beside.

    Every room is a whole number of cache lines where the tile is a multiple of 64.
    """
    T, D, lanes = key.tile, key.n_columns, key.real.lanes
    found = {"log_joint": (T, T if key.near else 0), "shares": (0 if key.in_place else T, 0)}
    found |= dict.fromkeys(("top", "total", "weight", "entropy"), (0, T))
    found |= dict.fromkeys(("label", "level"), (0, T))
    found["tile"] = (0, key.padded * T)
    found["whitened"] = (0, D * T if key.form == "tied" else 0)
    if key.lists:
        found |= {"flat": (0, key.padded * T), "projected": (0, key.projected * T)}
        found |= {"index": (0, (T + lanes) * (64 // key.real.bits))}
        found |= {"work": (0, max((key.padded + 1) * lanes, 2 * PART * key.padded))}
    if key.near:
        found |= {
            "white": (0, key.padded * T),
            "dist": (0, T),
            "rest": (0, T),
            "delta": (0, key.padded),
        }
        found |= {"gradient": (0, key.padded), "deltas": (0, key.padded * LANES)}
        found |= {"found": (0, LANES)}
        found |= {"list": (1, 2 * LANES), "which": (1, 2 * LANES)}
    return found


def scratch_size(key: Key, n_components: int) -> int:
    """Return how many numbers of the tile's type of scratch space a pass needs."""
    return sum(of_k * n_components + beside for of_k, beside in rooms(key).values())


class Pass:
    """A pass under construction: its addresses, and calls of the stages."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.code = Code("run", "table", public=True)
        table = self.code.ptr("table")
        self.at = {name: table.address(i) for i, name in enumerate(TABLE)}
        self.n, self.valid, self.K = (self.at["counts"].number(i) for i in range(3))
        place = self.at["scratch"]
        for name, (of_k, beside) in rooms(key).items():
            self.at[f"tile {name}"] = place
            place = place.at(self.K * of_k + beside if of_k else beside, key.compute)
        if key.in_place:
            self.at["tile shares"] = self.room("log_joint")
        if key.form != "tied":
            self.at["tile whitened"] = self.room("tile")

    def room(self, name: str) -> Ptr:
        """Return the scratch space of a name."""
        return self.at[f"tile {name}"]

    def read(self, name: str, row: Int, first: Index = 0) -> Vec:
        """Load eight numbers of scratch space as float64, from `row` of a place on."""
        kind = self.key.compute
        return self.room(name).at(first, kind).at(row, kind).load_as(kind)

    def call(self, stage: str, arguments: str, *more: Ptr | Int) -> None:
        """Call a stage; arguments are names of scratch space, or with ``*`` of the table."""
        found = [
            self.at[name[1:]] if name.startswith("*") else self.room(name)
            for name in arguments.split()
        ]
        self.code.call(stage, *found, *more)

    def load(self, i: Int) -> None:
        """Bring the rows from i on into the frame."""
        rows = self.at["rows"].at(i * self.key.n_columns, self.key.kind)
        tied = self.key.form == "tied"
        if not self.key.lists:
            self.code.call(
                "load_tile", rows, self.at["shift"], self.at["inverse_scale"], self.room("tile")
            )
            if tied:
                self.call("whiten", "tile *origin *factor whitened")
            return
        self.code.call(
            "load_flat", rows, self.at["shift"], self.at["inverse_scale"], self.room("flat")
        )
        if self.key.form != "full" and not self.key.metric:
            self.call("columns", "flat *origin tile")
        if tied:
            self.call("whiten_columns", "tile *factor whitened")

    def density(self) -> None:
        """Compute log joint densities and their row maxima."""
        if self.key.metric:
            self.call("project", "flat *projection projected")
            self.call("bounds", "projected *bounds log_joint top", self.K)
            return
        if not self.key.lists or self.key.form != "full":
            self.call("density", "whitened *parameters log_joint top", self.K)
            return
        work = "log_joint label level top work index"
        if self.key.projected:
            self.call("project", "flat *projection projected")
            self.call("bounds", "projected *bounds log_joint top", self.K)
            self.call("labels", "log_joint top label", self.K)
            self.call("winners", f"flat *centres *constants *factors {work}", self.K)
            self.call("survivors", f"flat *centres *constants *factors {work}", self.K)
        else:
            self.call("everywhere", f"flat *centres *constants *factors {work}", self.K)

    def labels(self, i: Int) -> None:
        """Find the likeliest components; numbers other than float64 are copied by `per_row`."""
        double = self.key.real == DOUBLE
        out = self.at["out"].at(i) if double else self.room("label")
        self.code.call("labels", self.room("log_joint"), self.room("top"), out, self.K)

    def softmax(self, i: Int) -> None:
        """Compute shares, and note which rows are lost."""
        lost = self.at["lost"].at(i // LANES, "i8")
        rest = self.valid - i
        row = [
            self.room(name) for name in ("log_joint", "shares", "top", "total", "weight", "entropy")
        ]
        if self.key.weighted:
            row.append(self.at["row_weights"].at(i, self.key.compute))
        self.code.call("softmax", *row, lost, self.K, rest)

    def moments(self) -> None:
        """Add the tile to the sums."""
        one = self.code.constant(1)
        if self.key.lists:
            of = "log_joint shares weight *sums work index"
            self.call("moments", f"flat *centres *constants {of}", self.K)
            if self.key.form == "tied":
                of = "log_joint total weight *scatter work index"
                self.call("scatter", f"flat *origin *constants {of}", one)
            return
        self.call("moments", "whitened *parameters log_joint shares weight *sums", self.K)
        if self.key.form == "tied":
            self.call("scatter", "whitened *zeros log_joint total weight *scatter", one)

    def per_tile(self, i: Int) -> None:
        """Write the lanes' sums of maxima and products of totals: the log-likelihood's parts.

        In float64 whatever tiles are.
        """

        def rows(r: Int, carry: list[Vec]) -> list[Vec]:
            return [carry[0] + self.read("top", r), carry[1] * self.read("total", r)]

        start = [self.code.const(0.0), self.code.const(1.0)]
        lanes = self.code.loop(self.key.tile, rows, start, step=LANES)
        for name, value in zip(("top", "total"), lanes, strict=True):
            self.at[name].store((i // self.key.tile) * LANES, value)

    def per_row(self, i: Int) -> None:
        """Write each row's maximum, total and entropy."""
        rooms = {"top": "top", "total": "total"}
        if self.key.task == "assign":
            rooms["entropy"] = "entropy"
            if self.key.real != DOUBLE:
                rooms["out"] = "label"

        def rows(r: Int, _: list[Vec]) -> None:
            for name, room in rooms.items():
                self.at[name].at(i).store(r, self.read(room, r))

        self.code.loop(self.key.tile, rows, step=LANES)

    def write(self, i: Int, source: str, weigh: bool) -> None:
        """Write a tile (K, tile) to the output (n, K)."""
        out = self.at["out"].at(i * self.K)

        def rows(r: Int, _: list[Vec]) -> None:
            def component(k: Int, _: list[Vec]) -> None:
                value = self.read(source, r, k * self.key.tile)
                if weigh:
                    value = value * self.read("weight", r)
                out.at(r * self.K + k).scatter(self.K, value)

            self.code.loop(self.K, component)

        self.code.loop(self.key.tile, rows, step=LANES)
