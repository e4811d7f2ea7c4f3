from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

# port 0: the default port of the HTTP server warns when another cluster is there
LOCAL = {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1", "threads_per_worker": 1}


@pytest.fixture(scope="package")
def client() -> Iterator[Client]:
    """Client of two worker processes, shared by tests that leave them as they are."""
    with LocalCluster(n_workers=2, **LOCAL) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture
def own_client(request: Any) -> Iterator[Client]:
    """Client of a cluster of its own, for tests that kill; parametrise it with its options."""
    options = LOCAL | getattr(request, "param", {"n_workers": 2})
    # a worker absent 15 s after any loss, even if lost again just then, is closed for good
    patience = {"distributed.deploy.lost-worker-timeout": "10m"}
    with dask.config.set(patience), LocalCluster(**options) as cluster, Client(cluster) as client:
        yield client
