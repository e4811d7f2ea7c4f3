"""Passes on a Dask cluster: pure tasks, a fixed tree, and blocks that stay or stream."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Literal

import dask
from dask.delayed import Delayed, delayed
from distributed import Client, Future

from gmm_dask.blocks import ArraySource, Source
from gmm_dask.engine.base import Engine, Run
from gmm_dask.engine.dask_graph import block_of, load_graph, pass_graph
from gmm_dask.engine.dask_source import LazySource
from gmm_dask.engine.dask_wait import Lost, Watch, call, memory_kills, outcome, require_workers
from gmm_dask.engine.memory import Cache, Projection, check, human_bytes, project
from gmm_dask.engine.partial import Partial, Question
from gmm_dask.engine.plan import Plan
from gmm_dask.errors import ClusterError, ConfigError, PlanError

MEMORY_SHARE = 0.5  # of the cluster's memory that blocks may fill in cache auto
SENT_BYTES = 256 * 2**20  # the most that is sent through the scheduler by value
SOURCES_KEPT = 2
