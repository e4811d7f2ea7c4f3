from __future__ import annotations

from typing import Any

import pytest

from gmm_dask.blocks import ArraySource
from gmm_dask.engine import dask_placement as placement
from gmm_dask.engine.dask_graph import block_of
from gmm_dask.engine.dask_placement import Cluster, choose_cache
from gmm_dask.errors import PlanError

from .toys import Generated, rows_of

X = rows_of(0, 0, 1000, 3)
GIB = 2**30


@pytest.mark.parametrize(
    ("wanted", "n_rows", "expected_cache"),
    [
        ("auto", 10**6, "memory"),
        ("auto", 10**9, "stream"),
        ("memory", 10**9, "memory"),
        ("stream", 10, "stream"),
    ],
)
def test_auto_holds_what_takes_less_than_half(
    wanted: Any, n_rows: int, expected_cache: str
) -> None:
    cluster = Cluster(2, 4, 2, 4 * GIB, 8.0 * GIB)
    assert choose_cache(wanted, Generated(n_rows), cluster) == expected_cache
    assert choose_cache("auto", Generated(4 * GIB // 24), cluster) == "memory"
    assert choose_cache("auto", Generated(4 * GIB // 24 + 1), cluster) == "stream"


def test_arrays_of_this_process_are_sent_if_small(monkeypatch: Any) -> None:
    cluster = Cluster(1, 1, 1, None, float("inf"))
    assert choose_cache("stream", ArraySource(X), cluster) == "memory"
    monkeypatch.setattr(placement, "SENT_BYTES", X.nbytes - 1)
    with pytest.raises(PlanError, match="save it as zarr"):
        choose_cache("auto", ArraySource(X), cluster)


def test_keys_name_their_block() -> None:
    assert block_of("measure-0a1b-12") == 12
    assert block_of("load-0a1b-0") == 0
    assert block_of(("from-array-0a1b", 7, 0)) == 7
    assert block_of("merge-0a1b-0-3") is None
    assert block_of("measure-x-y") is None
    assert block_of(None) is None
