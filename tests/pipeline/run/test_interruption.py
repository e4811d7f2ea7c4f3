"""Ctrl-C in this process: 130, a checkpoint, and the next run goes on."""

from __future__ import annotations

import pytest

from gmm_dask import ResourceError
from pipeline.run import job
from pipeline.run.job import interruption
from tests.pipeline.run.helpers import Workplace

HARD = {"n_components": 2, "n_init": 1, "init_params": "random", "tol": 1e-6}


def raised(outer: BaseException, inner: BaseException) -> BaseException:
    """Return an error that arose while another one was handled."""
    try:
        try:
            raise inner
        except BaseException:
            raise outer  # noqa: B904
    except BaseException as error:
        return error


def test_an_error_on_the_way_out_is_still_an_interruption() -> None:
    ctrl_c, full = KeyboardInterrupt(), ResourceError("disk full")
    assert interruption(ctrl_c) is ctrl_c
    assert interruption(full) is None
    assert interruption(raised(ResourceError("disk full"), ctrl_c)) is ctrl_c
    assert interruption(raised(full, ValueError())) is None


@pytest.mark.cluster
@pytest.mark.parametrize("full", [False, True])
def test_ctrl_c_between_passes(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """Twice: with a disk that takes the last checkpoint, and one that does not."""
    watch = job.Job.watch

    def stop(self: job.Job, done: object) -> None:
        watch(self, done)  # type: ignore[arg-type]
        if self.last is not None and self.last.number == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(job.Job, "watch", stop)
    if full:
        monkeypatch.setattr("gmm_dask.store.checkpoint.Checkpoints.save", _no_space)
    config = place.config(model=HARD, checkpoint={"every": "100 passes"})
    answer = place.call("run", config)
    assert answer.code == 130
    assert "interrupted after pass 5" in answer.err
    assert ("disk full" in answer.err) == full
    manifest = place.manifest
    assert (manifest["status"], manifest["exit_code"]) == ("stopped", 130)
    monkeypatch.undo()
    monkeypatch.chdir(place.path)
    again = place.call("run", config)
    assert again.code == 0, again.err
    assert ("from pass 5" in again.err) == (not full)


def _no_space(*_: object) -> None:
    raise ResourceError("disk full")
