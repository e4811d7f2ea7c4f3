from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster

from tests.faults.harness import DEADLINE, Faults, deadline, eventually, kill_tagged, seeded
from tests.faults.traps import wait_for

ROOT = Path(__file__).parents[2]
# a worker absent 15 s after any loss, even if lost again just then, is closed for good by default
PATIENCE = {"distributed.deploy.lost-worker-timeout": "10m"}
# port 0: the default port of the HTTP server warns when another cluster is there
LOCAL: dict[str, Any] = {
    "dashboard_address": "127.0.0.1:0",
    "host": "127.0.0.1",
    "threads_per_worker": 1,
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "deadline(seconds): after which a fault test fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that asked for `faults` and counted none; a skip or a failure stands."""
    result = yield
    faults = getattr(item, "funcargs", {}).get("faults")
    if faults is not None and not faults.total:
        pytest.fail("the test injected no fault")
    return result


@pytest.fixture(autouse=True)
def in_time(request: pytest.FixtureRequest) -> Iterator[str]:
    """Fail after the deadline; processes whose parents are gone do not outlive their test."""
    marker = request.node.get_closest_marker("deadline")
    tag = f"{os.getpid()} {request.node.nodeid}"
    with deadline(marker.args[0] if marker else DEADLINE, tag):
        yield tag
    kill_tagged(tag, orphans=True)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers of this test alone."""
    return seeded(request.node.nodeid)


@pytest.fixture
def faults() -> Iterator[Faults]:
    """The count of faults, above zero at the end."""
    count = Faults()
    yield count
    print(f"faults: {dict(count.kinds)}")


@contextmanager
def cluster_of(n_workers: int = 2, config: Any = None, **options: Any) -> Iterator[Client]:
    """Yield the client of a cluster of one thread a worker."""
    with (
        dask.config.set(PATIENCE | (config or {})),
        LocalCluster(n_workers=n_workers, **LOCAL | options) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Client]:
    """Client of two worker processes, for the tests of a module; see `client`."""
    with cluster_of() as client:
        yield client


@pytest.fixture
def client(two_workers: Client) -> Client:
    """The client of the module's cluster, whole again after whatever came before."""
    wait_for(two_workers.cluster, 2)
    return two_workers


@dataclass(frozen=True)
class Apart:
    """A scheduler and a worker in processes of their own."""

    scheduler: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes]
    file: Path

    def stop(self) -> None:
        for process in (self.scheduler, self.worker):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Apart]:
    """A scheduler that can be killed alone."""
    file = tmp_path / "scheduler.json"
    dask = str(Path(sys.executable).with_name("dask"))
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    alone = ["--nthreads", "1", "--no-nanny"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    scheduler = subprocess.Popen([dask, "scheduler", "--port", "0", *common], env=env)
    worker = subprocess.Popen([dask, "worker", *common, *alone], env=env)
    cluster = Apart(scheduler, worker, file)
    try:
        eventually(file.is_file, 60)
        yield cluster
    finally:
        cluster.stop()
