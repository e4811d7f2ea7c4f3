from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Any

import pytest
from distributed import LocalCluster


@pytest.fixture(scope="package", autouse=True)
def _known_versions() -> Iterator[None]:
    """Look up the version of each package once: a third of the time of a refused run otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "version", cache(metadata.version))
        yield


@pytest.fixture(scope="package")
def cluster() -> Iterator[dict[str, Any]]:
    """The ``cluster`` section of a scheduler and a worker in this process: quick to connect to."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp",
        # port 0: the default port of the HTTP server warns when another cluster is there
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    ) as running:
        address = running.scheduler_address
        yield {"type": "address", "address": address, "timeout": "30s"}
