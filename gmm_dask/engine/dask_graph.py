"""The graph of one pass: a question node, a task for each block, and the plan's tree."""

# mypy: allow-untyped-calls
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dask.delayed import Delayed
from dask.task_spec import DataNode, List, Task, TaskRef
from distributed import Future

from gmm_dask.blocks import Source
from gmm_dask.engine.partial import Partial, Question, located, measure_block, merge_partials
from gmm_dask.engine.plan import Plan
from gmm_dask.engine.rows import HeldRows, read
from gmm_dask.errors import DataError

Graph = dict[Any, Any]


def pass_graph(question: Question, rows: Source | list[Future[Any]], token: str) -> Delayed:
    """Return the root of one pass, not yet submitted.

    Nodes are Dask's own `Task` objects: `dask.delayed` takes a third of a millisecond for each,
    as much as the scheduler does.

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
        Computes a `Partial` over all blocks. The caller holds the futures until it is computed.
    """
    asked = f"question-{token}"
    graph: Graph = {asked: DataNode(asked, question)}
    level = []
    for index, part in enumerate(_parts(graph, rows, question.plan, token)):
        level.append(f"measure-{token}-{index}")
        graph[level[-1]] = Task(level[-1], _leaf, TaskRef(asked), TaskRef(part), index)
    for depth, nodes in enumerate(question.plan.tree):
        names = [f"merge-{token}-{depth}-{index}" for index in range(len(nodes))]
        for name, (first, last) in zip(names, nodes, strict=True):
            below = List(*map(TaskRef, level[first:last]))
            graph[name] = Task(name, _merge, TaskRef(asked), below)
        level = names
    return Delayed(level[0], graph)


def _parts(graph: Graph, rows: Source | list[Future[Any]], plan: Plan, token: str) -> list[Any]:
    """Return the key of what each leaf reads: its own block, or the one recipe."""
    if isinstance(rows, list):
        return [future.key for future in rows]
    return [_recipe(graph, rows, token)] * plan.n_blocks


def _recipe(graph: Graph, source: Source, token: str) -> str:
    """Put the source's recipe into a graph and return its key."""
    key = f"source-{token}"
    graph[key] = DataNode(key, source)
    return key


def load_graph(source: Source, plan: Plan, token: str) -> list[Delayed]:
    """Return one node for each block that reads its rows, to be held on the workers."""
    recipe: Graph = {}
    read_by = TaskRef(_recipe(recipe, source, token))
    nodes = []
    for index in range(plan.n_blocks):
        key = f"load-{token}-{index}"
        nodes.append(Delayed(key, recipe | {key: Task(key, _load, read_by, plan, index)}))
    return nodes


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
