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
from gmm_dask.engine.dask_workers import check_workers, differences
from gmm_dask.engine.platform import platform_facts
from gmm_dask.errors import ClusterError, DeadlineError, PlatformWarning, ResourceError
from gmm_dask.machine import machine_facts

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
        found = check_workers(client, SOURCE, timeout=30, describe=machine_facts)
    assert found["workers"] == found["threads"] == 2
    assert found["rests_on"] == machine_facts()
    assert found["warnings"] == []
    assert json.loads(json.dumps(found)) == found
    assert found["rests_on"]["numpy"] == np.__version__


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
    with pytest.raises(ClusterError, match=r"3 of 3 .*gmm_dask 9\.9\.9 v 0") as raised:
        check_workers(client, SOURCE, timeout=30)
    assert "distributed" not in str(raised.value)


@dataclass(frozen=True)
class Told:
    """Facts of workers and driver as a test wants them."""

    by_pid: dict[int, dict[str, str]]

    def __call__(self) -> dict[str, str]:
        return {**platform_facts(), **self.by_pid.get(os.getpid(), {})}


@pytest.mark.parametrize("name", ["code of gmm_dask", "code of pipeline", "python"])
def test_other_code_of_the_same_version_is_refused(client: Client, name: str) -> None:
    where, pid = next(iter(client.run(os.getpid).items()))
    mine = platform_facts()[name]
    told = rf"1 of 2 \({where}\) .*other versions than the driver: {name} {mine} v other \("
    with pytest.raises(ClusterError, match=told):
        check_workers(client, SOURCE, timeout=30, describe=Told({pid: {name: "other"}}))


def test_workers_of_several_kinds_are_warned_about_by_name(client: Client) -> None:
    where, pid = next(iter(client.run(os.getpid).items()))
    odd = Told({pid: {"BLAS": "another BLAS", "zarr": "0.1"}})
    with pytest.warns(PlatformWarning) as caught:
        found = check_workers(client, SOURCE, timeout=30, describe=odd)
    blas, zarr = sorted(str(warning.message) for warning in caught)
    assert f"workers have different BLAS: another BLAS on 1 of 2 ({where}); " in blas
    assert f"different zarr: 0.1 on 1 of 2 ({where}); " in zarr
    assert f"(driver {platform_facts()['zarr']})" in zarr
    assert sorted(found["warnings"]) == [blas, zarr]
    assert "another BLAS and " in found["rests_on"]["BLAS"]


def test_what_differs_between_workers_and_what_between_them_and_the_driver() -> None:
    mine = {"numpy": "2", "BLAS": "x", "processor": "zen", "CPU": "EPYC 1", "python": "3.11"}
    same = {"tcp://a": mine, "tcp://b": {**mine, "CPU": "EPYC 2"}}
    assert list(differences(mine, same)) == []
    driver = {**mine, "processor": "skylake", "BLAS": "y"}
    assert list(differences(driver, same)) == []  # a driver does its own part everywhere alike
    (told,) = differences({**mine, "numpy": "1"}, same)
    assert "different numpy: 2 on 2 of 2 (tcp://a, tcp://b) (driver 1)" in told
    mixed = {**same, "tcp://c": {**mine, "processor": "skylake"}}
    (told,) = differences(mine, mixed)
    assert "different processor: skylake on 1 of 3 (tcp://c); zen on 2 of 3" in told


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
