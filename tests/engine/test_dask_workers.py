from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

from gmm_dask.blocks import ArraySource
from gmm_dask.engine import dask_workers
from gmm_dask.engine.dask_source import LazySource
from gmm_dask.engine.dask_workers import check_workers, probe
from gmm_dask.errors import ClusterError, DeadlineError, ResourceError

from .conftest import LOCAL
from .toys import Generated

pytestmark = pytest.mark.cluster

SOURCE = Generated(50_000)


@dataclass(frozen=True)
class OnlyHere(Generated):
    """A file that one process sees and others do not."""

    pid: int = 0

    def read(self, lo: int, hi: int) -> Any:
        if os.getpid() != self.pid:
            raise FileNotFoundError("/home/me/atlas.h5ad")
        return super().read(lo, hi)


def test_good_workers_are_described(client: Client) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = check_workers(client, SOURCE, timeout=30)
    assert found["workers"] == found["threads"] == 2
    assert found["versions"]["numpy"] == np.__version__
    assert found["cpus"] == [probe()["cpu"]]
    assert json.loads(json.dumps(found)) == found


def test_rows_that_travel_need_not_be_opened(client: Client) -> None:
    check_workers(client, ArraySource(np.zeros((10, 2))), timeout=30)
    check_workers(client, LazySource.of(da.zeros((10, 2)).persist()), timeout=30)


def test_workers_that_cannot_see_the_file(client: Client) -> None:
    with pytest.raises(ClusterError, match=r"2 of 2 workers cannot open the source .*atlas\.h5ad"):
        check_workers(client, OnlyHere(50_000, pid=os.getpid()), timeout=30)
    one = next(iter(client.run(os.getpid).values()))
    with pytest.raises(ClusterError, match="1 of 2 workers cannot open"):
        check_workers(client, OnlyHere(50_000, pid=one), timeout=30)


def test_other_versions_are_named(client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(dask_workers, "__version__", "9.9.9")
    version = probe()["versions"]["distributed"]
    with pytest.raises(ClusterError, match=r"2 of 2 .*gmm_dask 9\.9\.9 v 0") as raised:
        check_workers(client, SOURCE, timeout=30)
    assert f"distributed {version}" not in str(raised.value)


def test_workers_of_several_kinds_are_warned_about(client: Client) -> None:
    mine = probe()
    found = {"a": mine, "b": {**mine, "cpu": "Another CPU"}, "c": {**mine, "blas": ["mkl"]}}
    with (
        pytest.warns(UserWarning, match="different CPUs .*Another CPU"),
        pytest.warns(UserWarning, match="different BLAS kernels .*mkl"),
    ):
        described = dask_workers._described(client, mine, found, 10.0)
    assert "Another CPU" in described["cpus"]


def test_too_few_workers_end_the_wait(client: Client) -> None:
    with pytest.raises(DeadlineError, match=r"waited 0\.5 s for 3 workers at tcp.*; 2 came"):
        check_workers(client, SOURCE, timeout=0.5, wait_for=3)


def test_workers_without_the_package() -> None:
    hide = "import sys\nsys.modules['gmm_dask'] = None\n"
    with (
        LocalCluster(n_workers=1, **LOCAL, preload=[hide]) as cluster,
        Client(cluster) as client,
        pytest.raises(ClusterError, match=r"1 of 2 \(tcp.*\) .* cannot import gmm_dask"),
    ):
        check_workers(client, SOURCE, timeout=30)
    with pytest.raises(ResourceError, match="closed"):
        check_workers(client, SOURCE, timeout=1)
