"""Gaussian mixtures for data that do not fit one machine.

`GaussianMixture` is the scikit-learn face; `fit_many` runs a whole grid in shared passes. The other
names are the parts of which pipelines are made: sources, engines, folds and results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gmm_dask.blocks import ArraySource, Block, Frame, Source
from gmm_dask.drive import Interrupted, PassDone
from gmm_dask.engine.base import Engine, PassRecord
from gmm_dask.engine.local import LocalEngine
from gmm_dask.engine.memory import Projection, human_bytes, project
from gmm_dask.engine.plan import Plan, plan_for
from gmm_dask.errors import (
    CheckpointError,
    ClusterError,
    ConfigError,
    DataError,
    DataWarning,
    DeadlineError,
    DegenerateWarning,
    FormatError,
    GmmDaskError,
    PlanError,
    ResourceError,
    SourceChangedError,
    StoreError,
)
from gmm_dask.estimator.gaussian_mixture import GaussianMixture
from gmm_dask.first_pass import find_frame
from gmm_dask.fit_many import FitMany, fit_many
from gmm_dask.fits.stopping import passes_left
from gmm_dask.folds.columns import ColumnStats
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.sample import Sample
from gmm_dask.many import GridResult, run_grid
from gmm_dask.mixture import Mixture
from gmm_dask.rows import RowFunction, posterior_rows
from gmm_dask.search import Grid, pass_fold
from gmm_dask.selection import Candidate
from gmm_dask.state import CheckpointSettings, Resumed
from gmm_dask.stats import Batch, Fold, batch
from gmm_dask.store.heartbeat import read_beat
from gmm_dask.store.lock import RunLock
from gmm_dask.store.owner import is_alive
from gmm_dask.store.spool import spool
from gmm_dask.store.zarr_source import ZarrSource

if TYPE_CHECKING:
    from gmm_dask.engine.dask_engine import DaskEngine
    from gmm_dask.engine.dask_workers import check_workers

__version__ = "0.1.0"

_LAZY = {
    "DaskEngine": "gmm_dask.engine.dask_engine",
    "check_workers": "gmm_dask.engine.dask_workers",
}

__all__ = [
    "ArraySource",
    "Batch",
    "Block",
    "Candidate",
    "CheckpointError",
    "CheckpointSettings",
    "ClusterError",
    "ColumnStats",
    "ConfigError",
    "DaskEngine",
    "DataError",
    "DataWarning",
    "DeadlineError",
    "DegenerateWarning",
    "Engine",
    "FitMany",
    "Fold",
    "FormatError",
    "Frame",
    "GaussianMixture",
    "GmmDaskError",
    "Grid",
    "GridResult",
    "Interrupted",
    "LocalEngine",
    "Mixture",
    "PassDone",
    "PassRecord",
    "Plan",
    "PlanError",
    "Projection",
    "ResourceError",
    "Resumed",
    "RowFunction",
    "RowShare",
    "RunLock",
    "Sample",
    "Source",
    "SourceChangedError",
    "StoreError",
    "ZarrSource",
    "batch",
    "check_workers",
    "find_frame",
    "fit_many",
    "human_bytes",
    "is_alive",
    "pass_fold",
    "passes_left",
    "plan_for",
    "posterior_rows",
    "project",
    "read_beat",
    "run_grid",
    "spool",
]


def __getattr__(name: str) -> Any:
    """Import what needs Dask only when it is asked for."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'gmm_dask' has no attribute {name!r}")
