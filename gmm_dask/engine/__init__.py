"""Passes over the data: plans, and the engines that run folds by them (threads or Dask).

The engines on Dask live in `dask_engine`, `dask_source` and `dask_workers`; they are not imported
here, so that NumPy users never import `distributed`.
"""

from __future__ import annotations

from gmm_dask.engine.base import Engine, PassRecord
from gmm_dask.engine.local import LocalEngine
from gmm_dask.engine.memory import Projection, check, project
from gmm_dask.engine.plan import Plan, make_plan, plan_for

__all__ = [
    "Engine",
    "LocalEngine",
    "PassRecord",
    "Plan",
    "Projection",
    "check",
    "make_plan",
    "plan_for",
    "project",
]
