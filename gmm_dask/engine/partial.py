"""Statistics of a run of blocks, and the one way they are measured and merged."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any, NamedTuple

from gmm_dask import tree
from gmm_dask.blocks import Block, Source
from gmm_dask.engine.blas import one_blas_thread
from gmm_dask.engine.plan import Plan
from gmm_dask.engine.rows import HeldRows, Layout, checksum, cut, read, slabs
from gmm_dask.errors import ClusterError, GmmDaskError, PlanError
from gmm_dask.stats import Fold

AnyFold = Fold[Any, Any, Any]

PREPARED_KEPT = 2  # two engines in one process do not evict each other

_prepared: OrderedDict[str, Any] = OrderedDict()
_prepared_lock = Lock()


@dataclass(frozen=True)
class Question:
    """A fold with all that a worker must know to measure one block for it.

    Parameters
    ----------
    fold : Fold
    name : str
        Equal for equal questions; found once by the driver, as hashing parameters takes time.
    layout : Layout
        Plan, columns and type of the rows.
    whole : bool
        Measure each block in one piece instead of in slabs.
    """

    fold: AnyFold
    name: str
    layout: Layout
    whole: bool = False

    @property
    def plan(self) -> Plan:
        """The plan by which the rows are cut."""
        return self.layout.plan


class Partial(NamedTuple):
    """Statistics of blocks ``first <= index < last``.

    Parameters
    ----------
    question : str
        Name of the question they answer.
    first, last : int
    seen : tuple of int
        Checksum of the rows of each block, so that a source which changes is noticed.
    stats : tree
    """

    question: str
    first: int
    last: int
    seen: tuple[int, ...]
    stats: Any


def ask(fold: AnyFold, source: Source, plan: Plan, whole: bool = False) -> Question:
    """Return the question that `fold` puts to the rows of `source`."""
    kind = type(fold)
    name = f"{kind.__module__}.{kind.__qualname__}:{fold.fingerprint}"
    return Question(fold, name, Layout(plan, len(source.columns), source.dtype.str), whole)


def measure_block(
    question: Question, source: Source | HeldRows, index: int, halt: Event | None = None
) -> Partial:
    """Return the statistics of one block: the sum over its slabs, left to right.

    Parameters
    ----------
    question : Question
    source : Source or HeldRows
    index : int
        Number of the block in the plan.
    halt : threading.Event, optional
        Ends the work between two slabs when set.

    Raises
    ------
    GmmDaskError
        Whatever the source or fold raised on purpose, with the block and its rows added.
    PlanError
        If memory could not be had.
    """
    lo, hi = question.plan.block(index)
    with located(question.plan, index), one_blas_thread():
        stats, seen = _measure_rows(question, source, lo, hi, halt)
    return Partial(question.name, index, index + 1, (seen,), stats)


@contextmanager
def located(plan: Plan, index: int) -> Iterator[None]:
    """Add the block and its rows to whatever is raised inside.

    Raises
    ------
    PlanError
        In place of a MemoryError.
    """
    lo, hi = plan.block(index)
    place = f"block {index}, rows {lo} to {hi - 1}"
    try:
        yield
    except GmmDaskError as error:
        error.args = (f"{error} ({place})", *error.args[1:])
        raise
    except MemoryError as error:
        raise PlanError(
            f"out of memory ({place}): {error}. Set a smaller block_rows, "
            "cluster.threads_per_worker: 1, or raise cluster.memory_limit"
        ) from error
    except Exception as error:
        error.add_note(f"while measuring {place}")
        raise


def _measure_rows(
    question: Question, source: Source | HeldRows, lo: int, hi: int, halt: Event | None
) -> tuple[Any, int]:
    """Return the statistics and the checksum of rows lo to hi."""
    fold, ready = question.fold, prepared(question)
    if question.whole:
        block = read(source, lo, hi)
        seen = sum(checksum(slab) for slab in cut(block, question.layout)) % 2**64
        return fold.measure(ready, block), seen
    stats, seen = None, 0
    with closing(slabs(source, question.layout, lo, hi)) as rows:
        for slab in rows:
            if halt is not None and halt.is_set():
                raise InterruptedError("the pass was ended")
            part = fold.measure(ready, slab)
            stats = part if stats is None else fold.merge(stats, part)
            seen = (seen + checksum(slab)) % 2**64
    return stats, seen


def prepared(question: Question) -> Any:
    """Return the fold's constants, made once per pass and process.

    Only a cache: a process that never saw the question makes them again, with the same bits.
    """
    with _prepared_lock:
        if question.name not in _prepared:
            _prepared[question.name] = question.fold.prepare()
        _prepared.move_to_end(question.name)
        while len(_prepared) > PREPARED_KEPT:
            _prepared.popitem(last=False)
        return _prepared[question.name]


def merge_partials(fold: AnyFold, parts: Sequence[Partial]) -> Partial:
    """Return the sum of adjacent partials, left to right.

    Raises
    ------
    ClusterError
        If they answer different questions or leave out or repeat a block.
    """
    total = parts[0]
    for part in parts[1:]:
        if part.question != total.question or part.first != total.last:
            raise ClusterError(
                f"statistics of blocks {total.first} to {total.last - 1} of question "
                f"{total.question} cannot be merged with blocks {part.first} to "
                f"{part.last - 1} of {part.question}: results of different passes were mixed"
            )
        stats = fold.merge(total.stats, part.stats)
        total = Partial(total.question, total.first, part.last, total.seen + part.seen, stats)
    return total


def reduce_in_order(fold: AnyFold, parts: Iterable[Partial], fan_in: int) -> Partial:
    """Return the root of the plan's tree from its leaves in order, merging as they come.

    The same additions in the same order as level by level, but at most ``fan_in`` statistics of
    each level wait in memory.
    """
    levels: list[list[Partial]] = [[]]
    for part in parts:
        _push(fold, levels, 0, part, fan_in)
    for depth, level in enumerate(levels):
        if len(levels) - 1 > depth and level:
            _push(fold, levels, depth + 1, merge_partials(fold, level), fan_in)
    return merge_partials(fold, levels[-1])


def _push(
    fold: AnyFold, levels: list[list[Partial]], depth: int, part: Partial, fan_in: int
) -> None:
    """Put a node on a level; a level that is full becomes one node of the next."""
    if depth == len(levels):
        levels.append([])
    levels[depth].append(part)
    if len(levels[depth]) == fan_in:
        merged = merge_partials(fold, levels[depth])
        levels[depth] = []
        _push(fold, levels, depth + 1, merged, fan_in)


def check_root(question: Question, root: Partial) -> Partial:
    """Return `root` if it answers the question for all blocks.

    Raises
    ------
    ClusterError
        If it answers another question or does not cover the plan.
    """
    blocks = question.plan.n_blocks
    if (root.question, root.first, root.last, len(root.seen)) != (question.name, 0, blocks, blocks):
        raise ClusterError(
            f"the pass returned blocks {root.first} to {root.last - 1} of question "
            f"{root.question}; needed: blocks 0 to {blocks - 1} of {question.name}"
        )
    return root


@dataclass(frozen=True)
class PerBlock(Fold[None, tuple[Any, ...], tuple[Any, ...]]):
    """The fold behind `Engine.map`: the results of a function of each block, in block order."""

    function: Callable[[Block], Any]
    token: str

    def prepare(self) -> None:
        """Nothing to prepare."""

    def measure(self, prepared: None, block: Block) -> tuple[Any, ...]:  # noqa: ARG002
        """Return the function's result for one block."""
        return (self.function(block),)

    def merge(self, a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the results in order."""
        return a + b

    def finish(self, stats: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the results of all blocks."""
        return stats

    def working_bytes(self, rows: int) -> int:  # noqa: ARG002
        """Unknown: the function's own."""
        return 0

    @property
    def stats_bytes(self) -> int:
        """Small by contract."""
        return 0

    @property
    def fingerprint(self) -> str:
        """Digest of the call, not of the function: functions have no value to compare."""
        return tree.fingerprint(self.token)
