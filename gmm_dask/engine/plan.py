"""The plan of a pass: how rows are cut into blocks and slabs, and the tree that merges them.

A plan is a function of the number of rows and columns, the item size and two settings, and of
nothing else: not of the cluster, the input's chunks, K or the number of restarts. That is why the
sums, and so the model, do not depend on where and in which order the blocks are measured.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from gmm_dask.blocks import Source
from gmm_dask.draws import CELL
from gmm_dask.errors import ConfigError, DataError

Span = tuple[int, int]

TARGET_BLOCKS = 64
FEWEST_BLOCKS = 16
MAX_BLOCKS = 2000
REFUSED_BLOCKS = 10 * MAX_BLOCKS
SMALLEST_BLOCK = 4 * CELL
WORTH_A_TASK = 32 * 2**20
"""Bytes whose measurement takes the 20 ms or more beside which a task's 1 to 2 ms are small."""
LARGEST_BLOCK_BYTES = 64 * 2**20
SLAB_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Plan:
    """How the rows of a source are cut and how their statistics are merged.

    Parameters
    ----------
    n_rows : int
        Rows of the source, at least 1.
    block_rows : int
        Rows of a block (the unit of scheduling), a multiple of 4096; the last may be shorter.
    fan_in : int
        Statistics merged, left to right, into one node of the tree.
    slab_rows : int
        Rows read and measured at a time inside a block, a multiple of 4096. A block's statistics
        are the sum over its slabs in order, so a block's size does not set the memory.
    """

    n_rows: int
    block_rows: int
    fan_in: int
    slab_rows: int

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_rows // self.block_rows)

    @property
    def blocks(self) -> tuple[Span, ...]:
        """Rows ``lo <= row < hi`` of every block."""
        return tuple(self.block(index) for index in range(self.n_blocks))

    def describe(self) -> dict[str, int]:
        """Return what identifies the plan, for checkpoints and manifests."""
        return {**asdict(self), "n_blocks": self.n_blocks}

    def block(self, index: int) -> Span:
        """Return the rows ``lo <= row < hi`` of one block."""
        lo = index * self.block_rows
        return lo, min(lo + self.block_rows, self.n_rows)

    @property
    def tree(self) -> tuple[tuple[Span, ...], ...]:
        """Levels of the merge tree, leaves first.

        Node i of a level is the sum of nodes ``first <= j < last`` of the level below, left to
        right; the lowest level sums blocks and the highest has one node. A single block has no
        levels.
        """
        levels = []
        width = self.n_blocks
        while width > 1:
            starts = range(0, width, self.fan_in)
            levels.append(tuple((first, min(first + self.fan_in, width)) for first in starts))
            width = len(levels[-1])
        return tuple(levels)


def make_plan(
    n_rows: int, n_columns: int, itemsize: int, block_rows: int | None = None, fan_in: int = 8
) -> Plan:
    """Return the plan for a table of this shape and item size.

    Parameters
    ----------
    n_rows, n_columns : int
    itemsize : int
        Bytes of one value as it is read: 4 (float32) or 8 (float64).
    block_rows : int, optional
        Multiple of 4096. Default: about 64 blocks of at most 64 MiB of float64 values; fewer, down
        to 16, where blocks would be too small to pay for a task (32 MiB up to 10 columns, less
        beyond); more, up to about 2000, where they would be too large; none below 16384 rows.
    fan_in : int
        At least 2.

    Raises
    ------
    DataError
        If there are no rows or no columns.
    ConfigError
        If `block_rows` or `fan_in` is not allowed, or gives more than 20000 blocks.
    """
    if n_rows < 1 or n_columns < 1:
        raise DataError(f"{n_rows} rows and {n_columns} columns came; at least one each is needed")
    if fan_in < 2:
        raise ConfigError(f"fan_in is {fan_in}; at least 2 is needed")
    rows = (
        _default_block(n_rows, n_columns)
        if block_rows is None
        else _checked_block(block_rows, n_rows)
    )
    slab = min(rows, _cells(SLAB_BYTES // (n_columns * itemsize)))
    return Plan(n_rows, rows, fan_in, slab)


def plan_for(source: Source, block_rows: int | None = None, fan_in: int = 8) -> Plan:
    """Return the plan of a source (see `make_plan`)."""
    n_columns = len(source.columns)
    return make_plan(source.n_rows, n_columns, source.dtype.itemsize, block_rows, fan_in)


def _cells(rows: int) -> int:
    """Return `rows` rounded down to whole cells of random draws, at least one."""
    return max(rows // CELL, 1) * CELL


def _ceil_cells(n_rows: int, blocks: int) -> int:
    """Return the fewest whole cells per block that make at most so many blocks, in rows."""
    return -(-n_rows // (blocks * CELL)) * CELL


def _default_block(n_rows: int, n_columns: int) -> int:
    """Return the rows of a block when the configuration does not say."""
    largest = _cells(LARGEST_BLOCK_BYTES // (8 * n_columns))
    # a row of a full covariance costs as the square of the columns: fewer rows are worth a task
    worth = _cells(WORTH_A_TASK // (8 * n_columns) * 10 // max(n_columns, 10))
    worth = max(min(worth, _ceil_cells(n_rows, FEWEST_BLOCKS)), SMALLEST_BLOCK)
    rows = min(max(_ceil_cells(n_rows, TARGET_BLOCKS), worth), largest)
    return max(rows, _ceil_cells(n_rows, MAX_BLOCKS))


def _checked_block(block_rows: int, n_rows: int) -> int:
    """Return `block_rows` if it is a positive multiple of a cell and gives no flood of tasks."""
    if block_rows < CELL or block_rows % CELL:
        near = max(round(block_rows / CELL), 1) * CELL
        raise ConfigError(
            f"block_rows is {block_rows}; a positive multiple of {CELL} is needed, such as {near}"
        )
    blocks = -(-n_rows // block_rows)
    if blocks > REFUSED_BLOCKS:
        raise ConfigError(
            f"block_rows is {block_rows}, which cuts {n_rows} rows into {blocks} blocks; every "
            f"pass would spend its time on scheduling. Needed: larger blocks, such as "
            f"{_ceil_cells(n_rows, MAX_BLOCKS)}"
        )
    return block_rows


def read_rows(plan: Plan, chunk_rows: int) -> int:
    """Return the rows read in one go: a slab, or several where the store's chunks are larger.

    A source may state ``chunk_rows``, the rows it must decode together; reading less than that
    would decode every chunk several times. Slabs are cut from what was read, so this changes no
    bit of a result.
    """
    slabs = max(-(-chunk_rows // plan.slab_rows), 1)
    return min(slabs * plan.slab_rows, plan.block_rows)
