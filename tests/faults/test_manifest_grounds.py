"""What bit-equality rests on: recorded, compared when a run goes on, told in words."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmm_dask import ArraySource, CheckpointSettings, Grid, LocalEngine, PlatformWarning, run_grid
from gmm_dask import machine as library
from pipeline.run import grounds, job
from tests.faults.harness import Faults
from tests.faults.inprocess import QUICK, place, scheduler  # noqa: F401
from tests.pipeline.run.helpers import Workplace
from tests.strategies import clusters

pytestmark = pytest.mark.cluster
ROUNDING = "agrees with that of an undisturbed run to rounding, not bit for bit"


def interrupted(place: Workplace, monkeypatch: pytest.MonkeyPatch, **facts: str) -> Any:  # noqa: F811
    """Run until the labels would be written, on a machine with other facts; then die."""
    real = library.machine_facts()

    def died(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(grounds, "machine_facts", lambda: {**real, **facts})
        patch.setattr(job, "write_outputs", died)
        answer = place.call("run", place.config(model=QUICK))
    assert answer.code == 4, answer.err
    return answer


def test_the_manifest_records_what_bits_rest_on(place: Workplace) -> None:  # noqa: F811
    answer = place.call("run", place.config(model={**QUICK, "covariance_type": ["full", "diag"]}))
    assert answer.code == 0, answer.err
    told = place.manifest
    assert told["rests_on"] == library.machine_facts()
    assert {"BLAS", "processor", "vectors", "numpy", "code of gmm_dask"} <= set(told["rests_on"])
    assert told["kernels"] == {"full": ["unrolled full"], "diag": ["unrolled diag"]}
    assert told["plan"]["n_rows"] == 200
    assert {"block_rows", "fan_in", "slab_rows", "n_blocks"} <= set(told["plan"])
    assert told["warnings"] == []
    assert "warning" not in answer.err


def test_a_resume_on_the_same_says_nothing(
    place: Workplace,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted(place, monkeypatch)
    again = place.call("run", "fit.yaml", "--resume", "require")
    assert again.code == 0, again.err
    assert "resuming" in again.err
    assert "warning" not in again.err


def test_a_resume_on_something_different_says_what_and_what_it_means(
    place: Workplace,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
) -> None:
    now = library.machine_facts()
    interrupted(place, monkeypatch, processor="a64fx", BLAS="blis 1.0", CPU="another model")
    faults.add("another machine")
    again = place.call("run", "fit.yaml", "--resume", "require")
    assert again.code == 0, again.err
    (line,) = [line for line in again.err.splitlines() if line.startswith("warning: ")]
    for part in (
        "the passes up to ",
        f"processor: a64fx then, {now['processor']} now",
        f"BLAS: blis 1.0 then, {now['BLAS']} now",
        ROUNDING,
    ):
        assert part in line
    assert "another model" not in line  # two models of one family give the same bits
    assert place.manifest["warnings"] == [line.removeprefix("warning: ")]
    (event,) = [event for event in place.events() if event["event"] == "warning"]
    assert event["text"] == line.removeprefix("warning: ")
    assert [difference.split(":")[0] for difference in event["differs"]] == ["BLAS", "processor"]
    assert line in again.out  # at the end as well, with the results


def test_what_came_before_an_earlier_resume_is_not_forgotten(
    place: Workplace,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
) -> None:
    interrupted(place, monkeypatch, vectors="64 bits")
    with monkeypatch.context() as patch:
        patch.setattr(grounds, "machine_facts", lambda: {**library.machine_facts(), "zarr": "0.1"})
        # one more pass on the second machine, so that there is a checkpoint of its own
        assert place.call("run", "fit.yaml", "--set", "model.tol=1e-9").code == 0
    faults.add("another machine", 2)
    (place.run / "run.json").unlink()
    third = place.call("run", "fit.yaml", "--set", "model.tol=1e-10")
    assert third.code == 0, third.err
    (told,) = [text for text in place.manifest["warnings"] if "different" in text]
    assert "vectors: 64 bits then" in told
    assert "zarr: 0.1 then" in told


def test_workers_that_differ_are_told_once_by_name(
    place: Workplace,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
) -> None:
    monkeypatch.setattr("gmm_dask.engine.dask_workers.PACKAGES", ("processor",))
    real = library.machine_facts()

    def by_thread() -> dict[str, str]:
        """The driver asks in the main thread, the worker answers in another."""
        here = threading.current_thread() is threading.main_thread()
        return {**real, "processor": "a64fx"} if here else real

    monkeypatch.setattr(grounds, "machine_facts", by_thread)
    answer = place.call("run", place.config(model=QUICK))
    faults.add("another worker")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    assert f"workers have different processor: {library.machine_facts()['processor']} on 1" in line
    assert "1 of 1 (tcp://127.0.0.1:" in line
    assert "(driver a64fx)" in line
    assert place.manifest["warnings"] == [line.removeprefix("warning: ")]
    assert " and " in place.manifest["rests_on"]["processor"]


def settings(path: Path, **facts: str) -> CheckpointSettings:
    rests_on = {**library.machine_facts(), **facts}
    return CheckpointSettings(path, every_passes=1, resume="auto", rests_on=rests_on)


def test_users_of_the_library_are_warned_too(tmp_path: Path, faults: Faults) -> None:
    source = ArraySource(clusters(300, seed=2)[0])
    grid = Grid((2,), ("full",), n_init=1, tol=1e-3)
    first = run_grid(source, grid, LocalEngine(1), checkpoint=settings(tmp_path, vectors="64 bits"))
    faults.add("another machine")
    with pytest.warns(PlatformWarning, match="vectors: 64 bits then, "):
        again = run_grid(source, grid, LocalEngine(1), checkpoint=settings(tmp_path))
    ours, theirs = (result.candidates[0].mixture for result in (first, again))
    assert np.array_equal(ours.params.means, theirs.params.means)
