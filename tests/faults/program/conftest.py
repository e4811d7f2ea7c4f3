from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.program import Place
from tests.end_to_end.servers import Servers
from tests.faults.program import traps as preload
from tests.faults.program.traps import TRAPS, Traps

# Given up after the first death of a worker, a pass is repeated by the program, and counted.
UNFORGIVING = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
# Twice what a worker takes; the greedy trap is there soon.
LIMIT = "700MiB"


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with rows."""
    return Place.make(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="package")
def trap_folder(tmp_path_factory: pytest.TempPathFactory) -> Traps:
    """The folder of the workers' traps."""
    return Traps(tmp_path_factory.mktemp("traps"))


@pytest.fixture
def traps(trap_folder: Traps) -> Iterator[Traps]:
    """Traps in the workers; none is left for the next test."""
    yield trap_folder
    trap_folder.clear()


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory, trap_folder: Traps) -> Iterator[Servers]:
    """A scheduler with two workers that have traps in them."""
    servers = Servers(tmp_path_factory.mktemp("servers"), env=UNFORGIVING)
    try:
        trapped = ("--preload", str(preload.__file__), "--memory-limit", LIMIT)
        servers.add(2, *trapped, env={TRAPS: str(trap_folder.folder)})
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="package")
def cluster(servers: Servers) -> dict[str, Any]:
    """The ``cluster`` section that names this scheduler."""
    return servers.section(wait_for_workers=2)


@pytest.fixture(scope="package")
def undisturbed(place: Place, cluster: dict[str, Any]) -> tuple[str, str]:
    """Model and assignments of a run that nothing disturbed, as fingerprints."""
    done = place.call("run", place.config("undisturbed", cluster=cluster))
    assert done.returncode == 0, done.stderr
    return place.bits("undisturbed")
