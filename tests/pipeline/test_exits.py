"""Every error has its documented exit code."""

from __future__ import annotations

import errno

import pytest

import gmm_dask
from gmm_dask import Interrupted
from pipeline.exits import Terminated, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (gmm_dask.ConfigError("x"), 2),
        (gmm_dask.DataError("x"), 3),
        (gmm_dask.SourceChangedError("x"), 3),
        (gmm_dask.FormatError("x"), 3),
        (gmm_dask.ResourceError("x"), 4),
        (gmm_dask.PlanError("x"), 4),
        (gmm_dask.ClusterError("x"), 4),
        (gmm_dask.DeadlineError("x"), 4),
        (gmm_dask.StoreError("x"), 4),
        (gmm_dask.CheckpointError("no checkpoint"), 4),
        (gmm_dask.CheckpointError("the checkpoint of pass 3 belongs to another run: seed"), 2),
        (MemoryError(), 4),
        (PermissionError(errno.EACCES, "denied", "/x"), 4),
        (OSError(errno.ENOSPC, "full", "/x"), 4),
        (OSError(errno.EROFS, "read-only", "/x"), 4),
        (ConnectionResetError(), 4),
        (TimeoutError(), 4),
        (KeyboardInterrupt(), 130),
        (Interrupted((), 3), 130),
        (Terminated(), 143),
        # these are faults of the program: with a traceback, and no promise
        (FileNotFoundError(errno.ENOENT, "gone", "/x"), 1),
        (KeyError("x"), 1),
        (ValueError("x"), 1),
        (AssertionError(), 1),
        (gmm_dask.GmmDaskError("x"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_exit_code(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_termination_is_not_swallowed_by_except_exception() -> None:
    assert not issubclass(Terminated, Exception)
