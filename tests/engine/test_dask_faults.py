"""What dies and what comes of it; each test has its own cluster and a count of faults."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client

from gmm_dask import tree
from gmm_dask.engine import LocalEngine
from gmm_dask.engine.dask_engine import DaskEngine
from gmm_dask.errors import ClusterError, DeadlineError, ResourceError

from .toys import ColumnSums, Generated, Hungry, Killing, Slow

pytestmark = pytest.mark.cluster

ABOUT = (0.5, -1.0, 2.0)
FOLD = ColumnSums(ABOUT)
SOURCE = Generated(50_000)
PLAN: dict[str, Any] = {"block_rows": 4096, "fan_in": 3}


@pytest.fixture(scope="module")
def expected() -> str:
    """Hash of the answer on one thread without Dask."""
    return tree.fingerprint(LocalEngine(1, **PLAN).fold(FOLD, SOURCE))


@pytest.fixture
def unforgiving() -> Iterator[None]:
    """Schedulers give a task up after the first worker it kills."""
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        yield


def warm_up(client: Client) -> None:
    """Wait for workers that have imported the package: short deadlines must not pay for that."""
    with DaskEngine(client, **PLAN, timeout=100) as engine:
        engine.fold(FOLD, SOURCE)


def deaths(marks: Path) -> int:
    return len(list(marks.parent.glob(f"{marks.name}-*")))


def test_a_killed_worker_changes_no_bit(own_client: Client, expected: str, tmp_path: Path) -> None:
    for cache, row in (("memory", 30_000), ("stream", 0)):
        marks = tmp_path / cache
        fold = Killing(ABOUT, row=row, marks=str(marks))
        with DaskEngine(own_client, cache, **PLAN, timeout=100) as engine:  # type: ignore[arg-type]
            assert tree.fingerprint(engine.fold(FOLD, SOURCE)) == expected
            assert tree.fingerprint(engine.fold(fold, SOURCE)) == expected
            assert tree.fingerprint(engine.fold(FOLD, SOURCE)) == expected
        assert deaths(marks) == 1
        assert sum(record.workers_lost for record in engine.history) == 1
        assert not any(record.retries for record in engine.history)


def test_a_lost_pass_is_repeated(
    unforgiving: None, own_client: Client, expected: str, tmp_path: Path
) -> None:
    fold = Killing(ABOUT, row=20_000, marks=str(tmp_path / "m"), times=2)
    with DaskEngine(own_client, "memory", **PLAN, timeout=100) as engine:
        assert tree.fingerprint(engine.fold(fold, SOURCE)) == expected
    assert deaths(tmp_path / "m") == 2
    assert engine.history[0].retries == 2
    assert engine.history[0].workers_lost == 2


@pytest.mark.parametrize("own_client", [{"n_workers": 1, "memory_limit": "600MB"}], indirect=True)
def test_a_pass_that_kills_every_time_is_given_up(
    unforgiving: None, own_client: Client, expected: str, tmp_path: Path
) -> None:
    fold = Killing(ABOUT, row=20_000, marks=str(tmp_path / "m"), times=99)
    with DaskEngine(own_client, "stream", **PLAN, timeout=100, retries=1) as engine:
        with pytest.raises(ClusterError, match="gave up after 2 attempts") as raised:
            engine.fold(fold, SOURCE)
        # the scheduler blames all tasks of the dead worker, so the one named may be a neighbour
        assert re.search(r"(block \d+ \(rows \d+ to \d+\)|a merge) .*beside it", str(raised.value))
        assert "limit 572.2 MiB" in str(raised.value)
        assert deaths(tmp_path / "m") == 2
        # the same cluster then kills a worker for memory, which is told apart at once
        with pytest.raises(ClusterError, match=r"killed for memory in block 0 .*reached") as raised:
            engine.fold(Hungry(ABOUT), Generated(4096))
        assert "limit 572.2 MiB" in str(raised.value)
        assert "cluster.memory_limit" in str(raised.value)
        assert tree.fingerprint(engine.fold(FOLD, SOURCE)) == expected


@pytest.mark.parametrize("own_client", [{"n_workers": 1}], indirect=True)
def test_a_restart_of_all_workers(own_client: Client, expected: str) -> None:
    with DaskEngine(own_client, "memory", **PLAN, timeout=100) as engine:
        assert tree.fingerprint(engine.fold(FOLD, SOURCE)) == expected
        timer = threading.Timer(0.5, own_client.restart)
        timer.start()
        assert tree.fingerprint(engine.fold(Slow(ABOUT, pause=0.2), SOURCE)) == expected
        timer.join()
    assert [record.retries for record in engine.history] == [0, 1]


@pytest.mark.parametrize("own_client", [{"n_workers": 0}], indirect=True)
def test_no_workers_end_within_the_deadline(own_client: Client) -> None:
    started = time.monotonic()
    engine = DaskEngine(own_client, **PLAN, timeout=1)
    with pytest.raises(DeadlineError, match=r"waited 1 s for 1 workers at tcp.*; 0 came"):
        engine.fold(FOLD, SOURCE)
    assert time.monotonic() - started < 60
    assert not engine.history


@pytest.mark.parametrize("own_client", [{"n_workers": 1}], indirect=True)
def test_workers_that_stop_or_leave_in_mid_pass(own_client: Client) -> None:
    warm_up(own_client)
    with DaskEngine(own_client, **PLAN, timeout=1.5) as engine:
        with pytest.raises(DeadlineError, match=r"no block .* for 1\.5 s .*running: 0 on"):
            engine.fold(Slow(ABOUT, pause=6.0), Generated(4096))
        timer = threading.Timer(0.5, own_client.cluster.scale, [0])
        timer.start()
        with pytest.raises(DeadlineError, match=r"all workers of tcp.* are gone"):
            engine.fold(Slow(ABOUT, pause=0.3), SOURCE)
        timer.join()


def test_a_client_closed_in_mid_pass(own_client: Client) -> None:
    warm_up(own_client)
    with Client(own_client.scheduler.address) as other:
        engine = DaskEngine(other, **PLAN, timeout=20)
        timer = threading.Timer(0.5, other.close)
        timer.start()
        with pytest.raises(ClusterError, match="closed"):
            engine.fold(Slow(ABOUT, pause=0.3), SOURCE)
        timer.join()
        with pytest.raises(ClusterError, match="closed"):
            engine.fold(FOLD, SOURCE)
        engine.close()


def test_a_dead_scheduler_ends_the_pass_within_the_deadline(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    common = ["--no-dashboard", "--scheduler-file", str(file)]
    run = [sys.executable, "-m"]
    scheduler = subprocess.Popen(
        [*run, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", *common]
    )
    worker = subprocess.Popen(
        [*run, "distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", *common],
        cwd=Path(__file__).parents[2],
    )
    try:
        while not file.exists():
            time.sleep(0.1)
        with Client(scheduler_file=str(file), timeout="5s") as client:
            warm_up(client)
            engine = DaskEngine(client, **PLAN, timeout=3)
            threading.Timer(0.5, scheduler.kill).start()
            started = time.monotonic()
            with pytest.raises(ResourceError, match=r"did not answer for 3 s|is closed"):
                engine.fold(Slow(ABOUT, pause=0.3), SOURCE)
            assert time.monotonic() - started < 60
            assert not engine.history
            engine.close()
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
