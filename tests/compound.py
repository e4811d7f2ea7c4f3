"""Mixtures with angles and a background for tests: everything is made from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from gmm_dask.angled import looked_at, shape_of, with_ranges
from gmm_dask.blocks import ArraySource
from gmm_dask.engine.local import LocalEngine
from gmm_dask.first_pass import find_frame
from gmm_dask.grouping import grouped
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid, template

PERIODS = {1: 360.0, 3: 24.0}
"""Of the angles among the columns of `mixed`."""


def mixed(n: int = 300, K: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of line, degrees, line and hours in K clusters, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(K, size=n)
    centres = rng.normal(0, 3, (K, 2))
    # the first cluster lies across zero in both angles
    turns = (np.arange(K)[:, None] * np.array([0.37, 0.29])) % 1.0
    turned = rng.vonmises(2 * np.pi * turns[labels], [12.0, 5.0]) / (2 * np.pi) % 1.0
    lines = centres[labels] + rng.normal(0, 1, (n, 2)) @ np.array([[1.0, 0.4], [0.0, 0.8]])
    rows = np.stack([lines[:, 0], 360 * turned[:, 0], lines[:, 1], 24 * turned[:, 1]], axis=1)
    return rows, labels


def begun(
    X: np.ndarray,
    K: int,
    *,
    circular: Any = None,
    background: Any = None,
    kind: str = "full",
    seed: int = 0,
    init: str = "kmeans",
) -> Mixture:
    """Return the mixture with which EM begins on rows."""
    shape = shape_of(circular, background, (), X.shape[1])
    engine, source = LocalEngine(1), ArraySource(X)
    frame, stats = find_frame(engine, source)
    shape = with_ranges(shape, stats.minimum, stats.maximum)
    shape, frame = looked_at(shape, engine, source, frame, None)
    base = template(Grid((K,), (kind,), shape=shape), frame, K, kind)
    return grouped(init, seed, X, base)
