"""gmm-dask, timed: whole passes on Dask and on plain threads, and the kernel alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cases import Case, Data

from gmm_dask import ArraySource, DaskEngine, Engine, Grid, LocalEngine, Source, find_frame, spool
from gmm_dask.fits.em import EM
from gmm_dask.initial import Ground
from gmm_dask.kernels import table
from gmm_dask.search import restarts

PASSES = 3


class Running(NamedTuple):
    """EM on its way: the engine, what it reads and where the fit is."""

    engine: Engine
    source: Source
    fit: EM

    def passed(self) -> tuple[float, Running]:
        """Return seconds a row of a pass with its M-step, and the fit after some."""
        fit = self.fit
        began = time.perf_counter()
        for _ in range(PASSES):
            fit = fit.tell(self.engine.fold(fit.ask(), self.source))
        seconds = (time.perf_counter() - began) / PASSES
        return seconds / self.source.n_rows, self._replace(fit=fit)


def begin(case: Case, data: Data, engine: Engine, folder: Path | None = None) -> Running:
    """Return EM after its first pass, which compiles and places the rows."""
    source: Source = ArraySource(data.rows)
    if folder is not None:
        source = spool(source, folder / f"{case.name.replace('/', '-')}.zarr", 65536)
    grid = Grid((case.components,), (case.covariance_type,), tol=0, max_iter=10**6, reg_covar=1e-6)
    frame, _ = find_frame(engine, source)
    fit = restarts(grid, Ground(frame, data.rows[:1000]), data.start)[0].em
    assert fit is not None
    return Running(engine, source, fit.tell(engine.fold(fit.ask(), source)))


def kernel_pass(running: Running, rows: Data, repeats: int = 3) -> float:
    """Return seconds a row of the kernel alone, on one thread, over one stretch of rows."""
    ready = running.fit.ask().prepare()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        table.measure(ready, rows.rows)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) / len(rows.rows)


@contextmanager
def on_cluster(n_workers: int, threads: int, cache: str = "memory") -> Iterator[Engine]:
    """Yield an engine on local worker processes."""
    from distributed import Client, LocalCluster

    options = {"host": "127.0.0.1", "dashboard_address": None, "memory_limit": 0}
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=threads, **options) as cluster,
        Client(cluster) as client,
        DaskEngine(client, cache) as engine,
    ):
        yield engine


def on_threads(n_threads: int) -> Engine:
    """Return an engine on threads of this process."""
    return LocalEngine(n_threads)
