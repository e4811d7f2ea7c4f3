"""Rows on their way from a source to a fold: slabs, read-ahead, retries and checks."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
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


def slabs(
    source: Source | HeldRows, plan: Plan, lo: int, hi: int, columns: int, dtype: np.dtype[Any]
) -> Iterator[Block]:
    """Yield rows lo to hi in slabs of the plan, reading one step ahead where reading takes time.

    Parameters
    ----------
    source : Source or HeldRows
    plan : Plan
    lo, hi : int
        Rows of one block.
    columns : int
        Columns that every slab must have.
    dtype : numpy.dtype
        Type that every slab must have.

    Raises
    ------
    DataError
        If the source returns another shape or type, or has no such file.
    ResourceError
        If a read failed repeatedly.
    """
    for block in _reads(source, plan, lo, hi):
        _check_block(block, columns, dtype)
        for first in range(0, len(block), plan.slab_rows):
            part = block.values[first : first + plan.slab_rows]
            yield Block(part, block.start + first)


def _reads(source: Source | HeldRows, plan: Plan, lo: int, hi: int) -> Iterator[Block]:
    """Yield what is read in one go: the next read runs while the last one is measured."""
    held = isinstance(source, HeldRows | ArraySource)
    step = plan.slab_rows if held else read_rows(plan, source)  # type: ignore[arg-type]
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


def read(source: Source | HeldRows, lo: int, hi: int) -> Block:
    """Read rows lo to hi, repeating after a passing fault of the storage.

    Raises
    ------
    DataError
        If the file does not exist or may not be read.
    ResourceError
        If the fault did not pass.
    """
    for pause in (*READ_PAUSES, None):
        try:
            return _shaped(source.read(lo, hi), lo, hi)
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError) as fault:
            raise DataError(f"the source cannot be read: {fault}") from fault
        except OSError as fault:
            if pause is None:
                raise ResourceError(
                    f"reading failed {len(READ_PAUSES) + 1} times, last with "
                    f"{type(fault).__name__}: {fault}; run again when the storage answers"
                ) from fault
            time.sleep(pause)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _shaped(block: Block, lo: int, hi: int) -> Block:
    """Return the block if it holds the rows that were asked for."""
    if len(block) != hi - lo or block.start != lo:
        raise DataError(
            f"the source returned {len(block)} rows from row {block.start}; asked for "
            f"{hi - lo} from row {lo}. It may be truncated, or changed since it was opened"
        )
    return block


def _check_block(block: Block, columns: int, dtype: np.dtype[Any]) -> None:
    """Raise DataError unless the values have the width and type that the source states."""
    values = block.values
    if values.ndim != 2 or values.shape[1] != columns or values.dtype != dtype:
        raise DataError(
            f"the source returned values of shape {values.shape} and dtype {values.dtype}; "
            f"it states {columns} columns of {dtype}"
        )


def checksum(block: Block) -> int:
    """Return 64 bits that change when rows change value or place.

    The sum of all words sees every value at the speed of memory; a CRC of every 61st row sees
    their order, which a sum cannot.
    """
    raw = np.ascontiguousarray(block.values).reshape(-1).view(np.uint8)
    whole = len(raw) // 8 * 8
    words = int(np.add.reduce(raw[:whole].view(np.uint64), dtype=np.uint64))
    sample = np.ascontiguousarray(block.values[::SAMPLE_STEP])
    order = zlib.crc32(raw[whole:], zlib.crc32(sample, block.start & 0xFFFFFFFF))
    return (words ^ (order * 0x9E3779B97F4A7C15)) & 0xFFFFFFFFFFFFFFFF
