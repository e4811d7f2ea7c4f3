"""The program's commands in this process, on a scheduler of threads that starts fast."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from tests.faults.conftest import LOCAL
from tests.pipeline.run.helpers import Workplace, write_rows

QUICK = {"n_components": 2, "n_init": 1, "tol": 1e-3}


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a scheduler with one worker, both in this process."""
    with LocalCluster(n_workers=1, processes=False, protocol="tcp", **LOCAL) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def place(tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A folder with ``rows.csv`` and ``fit.yaml``, and the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gmm-dask", "test"])
    write_rows(tmp_path / "rows.csv", 200)
    return Workplace(tmp_path, scheduler)
