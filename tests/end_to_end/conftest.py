from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.program import Place, Started, eventually


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with rows."""
    return Place.make(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="package")
def scheduler_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of a scheduler with two workers, all started as users start them."""
    folder = tmp_path_factory.mktemp("scheduler")
    file = folder / "scheduler.json"
    dask = str(Path(sys.executable).with_name("dask"))
    common = (
        "--host",
        "127.0.0.1",
        "--dashboard-address",
        "127.0.0.1:0",
        "--scheduler-file",
        str(file),
    )
    worker = (dask, "worker", *common, "--nworkers", "2", "--nthreads", "1")
    (folder / "s").mkdir()
    scheduler = Started((dask, "scheduler", *common, "--port", "0"), folder / "s")
    workers = Started(worker, folder)
    try:
        eventually(file.is_file)
        yield file
    finally:
        workers.close()
        scheduler.close()


@pytest.fixture(scope="package")
def cluster(scheduler_file: Path) -> dict[str, str]:
    """The ``cluster`` section that names this scheduler."""
    return {"type": "address", "scheduler_file": str(scheduler_file), "timeout": "60s"}


@pytest.fixture(scope="package")
def undisturbed(place: Place, cluster: dict[str, str]) -> str:
    """Fingerprint of the model of a run that nothing disturbed."""
    done = place.call("run", place.config("undisturbed", cluster=cluster))
    assert done.returncode == 0, done.stderr
    return place.fingerprint("undisturbed")
