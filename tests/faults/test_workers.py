"""Workers that die, leave, come and freeze: the same bits, no hang, and every loss counted."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

from gmm_dask import ClusterError, DaskEngine
from tests.faults.conftest import cluster_of
from tests.faults.fits import PLAN, Blobs, Nothing, fitted, in_peace
from tests.faults.harness import Faults, eventually
from tests.faults.traps import Trap, TrappedEngine, kill, sprung, storm, wait_for, workers_of

pytestmark = pytest.mark.cluster

START, E_STEP, SCORE = 3, 10, 15  # numbers of passes: in k-means||, in EM, of the criteria
UNFORGIVING = {"distributed.scheduler.allowed-failures": 0}


def trapped(client: Client, trap: Any, cache: Any = "memory", **options: Any) -> TrappedEngine:
    engine = TrappedEngine(client, cache, **PLAN, timeout=100, **options)
    engine.trap = trap
    return engine


def free(client: Client, cache: Any = "memory") -> DaskEngine:
    return DaskEngine(client, cache, **PLAN, timeout=100)


def during(number: int, deed: Callable[[], Any], pause: float = 0.1) -> Callable[[int, Any], Any]:
    """Return what makes one pass last and does a deed in the midst of it."""

    def trap(n: int, fold: Any) -> Any:
        if n != number:
            return fold
        threading.Timer(4 * pause, deed).start()
        return Trap(fold, pause=pause)

    return trap


def lost(engine: DaskEngine) -> int:
    """Return the workers that a fit lost; one more pass sees those that died at its very end."""
    time.sleep(0.2)
    engine.fold(Nothing(), Blobs())
    return sum(record.workers_lost for record in engine.history)


def retries(engine: DaskEngine) -> int:
    return sum(record.retries for record in engine.history)


class Hungry(Nothing):
    """Takes far more memory than it states."""

    def measure(self, prepared: Any, block: Any) -> Any:
        eaten = []
        for _ in range(200):
            eaten.append(np.ones(2**20))
            time.sleep(0.01)
        return super().measure(prepared, block)


def test_a_worker_killed_before_the_first_pass(client: Client, faults: Faults) -> None:
    engine = free(client)
    kill(min(workers_of(client.cluster)))
    faults.add("kill")
    with engine:
        assert fitted(engine) == in_peace()
        assert retries(engine) == 0


@pytest.mark.parametrize("cache", ["memory", "stream"])
def test_a_worker_killed_while_it_loads(
    client: Client, faults: Faults, cache: Any, tmp_path: Path
) -> None:
    source = Blobs(kill_at=9_000, mark=str(tmp_path / "mark-0"))
    with free(client, cache) as engine:
        assert fitted(engine, source) == in_peace()
        faults.add("kill", sprung(str(tmp_path / "mark")))
        assert (lost(engine), retries(engine)) == (faults.total, 0)


@pytest.mark.parametrize(("where", "cache"), [("measure", "stream"), ("merge", "memory")])
def test_workers_killed_in_tasks(
    client: Client, faults: Faults, where: str, cache: Any, tmp_path: Path
) -> None:
    marks = str(tmp_path / "mark")

    def trap(number: int, fold: Any) -> Any:
        if number not in (START, E_STEP, SCORE):
            return fold
        return Trap(fold, where=where, marks=f"{marks}-{number}", row=9_000)

    with trapped(client, trap, cache) as engine:
        assert fitted(engine) == in_peace()
        faults.add("kill", sprung(marks))
        assert faults.total == 3
        assert (lost(engine), retries(engine)) == (faults.total, 0)


def test_all_workers_killed_at_once(client: Client, faults: Faults) -> None:
    def all_at_once() -> None:
        for pid in workers_of(client.cluster):
            kill(pid)
            faults.add("kill")

    with trapped(client, during(E_STEP, all_at_once)) as engine:
        assert fitted(engine) == in_peace()
        assert lost(engine) == faults.total == 2


def test_a_worker_killed_between_two_passes_is_counted(client: Client, faults: Faults) -> None:
    def between(done: Any) -> None:
        if done.number in (3, 6):
            kill(min(workers_of(client.cluster)))
            faults.add("kill")
            wait_for(client.cluster, 1)
            wait_for(client.cluster, 2)

    with free(client) as engine:
        assert fitted(engine, watch=between) == in_peace()
        assert sum(record.workers_lost for record in engine.history) == faults.total == 2
        assert retries(engine) == 0


def test_a_storm_through_a_whole_fit(
    client: Client, faults: Faults, rng: np.random.Generator
) -> None:
    slow = lambda number, fold: Trap(fold, pause=0.02)  # noqa: E731
    with trapped(client, slow, retries=20) as engine:
        engine.fold(Nothing(), Blobs())  # who dies before the first pass is never missed
        with storm(client.cluster, rng, faults, mean=0.7, most=5):
            assert fitted(engine) == in_peace()
        assert lost(engine) == faults.total


def test_workers_that_come_and_go(client: Client, faults: Faults) -> None:
    sizes = iter([3, 1, 2])

    def resize(done: Any) -> None:
        size = next(sizes, None)
        if size is not None:
            threading.Timer(0.1, client.cluster.scale, [size]).start()
            faults.add("scale")

    slow = lambda number, fold: Trap(fold, pause=0.05)  # noqa: E731
    with trapped(client, slow) as engine:
        assert fitted(engine, watch=resize) == in_peace()
        assert retries(engine) == 0


def test_a_restart_of_all_workers(client: Client, faults: Faults) -> None:
    def restart() -> None:
        client.restart()
        faults.add("restart")

    with trapped(client, during(E_STEP, restart)) as engine:
        assert fitted(engine) == in_peace()
        assert [r.retries for r in engine.history].count(1) == retries(engine) == 1
        assert lost(engine) == 2


def test_a_pass_that_the_scheduler_gives_up_is_repeated(
    client: Client, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    marks = str(tmp_path / "mark")
    trap = partial(_in_e_step, where="measure", marks=marks, row=9_000, times=2)
    with trapped(client, trap) as engine:
        assert fitted(engine) == in_peace()
        faults.add("kill", sprung(marks))
        assert faults.total == 2
        assert [record.retries for record in engine.history].count(2) == 1
        assert retries(engine) == lost(engine) == 2


def _in_e_step(number: int, fold: Any, **options: Any) -> Any:
    return Trap(fold, **options) if number == E_STEP else fold


def test_a_pass_that_kills_every_time_is_given_up(faults: Faults, tmp_path: Path) -> None:
    marks = str(tmp_path / "mark")
    trap = Trap(Nothing(), where="measure", marks=marks, row=9_000, times=99)
    with cluster_of(1, UNFORGIVING, memory_limit="600MB") as client:
        engine = DaskEngine(client, "stream", **PLAN, timeout=100, retries=1)
        with pytest.raises(ClusterError, match="gave up after 2 attempts") as raised:
            engine.fold(trap, Blobs())
        # the scheduler blames all tasks of the dead worker, so the one named may be a neighbour
        assert re.search(r"(block \d+ \(rows \d+ to \d+\)|a merge) .*beside it", str(raised.value))
        assert "limit 572.2 MiB" in str(raised.value)
        faults.add("kill", sprung(marks))
        assert faults.total == 2
        # the same cluster then kills a worker for memory, which is told apart at once
        with pytest.raises(ClusterError, match=r"killed for memory in block 0 .*reached") as raised:
            engine.fold(Hungry(), Blobs(4096))
        assert "limit 572.2 MiB" in str(raised.value)
        assert "cluster.memory_limit" in str(raised.value)
        assert lost(engine) == 3
        assert retries(engine) == 0


def test_a_frozen_worker_is_replaced(faults: Faults) -> None:
    with cluster_of(2, {"distributed.scheduler.worker-ttl": "3s"}) as client:
        scheduler = client.cluster.scheduler
        # a worker that imports is as silent as a frozen one, and on a busy machine for as long
        short, scheduler.worker_ttl = scheduler.worker_ttl, 100

        def freeze() -> None:
            victim = min(workers_of(client.cluster))
            os.kill(victim, signal.SIGSTOP)
            faults.add("freeze")
            scheduler.worker_ttl = short
            eventually(lambda: victim not in workers_of(client.cluster))
            scheduler.worker_ttl = 100

        with trapped(client, during(E_STEP, freeze)) as engine:
            assert fitted(engine) == in_peace()
            assert lost(engine) == faults.total == 1
