from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.program import Place
from tests.end_to_end.servers import Servers


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A folder with rows."""
    return Place.make(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A scheduler with two workers."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    try:
        servers.add(2)
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="package")
def cluster(servers: Servers) -> dict[str, Any]:
    """The ``cluster`` section that names this scheduler."""
    return servers.section(wait_for_workers=2)


@pytest.fixture(scope="package")
def undisturbed(place: Place, cluster: dict[str, Any]) -> str:
    """Fingerprint of the model of a run that nothing disturbed."""
    done = place.call("run", place.config("undisturbed", cluster=cluster))
    assert done.returncode == 0, done.stderr
    return place.fingerprint("undisturbed")
