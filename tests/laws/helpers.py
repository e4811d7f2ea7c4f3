"""Rows of copies on a line, and fits that are stopped on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from gmm_dask import Interrupted

SHARES = {"a": 0.2, "b": 0.5, "c": 0.9}


def copies(n, weights, *, spread, seed, step=2.0):
    """Return rows (n, 1) of components at 0, step, 2 step, ..."""
    rng = np.random.default_rng(seed)
    label = rng.choice(len(weights), n, p=weights)
    return (step * label + rng.normal(0, spread, n))[:, None]


@contextmanager
def interrupted(after: int) -> Iterator:
    """Yield a watcher that presses Ctrl-C after so many passes, and expect what comes of it."""
    seen = []

    def stop(done):
        seen.append(done)
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, Interrupted)):
        yield stop


def two_heaps(n=600, apart=3.0, seed=0, d=1):
    """Return rows (n, d), their components, and labels of three groups of other weights."""
    rng = np.random.default_rng(seed)
    label = rng.choice(list(SHARES), n, p=[0.5, 0.3, 0.2])
    z = rng.random(n) < np.array([SHARES[name] for name in label])
    return rng.normal(0, 1, (n, d)) + apart * z[:, None], z.astype(int), label
