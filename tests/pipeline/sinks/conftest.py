from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: no test here can cut the power, and waiting takes most of a run."""
    if "syncs" not in request.fixturenames:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths in the order in which the program waited for them."""
    waited: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: waited.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    )
    return waited
