from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from tests.pipeline.run.helpers import Workplace, write_rows


@pytest.fixture(scope="package")
def scheduler() -> Iterator[str]:
    """Address of a scheduler with one worker in this process: starts fast, dies with the tests."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=2,
        processes=False,
        host="127.0.0.1",
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def place(tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A folder with ``rows.csv`` and ``fit.yaml``, and the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gmm-dask", "test"])
    write_rows(tmp_path / "rows.csv")
    return Workplace(tmp_path, scheduler)
