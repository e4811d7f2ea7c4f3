"""Lists of the rows of a tile for which something holds, without a branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.values import BITS, LANES, Index, Int, Mask, Vec


def positions() -> str:
    """Return the table of the set bits of each byte, lowest first (8 bytes for each)."""
    rows = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]
    flat = [number for row in rows for number in [*row, *[0] * (8 - len(row))]]
    return (
        f"@positions = internal constant [{len(flat)} x i8] ["
        + ", ".join(f"i8 {number}" for number in flat)
        + "]\n"
    )


def list_rows(
    code: Code,
    n: Index,
    choose: Callable[[Int, list[Vec]], tuple[Mask, list[Vec]]],
    index: Ptr,
    carry: Sequence[Vec] = (),
) -> tuple[Int, list[Vec]]:
    """Write the numbers of chosen rows, ascending, and return how many there are.

    Parameters
    ----------
    n : int or Int
        Rows of the tile.
    choose : callable
        Takes the number of the first row of a vector and the carried sums, returns which of the
        rows are chosen and the next sums.
    index : Ptr
        Room for n integers and a vector more; the list is padded by copies of its first entry, up
        to a whole number of vectors.
    carry : sequence of Vec
        Sums over all rows that are taken by the way; returned.
    """
    lanes = code.real.lanes

    def rows(i: Int, carried: list[Any]) -> list[Vec | Int]:
        count, *sums = carried
        mask, sums = choose(i, sums)
        for first, byte in enumerate(mask.bits().low_bytes(lanes // LANES)):
            count = count + write_numbers(code, i + first * LANES, byte, index, count)
        return [count, *sums]

    count, *sums = code.loop(n, rows, [code.constant(0), *carry], step=lanes)
    copies = splat_integer(code, index.number(0))
    for more in range(0, lanes, LANES):
        code.line(f"store {BITS} {copies}, ptr {index.at(count + more, 'i64').name}, align 8")
    return count, sums


def write_numbers(code: Code, i: Int, bits: Int, index: Ptr, count: Int) -> Int:
    """Append the numbers i + n of the set bits n of a byte, and return how many they are."""
    at = code.emit(f"getelementptr inbounds i8, ptr @positions, i64 {(bits * LANES).name}")
    bytes_ = code.emit(f"load <{LANES} x i8>, ptr {at}, align 1")
    numbers = code.emit(f"zext <{LANES} x i8> {bytes_} to {BITS}")
    found = code.emit(f"add {BITS} {numbers}, {splat_integer(code, i)}")
    code.line(f"store {BITS} {found}, ptr {index.at(count, 'i64').name}, align 8")
    return Int(code, code.emit(f"call i64 @llvm.ctpop.i64(i64 {bits.name})"))


def splat_integer(code: Code, value: Int) -> str:
    """Return the name of a vector with an integer in all lanes."""
    first = code.emit(f"insertelement {BITS} poison, i64 {value.name}, i64 0")
    zero = f"<{LANES} x i32> zeroinitializer"
    return code.emit(f"shufflevector {BITS} {first}, {BITS} poison, {zero}")


def numbers(index: Ptr, n: int) -> list[Int]:
    """Return the next n entries of a list."""
    return [index.number(lane) for lane in range(n)]
