"""Several users of one scheduler, and clients of every kind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from distributed import Client, worker_client

from gmm_dask import ClusterError, ConfigError, DaskEngine, LocalEngine
from tests.faults.fits import GRID, PLAN, Blobs, fitted, in_peace
from tests.faults.harness import Faults
from tests.faults.traps import Trap, TrappedEngine

pytestmark = pytest.mark.cluster

OTHER = replace(GRID, seed=6, n_components=(2,))


def test_two_fits_at_once_on_one_scheduler(client: Client) -> None:
    """Same data and start, so keys that were not unique would collide; and another beside them."""

    def fit(grid: Any) -> str:
        with DaskEngine(client, "memory", **PLAN, timeout=100) as engine:
            return fitted(engine, Blobs(), grid)

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(fit, [GRID, GRID, OTHER]))
    other = fitted(LocalEngine(1, **PLAN), Blobs(), OTHER)
    assert answers == [in_peace(), in_peace(), other]
    assert other != in_peace()


def test_two_clients_of_one_scheduler(client: Client) -> None:
    def fit(mine: Client) -> str:
        with DaskEngine(mine, "stream", **PLAN, timeout=100) as engine:
            return fitted(engine)

    second = Client(client.scheduler.address, set_as_default=False)
    with second, ThreadPoolExecutor(2) as pool:
        assert set(pool.map(fit, [client, second])) == {in_peace()}


def fit_in_a_task() -> str:
    with worker_client() as client, DaskEngine(client, "stream", **PLAN, timeout=100) as engine:
        return fitted(engine)


def test_a_fit_inside_a_task(client: Client) -> None:
    assert client.submit(fit_in_a_task, pure=False).result(timeout=100) == in_peace()


def test_an_asynchronous_client_is_refused(client: Client) -> None:
    async def inside() -> None:
        DaskEngine(client)

    with pytest.raises(ConfigError, match=r"asynchronous; .* run the fit in a thread"):
        client.sync(inside)


def test_a_client_closed_in_mid_fit(client: Client, faults: Faults) -> None:
    other = Client(client.scheduler.address, set_as_default=False)
    engine = TrappedEngine(other, "memory", **PLAN, timeout=20)

    def close() -> None:
        other.close()
        faults.add("close")

    def trap(number: int, fold: Any) -> Any:
        if number == 10:
            threading.Timer(0.3, close).start()
            return Trap(fold, pause=0.3)
        return fold

    engine.trap = trap
    with pytest.raises(ClusterError, match=r"is closed: .* connect again and repeat"):
        fitted(engine)
    with pytest.raises(ClusterError, match="is closed"):
        fitted(engine)
    engine.close()
    with DaskEngine(client, "memory", **PLAN, timeout=100) as again:
        assert fitted(again) == in_peace()
