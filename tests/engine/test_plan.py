from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.blocks import ArraySource
from gmm_dask.draws import CELL
from gmm_dask.engine.memory import PROCESS_BYTES, check, human_bytes, project
from gmm_dask.engine.plan import MAX_BLOCKS, Plan, make_plan, plan_for, read_rows
from gmm_dask.errors import ConfigError, DataError, PlanError

from .toys import ColumnSums, Generated

shapes = st.tuples(
    st.integers(1, 10**10), st.integers(1, 5000), st.sampled_from([4, 8]), st.integers(2, 20)
)


@given(shapes)
def test_default_blocks_cover_all_rows_once_and_keep_to_cells(shape: Any) -> None:
    n_rows, n_columns, itemsize, fan_in = shape
    plan = make_plan(n_rows, n_columns, itemsize, fan_in=fan_in)
    blocks = plan.blocks
    assert blocks[0][0] == 0
    assert blocks[-1][1] == n_rows
    assert all(a[1] == b[0] for a, b in pairwise(blocks))
    assert all(lo % CELL == 0 and hi > lo for lo, hi in blocks)
    assert plan.slab_rows % CELL == 0
    assert plan.slab_rows <= plan.block_rows
    assert plan.n_blocks == len(blocks) <= MAX_BLOCKS


@given(shapes)
def test_blocks_are_neither_tiny_nor_huge(shape: Any) -> None:
    n_rows, n_columns, itemsize, fan_in = shape
    plan = make_plan(n_rows, n_columns, itemsize, fan_in=fan_in)
    size = plan.block_rows * n_columns * 8
    one_less = plan.block_rows - CELL
    too_many = one_less > 0 and -(-n_rows // one_less) > MAX_BLOCKS
    assert size <= 64 * 2**20 or plan.block_rows == CELL or too_many
    assert plan.block_rows >= 16384 or size + CELL * n_columns * 8 > 64 * 2**20
    assert plan.slab_rows * n_columns * itemsize <= max(16 * 2**20, CELL * n_columns * itemsize)


@given(st.integers(1, 3000), st.integers(2, 9))
def test_tree_has_every_node_once_in_order(n_blocks: int, fan_in: int) -> None:
    plan = Plan(n_blocks * CELL, CELL, fan_in, CELL)
    width = n_blocks
    for level in plan.tree:
        assert level[0][0] == 0
        assert level[-1][1] == width
        assert all(a[1] == b[0] for a, b in pairwise(level))
        assert all(1 <= hi - lo <= fan_in for lo, hi in level)
        width = len(level)
    assert width == 1


@given(st.integers(1, 10**9), st.integers(1, 300))
def test_blocks_pay_for_their_task_and_are_enough_for_some_workers(
    n_rows: int, n_columns: int
) -> None:
    """A full E-step multiplies D^2 / 2 numbers a row and component: here for ten components."""
    plan = make_plan(n_rows, n_columns, 8)
    if n_rows >= 16 * 16384:
        assert plan.n_blocks > 12
    work = plan.block_rows * n_columns * max(n_columns, 10)
    if plan.n_blocks > 20:
        assert work > 0.9 * 32 * 2**20 / 8 * 10 or plan.block_rows < 20000 + CELL


def test_blocks_of_common_shapes() -> None:
    """Megabytes a block and blocks of surveys and latent spaces."""
    shapes = {(10**6, 5): 16, (10**7, 10): 24, (10**8, 10): 125, (10**6, 50): 61, (10**9, 30): 2000}
    found = {shape: make_plan(*shape, 8).n_blocks for shape in shapes}
    assert all(abs(found[shape] / blocks - 1) < 0.1 for shape, blocks in shapes.items()), found


def test_nothing_but_the_shape_enters_the_plan() -> None:
    one, other = Generated(200_000, seed=1), Generated(200_000, seed=2, chunk_rows=999)
    array = ArraySource(np.zeros((200_000, 3)), ("p", "q", "r"))
    assert plan_for(one) == plan_for(other) == plan_for(array)


@pytest.mark.parametrize("block_rows", [0, -4096, 1, 4095, 5000])
def test_unaligned_blocks_are_refused_with_a_near_value(block_rows: int) -> None:
    with pytest.raises(ConfigError, match="multiple of 4096 is needed, such as 4096"):
        make_plan(10**6, 3, 8, block_rows)


def test_blocks_far_too_small_for_the_rows_are_refused_with_a_better_size() -> None:
    with pytest.raises(ConfigError, match=r"244141 blocks.* such as 503808"):
        make_plan(10**9, 3, 8, 4096)
    assert make_plan(10**9, 3, 8, 503808).n_blocks <= MAX_BLOCKS


def test_fan_in_of_one_and_empty_data_are_refused() -> None:
    with pytest.raises(ConfigError, match="fan_in is 1"):
        make_plan(10, 3, 8, fan_in=1)
    with pytest.raises(DataError, match="0 rows and 3 columns"):
        make_plan(0, 3, 8)
    with pytest.raises(DataError, match="5 rows and 0 columns"):
        make_plan(5, 0, 8)


def test_reads_grow_to_whole_chunks_but_not_beyond_a_block() -> None:
    plan = Plan(10**6, 16 * CELL, 8, 2 * CELL)
    assert read_rows(plan, 1) == 2 * CELL
    assert read_rows(plan, 2 * CELL) == 2 * CELL
    assert read_rows(plan, 2 * CELL + 1) == 4 * CELL
    assert read_rows(plan, 10**9) == 16 * CELL


def test_projection_adds_up_and_does_not_grow_with_rows_when_streaming() -> None:
    fold = ColumnSums((0.0, 0.0, 0.0))
    small, large = Generated(10**8), Generated(10**9)
    few, many = (project(make_plan(s.n_rows, 3, 8), s, fold, 2, "stream") for s in (small, large))
    assert few.total == many.total
    assert few.held == 0
    # two threads, each with three slabs of 16 MiB at most in flight
    assert few.reading <= 2 * 3 * 16 * 2**20
    assert few.working == 2 * few.slab_rows * 3 * 8
    assert few.merging == (3 * 2 + 8 + 2) * fold.stats_bytes
    assert few.process == PROCESS_BYTES
    held = project(make_plan(10**8, 3, 8), small, fold, 2, "memory", workers=4)
    # blocks are spread whole, so a worker holds a quarter and at most one block more
    assert 10**8 * 24 / 4 <= held.held <= 10**8 * 24 / 4 + held.block_rows * 24


@pytest.mark.parametrize(
    ("parts", "advice"),
    [
        ({"threads": 64, "cache": "stream"}, "threads_per_worker: 1"),
        ({"threads": 1, "cache": "memory"}, "cluster.cache: stream, or add workers"),
    ],
)
def test_a_pass_that_cannot_fit_is_refused_with_numbers(parts: Any, advice: str) -> None:
    source = Generated(10**8)
    projection = project(make_plan(10**8, 3, 8), source, ColumnSums((0.0,) * 3), **parts)
    check(projection, None)
    check(projection, projection.total)
    with pytest.raises(PlanError, match=advice) as refusal:
        check(projection, projection.total - 1)
    assert human_bytes(projection.total) in str(refusal.value)
    assert isinstance(refusal.value, MemoryError)


def test_sizes_in_words() -> None:
    assert human_bytes(512) == "512 B"
    assert human_bytes(1536) == "1.5 KiB"
    assert human_bytes(5.2 * 2**30) == "5.2 GiB"
    assert human_bytes(3 * 2**50) == "3072.0 TiB"
