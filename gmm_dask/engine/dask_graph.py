"""The graph of one pass: a question node, a task for each block, and the plan's tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask.delayed import Delayed, delayed
from distributed import Future

from gmm_dask.blocks import Source
from gmm_dask.engine.partial import Partial, Question, located, measure_block, merge_partials
from gmm_dask.engine.plan import Plan
from gmm_dask.engine.rows import HeldRows, read
from gmm_dask.errors import DataError


def pass_graph(question: Question, rows: Source | list[Future[Any]], token: str) -> Delayed:
    """Return the root of one pass, not yet submitted.

    Parameters
    ----------
    question : Question
        Becomes one node: it travels once to the scheduler and can be made again from there after
        a loss, which scattered values cannot.
    rows : Source, or one future per block
        What the leaves read: the source's recipe, or blocks held on the workers.
    token : str
        Unique for this attempt of this pass: part of every key, so that no two passes or fits on
        one scheduler share a task.

    Returns
    -------
    dask.delayed.Delayed
        Computes a `Partial` over all blocks.
    """
    asked = delayed(question, name=f"question-{token}", traverse=False)
    leaf, merge = delayed(_leaf, pure=False), delayed(_merge, pure=False)
    nodes = [
        leaf(asked, part, i, dask_key_name=f"measure-{token}-{i}")
        for i, part in enumerate(_parts(rows, question.plan, token))
    ]
    for depth, level in enumerate(question.plan.tree):
        nodes = [
            merge(asked, nodes[first:last], dask_key_name=f"merge-{token}-{depth}-{i}")
            for i, (first, last) in enumerate(level)
        ]
    root: Delayed = nodes[0]
    return root


def _parts(rows: Source | list[Future[Any]], plan: Plan, token: str) -> list[Any]:
    """Return what each leaf reads: its own block, or the one recipe."""
    if isinstance(rows, list):
        return rows
    return [delayed(rows, name=f"source-{token}", traverse=False)] * plan.n_blocks


def load_graph(source: Source, plan: Plan, token: str) -> list[Delayed]:
    """Return one node for each block that reads its rows, to be held on the workers."""
    recipe = delayed(source, name=f"source-{token}", traverse=False)
    load = delayed(_load, pure=False)
    blocks = range(plan.n_blocks)
    return [load(recipe, plan, i, dask_key_name=f"load-{token}-{i}") for i in blocks]


def block_of(key: Any) -> int | None:
    """Return the block index that a task's key names, or None for a merge or another's task."""
    if isinstance(key, tuple) and len(key) > 1 and isinstance(key[1], int):
        return key[1]  # chunk of a Dask array that already fits the plan
    name, _, index = str(key).rpartition("-")
    return int(index) if name.startswith(("measure-", "load-")) and index.isdigit() else None


def _leaf(question: Question, rows: Any, index: int) -> Partial:
    """Measure one block, read now or held by this worker."""
    if hasattr(rows, "read"):
        return measure_block(question, rows, index)
    lo, hi = question.plan.block(index)
    with located(question.plan, index):
        if len(rows) != hi - lo:
            raise DataError(f"the chunk holds {len(rows)} rows; its array states {hi - lo}")
    return measure_block(question, HeldRows(rows, lo), index)


def _merge(question: Question, parts: Sequence[Partial]) -> Partial:
    """Merge the nodes of one branch."""
    return merge_partials(question.fold, parts)


def _load(source: Source, plan: Plan, index: int) -> Any:
    """Read the values of one block."""
    with located(plan, index):
        return read(source, *plan.block(index)).values
