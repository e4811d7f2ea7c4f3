"""Lists of the rows of a tile for which something holds, without a branch."""

from __future__ import annotations

from collections.abc import Callable

from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.values import BITS, LANES, Int, Mask, Ptr

CHUNK = 32
"""Rows that are taken off a list at once; lists are padded to a multiple."""


def positions() -> str:
    """Return the table of the set bits of each byte, lowest first (8 bytes for each)."""
    rows = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]
    flat = [number for row in rows for number in [*row, *[0] * (8 - len(row))]]
    return (
        f"@positions = internal constant [{len(flat)} x i8] ["
        + ", ".join(f"i8 {number}" for number in flat)
        + "]\n"
    )


def list_rows(code: Code, n: int, chosen: Callable[[Int], Mask], index: Ptr) -> Int:
    """Write the numbers of the chosen rows, ascending, and return how many there are.

    Parameters
    ----------
    n : int
        Rows of the tile.
    chosen : callable
        Takes the number of the first of eight rows, returns which of them are chosen.
    index : Ptr
        Room for n + CHUNK integers; the list is padded by copies of its first entry.
    """

    def rows(i: Int, carry: list[Int]) -> list[Int]:
        bits = chosen(i).bits()
        at = code.emit(f"getelementptr inbounds i8, ptr @positions, i64 {(bits * LANES).name}")
        bytes_ = code.emit(f"load <{LANES} x i8>, ptr {at}, align 1")
        numbers = code.emit(f"zext <{LANES} x i8> {bytes_} to {BITS}")
        found = code.emit(f"add {BITS} {numbers}, {splat_integer(code, i)}")
        code.line(f"store {BITS} {found}, ptr {index.at(carry[0]).name}, align 8")
        return [carry[0] + Int(code, code.emit(f"call i64 @llvm.ctpop.i64(i64 {bits.name})"))]

    count: Int = code.loop(n, rows, [code.constant(0)], step=LANES)[0]
    first = splat_integer(code, index.number(0))
    for more in range(0, CHUNK, LANES):
        code.line(f"store {BITS} {first}, ptr {index.at(count + more).name}, align 8")
    return count


def splat_integer(code: Code, value: Int) -> str:
    """Return the name of a vector with an integer in all lanes."""
    first = code.emit(f"insertelement {BITS} poison, i64 {value.name}, i64 0")
    zero = f"<{LANES} x i32> zeroinitializer"
    return code.emit(f"shufflevector {BITS} {first}, {BITS} poison, {zero}")


def numbers(index: Ptr) -> list[Int]:
    """Return the next eight entries of a list."""
    return [index.number(lane) for lane in range(LANES)]
