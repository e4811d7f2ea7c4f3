"""One SHA-256 of the parameters, wherever the rows lie and whoever measures them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client

from gmm_dask import ArraySource, DaskEngine, Engine, Grid, LocalEngine, SourceChangedError
from gmm_dask.engine.dask_source import LazySource
from gmm_dask.many import GridResult, run_grid
from tests.faults.conftest import cluster_of
from tests.faults.fits import GRID, N_ROWS, PLAN, Blobs, fitted, in_peace
from tests.faults.harness import Faults
from tests.faults.traps import kill, wait_for, workers_of

pytestmark = pytest.mark.cluster

X = Blobs().read(0, N_ROWS).values
FEW = 300
THREADS = {"processes": False, "protocol": "tcp", "threads_per_worker": 2}
STILL = {"distributed.scheduler.work-stealing": False}


def chunked(chunks: Any, n: int = N_ROWS) -> LazySource:
    return LazySource.of(da.from_array(X[:n], chunks=(chunks, 3)))


def on(client: Client, cache: Any) -> DaskEngine:
    return DaskEngine(client, cache, **PLAN, timeout=100)


@pytest.mark.parametrize(
    ("options", "config"),
    [({}, {}), ({}, STILL), (THREADS, {})],
    ids=["processes", "processes, no stealing", "threads"],
)
def test_one_hash_for_one_two_and_three_workers(options: Any, config: Any) -> None:
    with cluster_of(3, config, **options) as client:
        assert ("stealing" in client.cluster.scheduler.periodic_callbacks) is (not config)
        for n_workers, cache in ((3, "stream"), (2, "memory"), (1, "stream")):
            client.cluster.scale(n_workers)
            wait_for(client.cluster, n_workers)
            with on(client, cache) as engine:
                assert fitted(engine) == in_peace()
                assert engine.describe()["workers"] == n_workers


CHUNKS = {
    "array": (lambda: ArraySource(X), "auto"),
    "array in Fortran order": (lambda: ArraySource(np.asfortranarray(X)), "auto"),
    "chunks of 1000": (lambda: chunked(1000), "memory"),
    "one giant chunk": (lambda: chunked(N_ROWS), "memory"),
    "one giant chunk, streamed": (lambda: chunked(N_ROWS), "stream"),
    "uneven chunks": (lambda: chunked((1, 9_000, 0, 4095, N_ROWS - 13_096)), "memory"),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_one_hash_for_any_chunks(client: Client, name: str) -> None:
    source, cache = CHUNKS[name]
    with on(client, cache) as engine:
        assert fitted(engine, source()) == in_peace()


@pytest.mark.parametrize("chunks", [1, 7, FEW])
def test_one_hash_for_chunks_of_one_and_seven_rows(client: Client, chunks: int) -> None:
    with on(client, "memory") as engine:
        assert fitted(engine, chunked(chunks, FEW)) == in_peace(FEW)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_one_hash_without_a_cluster(n_threads: int) -> None:
    engine = LocalEngine(n_threads, **PLAN)
    for source in (Blobs(), chunked(1000)):
        assert fitted(engine, source) == in_peace()


def test_a_fit_alone_and_in_a_grid_agree(client: Client) -> None:
    def run(kinds: tuple[str, ...], engine: Engine) -> GridResult:
        words = {name: getattr(GRID, name) for name in ("init_params", "tol", "max_iter", "seed")}
        return run_grid(Blobs(), Grid((3,), kinds, **words), engine)

    together = run(GRID.covariance_type, LocalEngine(1, **PLAN))
    for kind, among in zip(GRID.covariance_type, together.candidates, strict=True):
        with on(client, "memory") as engine:
            (alone,) = run((kind,), engine).candidates
        # stacked matrix products round in another order; six passes let that grow little
        for name in ("means", "covariances", "weights"):
            mine, theirs = (getattr(c.mixture, name) for c in (alone, among))
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-10)


def test_rows_that_change_between_passes_are_refused(
    client: Client, faults: Faults, tmp_path: Path
) -> None:
    for name, engine in (("a", LocalEngine(1, **PLAN)), ("b", on(client, "stream"))):
        mark = tmp_path / name

        def change(done: Any, mark: Path = mark) -> None:
            if done.number == 3:
                mark.touch()
                faults.add("change")

        with engine, pytest.raises(SourceChangedError, match=r"6 of 6 blocks .*rows 0 to 4095"):
            fitted(engine, Blobs(shift_after=str(mark)), watch=change)
    assert faults.total == 2


def test_rows_that_changed_before_a_lost_block_was_loaded_again_are_refused(
    client: Client, faults: Faults, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    def change(done: Any) -> None:
        if done.number == 3:
            mark.touch()
            kill(min(workers_of(client.cluster)))
            faults.add("change and kill")

    with (
        on(client, "memory") as engine,
        pytest.raises(SourceChangedError, match=r"[1-6] of 6 blocks"),
    ):
        fitted(engine, Blobs(shift_after=str(mark)), watch=change)
