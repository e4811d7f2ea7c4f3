"""A scheduler that dies: the driver ends in time, and a new cluster goes on to the same bits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from gmm_dask import CheckpointSettings, DaskEngine, ResourceError
from tests.faults.conftest import Apart, cluster_of
from tests.faults.fits import PLAN, Blobs, Nothing, fitted, in_peace
from tests.faults.harness import Faults, eventually
from tests.faults.traps import Trap, TrappedEngine, kill, sprung

pytestmark = pytest.mark.cluster

E_STEP = 10


def test_a_scheduler_killed_in_mid_pass(apart: Apart, faults: Faults, tmp_path: Path) -> None:
    marks = str(tmp_path / "mark")
    checkpoint = CheckpointSettings(tmp_path / "checkpoint", every_passes=1)
    with Client(scheduler_file=str(apart.file), set_as_default=False) as client:
        engine = TrappedEngine(client, "memory", **PLAN, timeout=30)
        in_peace()
        fitted(engine)  # no deadline may pay for the imports of a new worker

        def trap(number: int, fold: Any) -> Any:
            if number < len(first) + E_STEP:
                return fold
            return Trap(fold, where="measure", marks=marks, row=9_000, pid=apart.scheduler.pid)

        first = list(engine.history)
        engine.trap = trap
        engine.timeout = 3.0
        started = time.monotonic()
        with pytest.raises(ResourceError, match=r"did not answer for 3 s|is closed") as raised:
            fitted(engine, checkpoint=checkpoint)
        # three waits of 3 s at most, and what the passes before took
        assert time.monotonic() - started < 60
        assert "a checkpoint goes on from its pass" in str(raised.value)
        faults.add("kill", sprung(marks))
        engine.close()
        # the orphan does not stay behind
        assert eventually(lambda: apart.worker.poll() is not None, 60)
    with cluster_of(1) as client, DaskEngine(client, "stream", **PLAN, timeout=100) as engine:
        assert fitted(engine, checkpoint=checkpoint) == in_peace()
        # only the passes after the checkpoint were done again
        assert len(engine.history) < len(first) - 4


def test_a_scheduler_dead_before_the_first_pass(apart: Apart, faults: Faults) -> None:
    with Client(scheduler_file=str(apart.file), set_as_default=False) as client:
        engine = DaskEngine(client, "stream", **PLAN, timeout=100)
        engine.fold(Nothing(), Blobs())
        kill(apart.scheduler.pid)
        apart.scheduler.wait()
        faults.add("kill")
        engine.timeout = 2.0
        started = time.monotonic()
        with pytest.raises(ResourceError, match=r"did not answer for 2 s|is closed"):
            engine.fold(Nothing(), Blobs())
        with pytest.raises(ResourceError, match=r"does not answer|is closed"):
            engine.describe()
        assert time.monotonic() - started < 60
        assert len(engine.history) == 1
        engine.close()
