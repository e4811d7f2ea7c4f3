from __future__ import annotations

from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster

# port 0: the default port of the HTTP server warns when another cluster is there
LOCAL = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "threads_per_worker": 1}


@pytest.fixture(scope="package")
def client() -> Iterator[Client]:
    """Client of two worker processes, shared by tests that leave them as they are."""
    with LocalCluster(n_workers=2, **LOCAL) as cluster, Client(cluster) as client:
        yield client
