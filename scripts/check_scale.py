"""Fit a zarr array larger than a cluster's memory and hold the plan's bytes against the peak.

    .venv-test/bin/python scripts/check_scale.py --memory 512MiB --times 4

Writes random rows of a mixture, several times as many bytes as all workers may use together, fits
them in streaming passes on a local cluster, and prints the projected and the measured peak of each
worker. Ends with exit code 1 if a worker needed more than the plan said, or died.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from dask.utils import parse_bytes
from distributed import Client, LocalCluster

from gmm_dask import DaskEngine, Grid, ZarrSource, pass_fold, plan_for, project, run_grid
from gmm_dask.blocks import Block
from gmm_dask.store.spool import create_spool, seal, write_rows

WORKERS = 2


def main() -> None:
    arguments = parse()
    limit = parse_bytes(arguments.memory)
    n_rows = int(arguments.times * WORKERS * limit / (8 * arguments.columns))
    folder = Path(tempfile.mkdtemp(prefix="gmm-dask-scale-"))
    try:
        source = write(folder / "rows.zarr", n_rows, arguments.columns)
        raise SystemExit(measure(source, limit, arguments.components, arguments.passes))
    finally:
        shutil.rmtree(folder)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--memory", default="512MiB", help="limit of each of the two workers")
    parser.add_argument("--times", type=float, default=4.0, help="size of the data over all limits")
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--components", type=int, default=5)
    parser.add_argument("--passes", type=int, default=5)
    return parser.parse_args()


def write(path: Path, n_rows: int, n_columns: int) -> ZarrSource:
    """Write rows of five clusters, chunk by chunk."""
    rows = 65536
    create_spool(path, n_rows, n_columns, np.dtype(np.float64), rows)
    centres = 4 * np.random.default_rng(0).normal(size=(5, n_columns))
    for start in range(0, n_rows, rows):
        rng = np.random.default_rng([1, start])
        n = min(rows, n_rows - start)
        values = rng.normal(size=(n, n_columns)) + centres[rng.integers(5, size=n)]
        write_rows(path, Block(values, start))
    return seal(path)


def measure(source: ZarrSource, limit: int, components: int, passes: int) -> int:
    grid = Grid((components,), n_init=1, tol=0.0, max_iter=passes)
    plan = plan_for(source)
    fold = pass_fold(grid, len(source.columns))
    projected = project(plan, source, fold, 1, "stream", WORKERS).total
    options = {"host": "127.0.0.1", "dashboard_address": None, "threads_per_worker": 1}
    began = time.perf_counter()
    with (
        LocalCluster(n_workers=WORKERS, memory_limit=limit, **options) as cluster,
        Client(cluster) as client,
        DaskEngine(client, "stream") as engine,
    ):
        before = set(client.scheduler_info(n_workers=-1)["workers"])
        result = run_grid(source, grid, engine)
        peaks = client.run(peak_bytes)
        after = set(client.scheduler_info(n_workers=-1)["workers"])
    data = source.n_rows * len(source.columns) * 8
    print(
        f"data {data / 2**30:.1f} GiB in {source.n_rows:,} rows x {len(source.columns)}, "
        f"two workers of {limit / 2**20:.0f} MiB: {data / (WORKERS * limit):.1f} times their memory"
    )
    print(
        f"projected {projected / 2**20:.0f} MiB per worker, measured peaks "
        + ", ".join(f"{peak / 2**20:.0f} MiB" for peak in peaks.values())
    )
    print(
        f"{result.n_passes} EM passes and the others in {time.perf_counter() - began:.0f} s, "
        f"workers lost {len(before - after)}"
    )
    return int(before != after or max(peaks.values()) > projected)


def peak_bytes() -> int:
    """Return the largest resident size this process has had, bytes."""
    status = Path(f"/proc/{psutil.Process().pid}/status").read_text()
    line = next(text for text in status.splitlines() if text.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
