from __future__ import annotations

import os
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from gmm_dask import tree
from gmm_dask.blocks import ArraySource, Block
from gmm_dask.engine.blas import one_blas_thread
from gmm_dask.engine.partial import (
    Partial,
    Question,
    ask,
    check_root,
    measure_block,
    merge_partials,
    prepared,
    reduce_in_order,
)
from gmm_dask.engine.plan import Plan
from gmm_dask.engine.rows import HeldRows, checksum, read
from gmm_dask.errors import ClusterError, DataError, PlanError, ResourceError

from .toys import Buggy, ColumnSums, Faulty, Generated, Poisonous, Starts

FOLD = ColumnSums((0.5, -1.0, 2.0))


def question(n_rows: int, block: int = 8192, slab: int = 4096, fan_in: int = 3) -> Question:
    return ask(FOLD, Generated(n_rows), Plan(n_rows, block, fan_in, slab))


def by_definition(asked: Question, source: Any) -> Partial:
    """The tree level by level, each node left to right, as the plan spells it out."""
    nodes = [measure_block(asked, source, i) for i in range(asked.plan.n_blocks)]
    for level in asked.plan.tree:
        nodes = [merge_partials(asked.fold, nodes[lo:hi]) for lo, hi in level]
    return nodes[0]


@given(st.integers(1, 40), st.integers(2, 5))
def test_streamed_reduction_is_the_tree_of_the_plan(n_blocks: int, fan_in: int) -> None:
    rng = np.random.default_rng(n_blocks)
    plan = Plan(n_blocks * 4096, 4096, fan_in, 4096)
    values = [rng.normal(size=5) * 10.0 ** rng.integers(-8, 8) for _ in range(n_blocks)]
    nodes = [Partial("q", i, i + 1, (i,), (value,)) for i, value in enumerate(values)]

    class Plain(ColumnSums):
        def merge(self, a: Any, b: Any) -> Any:
            return tree.add(a, b)

    streamed = reduce_in_order(Plain(()), iter(nodes), fan_in)
    for level in plan.tree:
        nodes = [merge_partials(Plain(()), nodes[lo:hi]) for lo, hi in level]
    assert tree.fingerprint(streamed) == tree.fingerprint(nodes[0])
    assert streamed.seen == tuple(range(n_blocks))


def test_a_block_is_the_sum_of_its_slabs_left_to_right() -> None:
    source, asked = Generated(30_000), question(30_000, block=16384, slab=4096)
    spans = [(16384 + i * 4096, min(16384 + (i + 1) * 4096, 30_000)) for i in range(4)]
    pieces = [FOLD.measure(FOLD.prepare(), source.read(*span)) for span in spans]
    expected = FOLD.merge(FOLD.merge(FOLD.merge(pieces[0], pieces[1]), pieces[2]), pieces[3])
    measured = measure_block(asked, source, 1)
    assert tree.fingerprint(measured.stats) == tree.fingerprint(expected)
    assert (measured.first, measured.last) == (1, 2)


def test_slabs_and_blocks_are_merged_in_the_order_of_their_rows() -> None:
    source, plan = Generated(100_000), Plan(100_000, 16384, 2, 4096)
    asked = ask(Starts((0.0,) * 3), source, plan)
    leaves = (measure_block(asked, source, i) for i in range(plan.n_blocks))
    assert reduce_in_order(asked.fold, leaves, 2).stats == tuple(range(0, 100_000, 4096))


@pytest.mark.parametrize("chunk_rows", [1, 4096, 5000, 10**6])
def test_how_rows_are_read_changes_no_bit(chunk_rows: int) -> None:
    plain = Generated(30_000)
    asked = question(30_000, block=16384, slab=4096)
    expected = by_definition(asked, plain)
    assert by_definition(asked, Generated(30_000, chunk_rows=chunk_rows)).seen == expected.seen
    array = np.concatenate([plain.read(0, 20_000).values, plain.read(20_000, 30_000).values])
    for source in (Generated(30_000, chunk_rows=chunk_rows), ArraySource(array)):
        assert tree.fingerprint(by_definition(asked, source)) == tree.fingerprint(expected)
    held = [
        measure_block(asked, HeldRows(array[lo:hi], lo), i)
        for i, (lo, hi) in enumerate(asked.plan.blocks)
    ]
    whole = reduce_in_order(FOLD, held, 3)
    assert tree.fingerprint(whole) == tree.fingerprint(expected)


def test_sums_agree_with_numpy() -> None:
    source = Generated(30_000)
    rows = source.read(0, 30_000).values - np.asarray(FOLD.about)
    stats = by_definition(question(30_000), source).stats
    assert stats.count == 30_000
    # rounding of a sum of n terms in any order is below n * eps * sum |x|
    bound = 30_000 * np.finfo(float).eps
    np.testing.assert_allclose(stats.total, rows.sum(0), atol=bound * np.abs(rows).sum(0).max())
    np.testing.assert_allclose(stats.product, rows.T @ rows, rtol=bound)
    np.testing.assert_array_equal(stats.largest, rows.max(0))


def test_only_adjacent_answers_to_one_question_are_merged() -> None:
    parts = [Partial("q", i, i + 1, (0,), (np.ones(2),)) for i in range(3)]
    for wrong in ([parts[0], parts[2]], [parts[1], parts[0]], [parts[0], parts[0]]):
        with pytest.raises(ClusterError, match="cannot be merged"):
            merge_partials(FOLD, wrong)
    with pytest.raises(ClusterError, match="different passes"):
        merge_partials(FOLD, [parts[0], parts[1]._replace(question="another")])


