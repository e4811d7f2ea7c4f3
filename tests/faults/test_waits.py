"""No wait is endless, and its end says what was awaited."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gmm_dask import ClusterError, DaskEngine, DeadlineError, ResourceError, check_workers
from pipeline.clusters import ClusterSettings, open_client
from tests.faults.conftest import Apart, cluster_of
from tests.faults.fits import PLAN, Blobs, Nothing
from tests.faults.harness import Faults
from tests.faults.traps import Trap

pytestmark = pytest.mark.cluster

HIDE = "import sys\nsys.modules['gmm_dask'] = None\n"
OLD = "import gmm_dask\ngmm_dask.__version__ = '0.0.0'\n"
SLACK = 30.0  # beyond the wait itself, on a busy machine


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds + SLACK


def refuses(address: str) -> None:
    """Check that a connection is given up in time, with the address and the time in words."""
    settings = ClusterSettings("address", address, timeout=2)
    said = rf"no scheduler answers at {address} within 2 s"
    with within(2), pytest.raises(ClusterError, match=said), open_client(settings):
        pass


def test_no_workers(faults: Faults) -> None:
    with cluster_of(0) as client:
        faults.add("no workers")
        engine = DaskEngine(client, **PLAN, timeout=1)
        with within(1), pytest.raises(DeadlineError, match=r"waited 1 s for 1 workers at tcp.*; 0"):
            engine.fold(Nothing(), Blobs())
        with within(1), pytest.raises(DeadlineError, match=r"waited 1 s for 2 workers at tcp.*; 0"):
            check_workers(client, Blobs(), timeout=1, wait_for=2)
        assert not engine.history


def test_workers_that_stall_or_leave_in_mid_pass(faults: Faults) -> None:
    with cluster_of(1) as client, DaskEngine(client, **PLAN, timeout=60) as engine:
        engine.fold(Nothing(), Blobs())  # a short deadline must not pay for a worker's imports
        engine.timeout = 1.5
        faults.add("stall")
        with within(1.5), pytest.raises(DeadlineError, match=r"no block .* 1\.5 s .*running: 0 on"):
            engine.fold(Trap(Nothing(), pause=6.0), Blobs(4096))
        faults.add("leave")
        timer = threading.Timer(0.3, client.cluster.scale, [0])
        timer.start()
        with within(2), pytest.raises(DeadlineError, match=r"all workers of tcp.* are gone"):
            engine.fold(Trap(Nothing(), pause=0.3), Blobs())
        timer.join()


def test_a_frozen_scheduler(apart: Apart, faults: Faults) -> None:
    settings = ClusterSettings("address", scheduler_file=str(apart.file), timeout=60)
    with open_client(settings) as client:
        engine = DaskEngine(client, **PLAN, timeout=60)
        engine.fold(Nothing(), Blobs())
        os.kill(apart.scheduler.pid, signal.SIGSTOP)
        faults.add("freeze")
        engine.timeout = 2.0
        with within(2), pytest.raises(ResourceError, match=r"tcp.* did not answer for 2 s"):
            engine.fold(Nothing(), Blobs())
        refuses(client.scheduler.address)
        os.kill(apart.scheduler.pid, signal.SIGCONT)
        engine.timeout = 60.0
        assert engine.fold(Nothing(), Blobs())[0] == 22_000


def test_a_wrong_address(faults: Faults) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        faults.add("wrong address")
        refuses(address)


def test_an_address_where_something_else_answers(faults: Faults) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        faults.add("mute server")
        refuses(address)


def test_workers_without_the_package(faults: Faults) -> None:
    """Sent a task, they would leave for good; so they are asked first, and stay."""
    with cluster_of(1, preload=[HIDE]) as client, DaskEngine(client, **PLAN, timeout=60) as engine:
        faults.add("no package")
        for _ in range(2):
            with within(5), pytest.raises(ClusterError, match=r"1 of 1 .*cannot import gmm_dask"):
                engine.fold(Nothing(), Blobs())
        assert len(client.nthreads()) == 1


def test_workers_of_another_version(faults: Faults) -> None:
    with cluster_of(1, preload=[OLD]) as client:
        faults.add("old package")
        with within(5), pytest.raises(ClusterError, match=r"1 of 2 .* gmm_dask \S+ v 0\.0\.0"):
            check_workers(client, Blobs(), timeout=60)
