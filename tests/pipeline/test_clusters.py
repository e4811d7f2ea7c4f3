"""Clusters: started here, or found by address and file; every wait has an end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import LocalCluster

from gmm_dask import ClusterError, ConfigError
from pipeline.clusters import ClusterSettings, open_client
from pipeline.schedulers import scheduler_address

pytestmark = pytest.mark.cluster
NOBODY = "tcp://127.0.0.1:9"
THREADS = {"processes": False}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    options: dict[str, Any] = {"processes": False, "protocol": "tcp", "host": "127.0.0.1"}
    options["dashboard_address"] = "127.0.0.1:0"
    with LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
        yield cluster.scheduler_address


@pytest.mark.parametrize("processes", [True, False])
def test_a_local_cluster_listens_on_loopback_only(processes: bool) -> None:
    options = {} if processes else {"processes": False}
    settings = ClusterSettings(n_workers=1, threads_per_worker=2, options=options)
    with open_client(settings) as client:
        assert list(client.nthreads().values()) == [2]
        assert client.submit(sum, [1, 2]).result() == 3
        here = psutil.Process()
        every = [here, *here.children(recursive=True)]
        places = [c.laddr.ip for p in every for c in p.net_connections() if c.status == "LISTEN"]
    assert len(every) > 1 or not processes
    assert places
    assert set(places) <= {"127.0.0.1", "::1"}
    assert client.status == "closed"


def _fails() -> None:
    raise ValueError("a value that is not positive")


def test_workers_do_not_print_the_tracebacks_of_errors_that_the_driver_tells(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with (
        open_client(ClusterSettings(n_workers=1)) as client,
        pytest.raises(ValueError, match="not positive"),
    ):
        client.submit(_fails).result()
    assert "Traceback" not in "".join(capfd.readouterr())


def test_options_go_to_the_cluster_verbatim() -> None:
    settings = ClusterSettings(n_workers=3, options={**THREADS, "n_workers": 1})
    with open_client(settings) as client:
        assert len(client.nthreads()) == 1
        # a frozen worker does not hold a pass for the five minutes that are the default
        assert client.cluster.scheduler.worker_ttl == 60


@pytest.mark.parametrize("options", [{"n_wrokers": 2}, {"n_workers": "many"}])
def test_options_that_no_cluster_knows(options: dict[str, Any]) -> None:
    settings = ClusterSettings(options={**THREADS, **options})
    with (
        pytest.raises(ConfigError, match=r"cluster.options: LocalCluster refuses them"),
        open_client(settings),
    ):
        pass


def test_the_cluster_is_closed_after_an_error() -> None:
    with pytest.raises(KeyboardInterrupt), open_client(ClusterSettings(options=THREADS)) as client:
        raise KeyboardInterrupt
    assert client.status == "closed"
    assert client.cluster.status.name == "closed"


def test_an_existing_scheduler_by_address_stays_open(address: str) -> None:
    for _ in range(2):
        with open_client(ClusterSettings("address", address, timeout=10)) as client:
            assert client.submit(sum, [1, 2]).result() == 3


def test_an_existing_scheduler_by_its_file(address: str, tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    asked: list[str] = []
    settings = ClusterSettings("address", scheduler_file=str(file), timeout=20, check=asked.append)

    def write_later() -> None:
        time.sleep(0.5)
        file.write_text('{"addr')  # as it may be seen while it is being written
        time.sleep(0.5)
        file.write_text(json.dumps({"type": "Scheduler", "address": address}))

    thread = threading.Thread(target=write_later)
    thread.start()
    with open_client(settings) as client:
        assert client.submit(sum, [1, 2]).result() == 3
    thread.join()
    assert asked == [address]


def test_an_address_in_a_file_is_checked_before_it_is_used(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://10.0.0.7:8786"}))

    def refuse(address: str) -> None:
        raise ConfigError(f"{address} is not encrypted")

    settings = ClusterSettings("address", scheduler_file=str(file), timeout=60, check=refuse)
    with pytest.raises(ConfigError, match=r"10.0.0.7:8786 is not encrypted"), open_client(settings):
        pass


def test_a_wrong_address_ends_within_the_timeout() -> None:
    began = time.monotonic()
    with (
        pytest.raises(ClusterError, match=rf"no scheduler answers at {NOBODY} within 1 s"),
        open_client(ClusterSettings("address", NOBODY, timeout=1)),
    ):
        pass
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("address", ["tcp://127.0.0.1", "carrier-pigeon://127.0.0.1:80"])
def test_an_address_that_can_never_work_is_a_setting(address: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"cannot be connected to"),
        open_client(ClusterSettings("address", address, timeout=2)),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "state"),
    [
        (None, "is not there"),
        ("", "holds no address"),
        ("[1]", "holds no address"),
        ('{"id": 3}', "holds no address"),
    ],
)
def test_a_file_without_an_address_ends_within_the_timeout(
    tmp_path: Path, text: str | None, state: str
) -> None:
    file = tmp_path / "scheduler.json"
    if text is not None:
        file.write_text(text)
    began = time.monotonic()
    with pytest.raises(ClusterError, match=rf"waited 0.3 s for .*scheduler.json: it {state}"):
        scheduler_address(file, 0.3)
    assert 0.3 <= time.monotonic() - began < 10
