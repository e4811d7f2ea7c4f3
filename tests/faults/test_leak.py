"""200 passes on one cluster: nothing grows, whatever the size of the parameters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import Client

from gmm_dask import DaskEngine
from tests.faults.fits import PLAN, Blobs, Nothing
from tests.faults.harness import eventually

pytestmark = pytest.mark.cluster

MB = 10**6
# Warm processes breathe by 2 MB as allocators take and give back pages; one value kept in every
# pass (of question or statistics) would add 12 to 100 MB here.
ALLOWED = 6 * MB


@dataclass(frozen=True)
class Heavy(Nothing):
    """A question with parameters of a given size, and statistics of the same."""

    ballast: Any = None

    def measure(self, prepared: Any, block: Any) -> Any:
        return (np.array(len(block)), self.ballast * 1.0)


def scheduler_tasks(client: Client) -> int:
    return len(client.cluster.scheduler.tasks)


def memory(client: Client) -> dict[str, int]:
    """Return the resident bytes of each worker."""
    return client.run(lambda: psutil.Process(os.getpid()).memory_info().rss)


@pytest.mark.parametrize(
    ("cache", "size", "passes", "warm"),
    [
        ("memory", 200_000, 200, 60),
        ("stream", 200_000, 120, 60),
        ("memory", 50_000, 20, 5),  # too few for the memory, enough for the tasks
        ("memory", 6_400_000, 24, 8),
        ("stream", 6_400_000, 24, 8),
    ],
)
def test_nothing_grows(client: Client, cache: Any, size: int, passes: int, warm: int) -> None:
    source = Blobs(3 * 4096)
    counts, sizes = [], []
    with DaskEngine(client, cache, **PLAN, timeout=100) as engine:
        for number in range(passes):
            ballast = np.full(size // 8, float(number))
            count, sums = engine.fold(Heavy(ballast), source)
            assert (count, sums[0]) == (source.n_rows, 3.0 * number)
            counts.append(scheduler_tasks(client))
            if number in (warm - 1, passes - 1):
                sizes.append(memory(client))
        held = 3 + 1 if cache == "memory" else 0  # blocks, and the recipe that is their lineage
        eventually(lambda: scheduler_tasks(client) <= held)
    # two passes of 3 measures, 3 merges, a question and a recipe may overlap: releases travel
    assert max(counts[1:]) <= held + 2 * 8
    grown = max(late - sizes[0][worker] for worker, late in sizes[1].items())
    print(f"grown by {grown / MB:.1f} MB")
    assert grown < ALLOWED
    eventually(lambda: scheduler_tasks(client) == 0)
    assert not client.futures
