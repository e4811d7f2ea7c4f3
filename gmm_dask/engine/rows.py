"""Rows on their way from a source to a fold: slabs, read-ahead, retries and checks."""

from __future__ import annotations

import time
import zlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask.blocks import ArraySource, Block, Source
from gmm_dask.engine.plan import Plan, read_rows
from gmm_dask.errors import DataError, ResourceError

READ_PAUSES = (0.1, 0.4, 1.6)  # seconds before the second, third and last attempt of a read
SAMPLE_STEP = 61  # every 61st row enters the checksum that sees order; prime, so no pattern fits
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class HeldRows:
    """Rows of one block that a worker already holds in memory.

    Parameters
    ----------
    values : ndarray (n, D)
    start : int
        Absolute row number of the first row.
    """

    values: npt.NDArray[Any]
    start: int

    def read(self, lo: int, hi: int) -> Block:
        """Return rows ``lo <= row < hi``, a view where they are contiguous."""
        part = self.values[lo - self.start : hi - self.start]
        return Block(np.ascontiguousarray(part), lo)


@dataclass(frozen=True)
class Layout:
    """What the rows of a source look like and how they are cut.

    Parameters
    ----------
    plan : Plan
    columns : int
        Columns that every block must have.
    dtype : str
        Type that every block must have.
    """

    plan: Plan
    columns: int
    dtype: str


def slabs(
    source: Source | HeldRows, layout: Layout, lo: int, hi: int
) -> Generator[Block, None, None]:
    """Yield rows lo to hi in slabs of the plan, reading one step ahead where reading takes time.

    Parameters
    ----------
    source : Source or HeldRows
    layout : Layout
    lo, hi : int
        Rows of one block.

    Raises
    ------
    DataError
        If the source returns another shape or type, or has no such file.
    ResourceError
        If a read failed repeatedly.
    """
    for block in _reads(source, layout.plan, lo, hi):
        yield from cut(block, layout)


def cut(block: Block, layout: Layout) -> Generator[Block, None, None]:
    """Yield a block in slabs of the plan, as views.

    Raises
    ------
    DataError
        Unless the values have the width and type that the source states.
    """
    values, rows = block.values, layout.plan.slab_rows
    if values.ndim != 2 or values.shape[1] != layout.columns or values.dtype != layout.dtype:
        raise DataError(
            f"the source returned values of shape {values.shape} and dtype {values.dtype}; "
            f"it states {layout.columns} columns of {np.dtype(layout.dtype)}"
        )
    for first in range(0, len(block), rows):
        yield Block(values[first : first + rows], block.start + first)


def _reads(source: Source | HeldRows, plan: Plan, lo: int, hi: int) -> Generator[Block, None, None]:
    """Yield what is read in one go: the next read runs while the last one is measured."""
    held = isinstance(source, HeldRows | ArraySource)
    step = plan.slab_rows if held else read_rows(plan, getattr(source, "chunk_rows", 1))
    spans = [(first, min(first + step, hi)) for first in range(lo, hi, step)]
    if held or len(spans) == 1:
        yield from (read(source, *span) for span in spans)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        ahead = reader.submit(read, source, *spans[0])
        for span in spans[1:]:
            block = ahead.result()
            ahead = reader.submit(read, source, *span)
            yield block
        yield ahead.result()


def read(
    source: Source | HeldRows, lo: int, hi: int, pauses: tuple[float, ...] = READ_PAUSES
) -> Block:
    """Read rows lo to hi, repeating after a passing fault of the storage.

    Parameters
    ----------
    source : Source or HeldRows
    lo, hi : int
    pauses : tuple of float
        Seconds to wait before each further attempt.

    Raises
    ------
    DataError
        If the file does not exist or may not be read, or other rows came.
    ResourceError
        If the fault did not pass.
    """
    try:
        return _expected(source.read(lo, hi), lo, hi)
    except LASTING as fault:
        raise DataError(f"the source cannot be read: {fault}") from fault
    except OSError as fault:
        if not pauses:
            raise ResourceError(
                f"reading failed repeatedly, last with {type(fault).__name__}: {fault}; "
                "run again when the storage answers"
            ) from fault
    time.sleep(pauses[0])
    return read(source, lo, hi, pauses[1:])


def _expected(block: Block, lo: int, hi: int) -> Block:
    """Return the block if it holds the rows that were asked for."""
    if len(block) != hi - lo or block.start != lo:
        raise DataError(
            f"the source returned {len(block)} rows from row {block.start}; asked for "
            f"{hi - lo} from row {lo}. It may be truncated, or changed since it was opened"
        )
    return block


def checksum(block: Block) -> int:
    """Return 64 bits that change when rows change value or place.

    The sum of all words sees every value at the speed of memory; a CRC of every 61st row sees
    their order, which a sum cannot.
    """
    raw = np.ascontiguousarray(block.values).reshape(-1).view(np.uint8)
    whole = len(raw) // 8 * 8
    words = int(np.add.reduce(raw[:whole].view(np.uint64), dtype=np.uint64))
    sample = block.values[::SAMPLE_STEP].tobytes()
    order = zlib.crc32(raw[whole:].tobytes(), zlib.crc32(sample, block.start & 0xFFFFFFFF))
    return (words ^ (order * 0x9E3779B97F4A7C15)) & 0xFFFFFFFFFFFFFFFF