def test_a_root_must_cover_the_plan() -> None:
    asked = question(30_000)
    root = by_definition(asked, Generated(30_000))
    assert check_root(asked, root) is root
    for wrong in (
        root._replace(last=2),
        root._replace(first=1),
        root._replace(question="q"),
        root._replace(seen=root.seen[1:]),
    ):
        with pytest.raises(ClusterError, match="needed: blocks 0 to 3"):
            check_root(asked, wrong)


def test_errors_name_block_and_rows() -> None:
    asked = ask(Poisonous((0.0,) * 3, row=20_000), Generated(30_000), Plan(30_000, 8192, 8, 4096))
    measure_block(asked, Generated(30_000), 1)
    with pytest.raises(DataError, match=r"a poisonous row \(block 2, rows 16384 to 24575\)"):
        measure_block(asked, Generated(30_000), 2)
    bug = ask(Buggy((0.0,) * 3), Generated(30_000), Plan(30_000, 8192, 8, 4096))
    with pytest.raises(ZeroDivisionError) as raised:
        measure_block(bug, Generated(30_000), 3)
    assert raised.value.__notes__ == ["while measuring block 3, rows 24576 to 29999"]


def test_want_of_memory_becomes_a_plan_error() -> None:
    source = Faulty(Generated(9000), [MemoryError("Unable to allocate 9 TiB")])
    with pytest.raises(PlanError, match="Unable to allocate 9 TiB"):
        measure_block(question(9000), source, 0)


def test_passing_faults_of_the_storage_are_outlived_lasting_ones_are_named() -> None:
    source = Faulty(Generated(9000), [ConnectionResetError("503"), TimeoutError("slow")])
    block = read(source, 0, 100, pauses=(0.0, 0.0))
    np.testing.assert_array_equal(block.values, Generated(9000).read(0, 100).values)
    assert source.reads == 3
    with pytest.raises(ResourceError, match=r"reading failed repeatedly.*503"):
        read(Faulty(Generated(9000), [OSError("503")] * 3), 0, 100, pauses=(0.0, 0.0))
    for lasting in (FileNotFoundError("x.zarr"), PermissionError("x.zarr")):
        source = Faulty(Generated(9000), [lasting])
        with pytest.raises(DataError, match=r"cannot be read: x\.zarr"):
            read(source, 0, 100)
        assert source.reads == 1


class Wrong(Generated):
    """Returns something else than it states."""

    def read(self, lo: int, hi: int) -> Block:
        return self.twist(super().read(lo, hi))


@pytest.mark.parametrize(
    ("twist", "message"),
    [
        (lambda b: Block(b.values[:-1], b.start), "returned 4095 rows from row 0; asked for 4096"),
        (lambda b: Block(b.values, b.start + 1), "4096 rows from row 1; asked for 4096 from row 0"),
        (lambda b: Block(b.values[:, :2], b.start), r"shape \(4096, 2\)"),
        (lambda b: Block(b.values.astype(np.float32), b.start), "dtype float32"),
        (lambda b: Block(b.values[:, 0], b.start), r"shape \(4096,\)"),
    ],
)
def test_a_source_that_breaks_its_word_is_refused(twist: Any, message: str) -> None:
    source = Wrong(9000)
    object.__setattr__(source, "twist", twist)
    with pytest.raises(DataError, match=message):
        measure_block(question(9000), source, 0)


def test_checksum_sees_a_changed_bit_a_swap_and_a_shift() -> None:
    values = Generated(5000).read(0, 5000).values
    base = checksum(Block(values, 0))
    assert checksum(Block(values.copy(), 0)) == base
    changed = values.copy()
    changed[4321, 2] = np.nextafter(changed[4321, 2], np.inf)
    shuffled = np.random.default_rng(0).permutation(values)
    others = [
        Block(changed, 0),
        Block(shuffled, 0),
        Block(values, 4096),
        Block(np.roll(values, 1, axis=0), 0),
        Block(values[::-1], 0),
    ]
    assert len({base, *map(checksum, others)}) == len(others) + 1
    odd = values[:333].astype(np.float32)
    assert checksum(Block(odd, 0)) == checksum(Block(odd.copy(), 0)) != base


def test_constants_are_prepared_once_per_question() -> None:
    made = []

    class Counting(ColumnSums):
        def prepare(self) -> Any:
            made.append(self.about)
            return super().prepare()

    plan = Plan(9000, 8192, 8, 4096)
    first, again, other = (
        ask(Counting(a), Generated(9000), plan) for a in ((1.0,), (1.0,), (2.0,))
    )
    assert first.name == again.name != other.name
    assert prepared(first) is prepared(again)
    prepared(other)
    assert prepared(first) is prepared(again)
    assert made == [(1.0,), (2.0,)]


def test_questions_of_different_classes_differ_in_name() -> None:
    plan = Plan(9000, 8192, 8, 4096)
    names = {ask(kind((1.0,)), Generated(9000), plan).name for kind in (ColumnSums, Buggy)}
    assert len(names) == 2


def test_a_question_pickles_small() -> None:
    asked = question(10**9, block=4096 * 200)
    assert asked.plan.n_blocks > 1000
    assert len(asked.plan.blocks) > 1000
    assert len(pickle.dumps(asked)) < 1000


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one BLAS thread anyway")
def test_blas_has_one_thread_inside_and_what_it_had_outside() -> None:
    def threads() -> set[int]:
        return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        assert threads() == {2}
        first, second = one_blas_thread(), one_blas_thread()
        first.__enter__()
        second.__enter__()
        assert threads() == {1}
        first.__exit__(None, None, None)
        assert threads() == {1}, "one caller's end must not lift the limit of another"
        second.__exit__(None, None, None)
        assert threads() == {2}
