from __future__ import annotations

import _thread
import threading
import time
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, futures_of

from gmm_dask import tree
from gmm_dask.blocks import ArraySource
from gmm_dask.engine import LocalEngine
from gmm_dask.engine.dask_engine import DaskEngine
from gmm_dask.engine.dask_source import LazySource
from gmm_dask.errors import ConfigError, DataError, PlanError, SourceChangedError
from gmm_dask.stats import batch

from .toys import Buggy, ColumnSums, Generated, Poisonous, Slow, Starts, first_row, rows_of

pytestmark = pytest.mark.cluster

FOLD = ColumnSums((0.5, -1.0, 2.0))
SOURCE = Generated(50_000)
PLAN = {"block_rows": 4096, "fan_in": 3}
X = rows_of(0, 0, 50_000, 3)


@pytest.fixture(scope="module")
def expected() -> str:
    """Hash of the answer on one thread without Dask."""
    return tree.fingerprint(LocalEngine(1, **PLAN).fold(FOLD, SOURCE))


def lazy(chunks: Any) -> LazySource:
    return LazySource.of(da.from_array(X, chunks=(chunks, 3)))


SOURCES = {
    "recipe, streamed": (lambda: SOURCE, "stream"),
    "recipe, held": (lambda: SOURCE, "memory"),
    "recipe, large chunks": (lambda: Generated(50_000, chunk_rows=20_000), "stream"),
    "array": (lambda: ArraySource(X), "auto"),
    "array, Fortran order": (lambda: ArraySource(np.asfortranarray(X)), "auto"),
    "chunks of 1000, streamed": (lambda: lazy(1000), "stream"),
    "chunks of 1000, held": (lambda: lazy(1000), "memory"),
    "chunks of a block": (lambda: lazy(4096), "memory"),
    "one chunk, held": (lambda: lazy(50_000), "memory"),
    "one chunk, streamed": (lambda: lazy(50_000), "stream"),
    "uneven chunks": (lambda: lazy((1, 20_000, 0, 29_999)), "memory"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_one_answer_wherever_the_rows_are(client: Client, expected: str, name: str) -> None:
    make, cache = SOURCES[name]
    source = make()
    with DaskEngine(client, cache, **PLAN, timeout=60) as engine:
        answers = {tree.fingerprint(engine.fold(FOLD, source)) for _ in range(2)}
    assert answers == {expected}
    assert [(record.retries, record.n_blocks) for record in engine.history] == [(0, 13)] * 2


@pytest.mark.parametrize("chunks", [1, 7, 1000, 9000])
def test_small_tables_in_any_chunks(client: Client, chunks: int) -> None:
    n = 300 if chunks == 1 else 9000
    source = LazySource.of(da.from_array(X[:n], chunks=(chunks, 3)))
    local = LocalEngine(2, **PLAN).fold(FOLD, ArraySource(X[:n]))
    with DaskEngine(client, "memory", **PLAN, timeout=60) as engine:
        assert tree.fingerprint(engine.fold(FOLD, source)) == tree.fingerprint(local)


def test_chunks_that_fit_are_used_as_they_are(client: Client, expected: str) -> None:
    array = da.from_array(X, chunks=(4096, 3)).persist()
    source = LazySource.of(array)
    assert source.is_persisted
    with DaskEngine(client, "auto", **PLAN, timeout=60) as engine:
        assert tree.fingerprint(engine.fold(FOLD, source)) == expected
        held = {future.key for future in engine._placements[0].futures}
    assert held == {future.key for future in futures_of(array)}
    with pytest.raises(DataError, match="persisted on a cluster and cannot be streamed"):
        LocalEngine(1).fold(FOLD, source)


def test_a_question_beyond_what_dask_warns_of(client: Client, expected: str) -> None:
    fold = ColumnSums(FOLD.about, ballast=np.random.default_rng(0).random(1_500_000))
    with DaskEngine(client, "memory", **PLAN, timeout=60) as engine:
        for _ in range(2):
            assert tree.fingerprint(engine.fold(fold, SOURCE)) == expected


def test_batches_and_maps(client: Client) -> None:
    other = ColumnSums((1.0, 1.0, 1.0))
    local = LocalEngine(1, **PLAN)
    with DaskEngine(client, "stream", **PLAN, timeout=60) as engine:
        together = engine.fold(batch([FOLD, other]), SOURCE)
        rows = engine.map(first_row, SOURCE)
    assert tree.fingerprint(together) == tree.fingerprint(local.fold(batch([FOLD, other]), SOURCE))
    assert rows == local.map(first_row, SOURCE)
    assert engine.history[0].rows_digest == local.history[0].rows_digest


def test_merges_keep_the_order_of_the_rows(client: Client) -> None:
    with DaskEngine(client, "stream", **PLAN, timeout=60) as engine:
        starts = engine.fold(Starts(FOLD.about), SOURCE)
    assert starts == tuple(range(0, 50_000, 4096))


def test_errors_come_through_with_their_rows(client: Client, expected: str) -> None:
    with DaskEngine(client, "memory", **PLAN, timeout=60) as engine:
        with pytest.raises(DataError, match=r"a poisonous row \(block 10, rows 40960 to 45055\)"):
            engine.fold(Poisonous(FOLD.about, row=45_000), Generated(45_056))
        with pytest.raises(ZeroDivisionError, match="a bug"):
            engine.fold(Buggy(FOLD.about), SOURCE)
        assert tree.fingerprint(engine.fold(FOLD, SOURCE)) == expected


def test_a_source_that_cannot_be_read_is_named(client: Client) -> None:
    class Broken(Generated):
        def read(self, lo: int, hi: int) -> Any:
            raise FileNotFoundError("/data/gone.zarr")

    for cache in ("memory", "stream"):
        with (
            DaskEngine(client, cache, **PLAN, timeout=60) as engine,
            pytest.raises(DataError, match=r"/data/gone\.zarr \(block \d+, rows"),
        ):
            engine.fold(FOLD, Broken(50_000))


def test_rows_that_change_between_passes_are_refused(client: Client) -> None:
    noise = da.zeros((50_000, 3), chunks=(4096, 3)).map_blocks(
        lambda chunk: chunk + time.time_ns(), meta=np.empty((0, 0))
    )
    source = LazySource.of(noise)
    with DaskEngine(client, "memory", **PLAN, timeout=60) as engine:
        engine.fold(FOLD, source)
        engine.fold(FOLD, source)
    with DaskEngine(client, "stream", **PLAN, timeout=60) as engine:
        engine.fold(FOLD, source)
        with pytest.raises(SourceChangedError, match="13 of 13 blocks"):
            engine.fold(FOLD, source)


def scheduler_tasks(client: Client) -> int:
    return int(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))


def settled(client: Client) -> int:
    """Return the scheduler's task count once it no longer changes: releases travel a while."""
    counts = [scheduler_tasks(client)]
    for _ in range(100):
        time.sleep(0.05)
        counts.append(scheduler_tasks(client))
        if len(set(counts[-4:])) == 1 and len(counts) > 3:
            break
    return counts[-1]


def test_ctrl_c_cancels_the_pass(client: Client, expected: str) -> None:
    before = settled(client)

    timer = threading.Timer(0.5, _thread.interrupt_main)
    with DaskEngine(client, "stream", **PLAN, timeout=60) as engine:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.fold(Slow(FOLD.about, pause=0.3), SOURCE)
        assert settled(client) == before
        assert tree.fingerprint(engine.fold(FOLD, SOURCE)) == expected


def test_settings_are_checked(client: Client) -> None:
    with pytest.raises(ConfigError, match="cache is 'spool'"):
        DaskEngine(client, "spool")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="timeout is 0"):
        DaskEngine(client, timeout=0)
    with pytest.raises(ConfigError, match="retries -1"):
        DaskEngine(client, retries=-1)


def test_a_pass_that_cannot_fit_is_refused_before_a_row_is_read(client: Client) -> None:
    class Greedy(ColumnSums):
        def working_bytes(self, rows: int) -> int:
            return 2**50

    with DaskEngine(client, "stream", **PLAN, timeout=60) as engine:
        with pytest.raises(PlanError, match=r"a worker needs .* TiB .*threads_per_worker: 1"):
            engine.fold(Greedy(FOLD.about), SOURCE)
        engine.fold(FOLD, SOURCE)
        with pytest.raises(PlanError, match="a worker needs"):
            engine.fold(Greedy(FOLD.about), SOURCE)


def test_only_two_sources_are_held(client: Client) -> None:
    with DaskEngine(client, "memory", **PLAN, timeout=60) as engine:
        before = settled(client)
        for seed in range(4):
            engine.fold(FOLD, Generated(16_384, seed=seed))
        assert settled(client) <= before + 2 * (4 + 1)
