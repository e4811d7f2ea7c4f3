"""What the engine costs beside the kernels: scaling with threads, and reading while computing."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import own
from cases import CASES, Case, make_data

from gmm_dask import Engine
from gmm_dask.draws import CELL
from gmm_dask.engine.rows import read

CASE = next(case for case in CASES if case.name == "full/10/20")
BLOCK_SECONDS = 0.3
BLOCKS = 8


def scaling(rounds: int) -> dict[str, Any]:
    """Return seconds of a pass by workers and threads, blocks taking 0.3 s each, and the overhead.

    The overhead of an engine is its time on one thread over the kernel's on the same rows.
    """
    probe = make_data(CASE, 200_000)
    each = own.kernel_pass(own.begin(CASE, probe, own.on_threads(1)), probe)
    block_rows = round(BLOCK_SECONDS / each / CELL) * CELL
    data = make_data(CASE, BLOCKS * block_rows)
    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="gmm-dask-benchmark-") as folder,
        own.on_cluster(1, 1) as single,
        own.on_cluster(1, 2) as double,
        own.on_cluster(2, 1) as pair,
    ):
        engines = {
            "plain threads, 1": own.on_threads(1),
            "plain threads, 2": own.on_threads(2),
            "Dask, 1 worker of 1 thread": single,
            "Dask, 1 worker of 2 threads": double,
            "Dask, 2 workers of 1 thread": pair,
        }
        states = {}
        for name, engine in engines.items():
            engine.block_rows = block_rows
            room = Path(folder) / str(len(states)) if "Dask" in name else None
            states[name] = own.begin(CASE, data, engine, room)
        for _ in range(rounds):
            for name in states:
                spent, states[name] = states[name].passed()
                found.setdefault(name, []).append(spent)
            kernel = own.kernel_pass(states["plain threads, 1"], data.head(block_rows), 1)
            found.setdefault("kernel", []).append(kernel)
    return summary(found, len(data.rows), block_rows)


def summary(found: dict[str, list[float]], n_rows: int, block_rows: int) -> dict[str, Any]:
    """Return medians, overheads over the kernel and speed-ups over one thread."""

    def over(a: str, b: str) -> float:
        return statistics.median(x / y for x, y in zip(found[a], found[b], strict=True))

    dask = "Dask, 1 worker of 1 thread"
    return {
        "rows": n_rows,
        "block_rows": block_rows,
        "seconds": {name: statistics.median(times) * n_rows for name, times in found.items()},
        "overhead": {name: over(name, "kernel") - 1 for name in ("plain threads, 1", dask)},
        "speed_up": {
            "plain threads, 2": over("plain threads, 1", "plain threads, 2"),
            "Dask, 1 worker of 2 threads": over(dask, "Dask, 1 worker of 2 threads"),
            "Dask, 2 workers of 1 thread": over(dask, "Dask, 2 workers of 1 thread"),
        },
    }


def streaming(rounds: int) -> dict[str, Any]:
    """Return seconds of a pass with rows in memory, streamed from zarr, and of reading alone."""
    case = Case(**{**vars(CASE), "rows": 6_000_000})
    data = make_data(case, case.rows)
    found: dict[str, list[float]] = {"memory": [], "stream": [], "read": []}
    with (
        tempfile.TemporaryDirectory(prefix="gmm-dask-benchmark-") as folder,
        own.on_cluster(1, 2, "memory") as held,
        own.on_cluster(1, 2, "stream") as streamed,
    ):
        states = {
            "memory": own.begin(case, data, held, Path(folder) / "a"),
            "stream": own.begin(case, data, streamed, Path(folder) / "b"),
        }
        for _ in range(rounds):
            for name in states:
                spent, states[name] = states[name].passed()
                found[name].append(spent * case.rows)
            found["read"].append(timed(lambda: read_all(streamed, states["stream"].source)))
    return {name: statistics.median(values) for name, values in found.items()}


def read_all(engine: Engine, source: Any) -> None:
    """Read every block once on two threads, measuring nothing."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda span: len(read(source, *span)), engine.plan(source).blocks))


def timed(work: Callable[[], None]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
