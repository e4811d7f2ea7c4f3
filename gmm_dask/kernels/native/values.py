"""Run-time values of generated code: vectors, masks and integers.

See `gmm_dask.kernels.native.code` for what the notation means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Union

from gmm_dask.kernels.native.real import DOUBLE, Real

if TYPE_CHECKING:
    from gmm_dask.kernels.native.code import Code

LANES = DOUBLE.lanes
BITS = DOUBLE.words

Index = Union["Int", int]


@dataclass(frozen=True)
class Vec:
    """A vector of numbers: eight float64 or sixteen float32."""

    code: Code
    name: str
    real: Real

    @property
    def kind(self) -> str:
        """LLVM's type."""
        return self.real.vec

    def _new(self, text: str) -> Vec:
        return Vec(self.code, self.code.emit(text), self.real)

    def _with(self, operator: str, other: Vec) -> Vec:
        return self._new(f"{operator} {self.kind} {self.name}, {other.name}")

    def __add__(self, other: Vec) -> Vec:
        return self._with("fadd", other)

    def __sub__(self, other: Vec) -> Vec:
        return self._with("fsub", other)

    def __mul__(self, other: Vec) -> Vec:
        return self._with("fmul", other)

    def __truediv__(self, other: Vec) -> Vec:
        return self._with("fdiv", other)

    def __neg__(self) -> Vec:
        return self._new(f"fneg {self.kind} {self.name}")

    def _compared(self, relation: str, other: Vec) -> Mask:
        text = f"fcmp {relation} {self.kind} {self.name}, {other.name}"
        return Mask(self.code, self.code.emit(text), self.real)

    def __gt__(self, other: Vec) -> Mask:
        return self._compared("ogt", other)

    def equals(self, other: Vec) -> Mask:
        """Return which lanes are equal."""
        return self._compared("oeq", other)

    def shuffle(self, other: Vec, lanes: Sequence[int]) -> Vec:
        """Pick as many lanes as a vector has out of those of both vectors."""
        pick = ", ".join(f"i32 {lane}" for lane in lanes)
        both = f"{self.kind} {self.name}, {self.kind} {other.name}"
        return self._new(f"shufflevector {both}, <{len(lanes)} x i32> <{pick}>")

    def widened(self) -> list[Vec]:
        """Return sixteen float32 as two vectors of float64."""
        halves = []
        for first in range(0, self.real.lanes, LANES):
            pick = ", ".join(f"i32 {lane}" for lane in range(first, first + LANES))
            both = f"{self.kind} {self.name}, {self.kind} {self.name}"
            half = self.code.emit(f"shufflevector {both}, <{LANES} x i32> <{pick}>")
            text = f"fpext <{LANES} x float> {half} to {DOUBLE.vec}"
            halves.append(Vec(self.code, self.code.emit(text), DOUBLE))
        return halves


@dataclass(frozen=True)
class Mask:
    """A truth value for each lane of a vector."""

    code: Code
    name: str
    real: Real

    def __and__(self, other: Mask) -> Mask:
        text = f"and {self.real.mask} {self.name}, {other.name}"
        return Mask(self.code, self.code.emit(text), self.real)

    def __invert__(self) -> Mask:
        ones = ", ".join(["i1 true"] * self.real.lanes)
        text = f"xor {self.real.mask} {self.name}, <{ones}>"
        return Mask(self.code, self.code.emit(text), self.real)

    def where(self, yes: Vec, no: Vec) -> Vec:
        """Return `yes` in the lanes that are set and `no` elsewhere."""
        kind = self.real.vec
        text = f"select {self.real.mask} {self.name}, {kind} {yes.name}, {kind} {no.name}"
        return Vec(self.code, self.code.emit(text), self.real)

    def bits(self) -> Int:
        """Return the lanes as the bits of a number, the first lane the lowest."""
        lanes = self.real.lanes
        number = self.code.emit(f"bitcast {self.real.mask} {self.name} to i{lanes}")
        return Int(self.code, self.code.emit(f"zext i{lanes} {number} to i64"))


@dataclass(frozen=True)
class Int:
    """A 64-bit integer."""

    code: Code
    name: str
    kind: ClassVar[str] = "i64"

    def _with(self, operator: str, other: Index) -> Int:
        return Int(self.code, self.code.emit(f"{operator} i64 {self.name}, {integer(other)}"))

    def __add__(self, other: Index) -> Int:
        return self if isinstance(other, int) and other == 0 else self._with("add", other)

    def __sub__(self, other: Index) -> Int:
        return self._with("sub", other)

    def __mul__(self, other: Index) -> Int:
        return self if isinstance(other, int) and other == 1 else self._with("mul", other)

    def __floordiv__(self, other: Index) -> Int:
        return self._with("sdiv", other)

    def low_bytes(self, n: int) -> list[Int]:
        """Return the `n` bytes of which this integer consists, the lowest first."""
        if n == 1:
            return [self]
        shifted = [self._with("lshr", 8 * byte) for byte in range(n)]
        return [one._with("and", 255) for one in shifted]

    def compare(self, relation: str, other: Index) -> str:
        """Return the name of a truth value; `relation` is LLVM's (slt, sge, eq, ne, ...)."""
        return self.code.emit(f"icmp {relation} i64 {self.name}, {integer(other)}")

    def minimum(self, other: Index) -> Int:
        """Return the smaller."""
        less = self.compare("slt", other)
        text = f"select i1 {less}, i64 {self.name}, i64 {integer(other)}"
        return Int(self.code, self.code.emit(text))


def integer(value: Index) -> str:
    """Return the text of an integer operand."""
    return value.name if isinstance(value, Int) else str(value)
