"""Run-time values of generated code: vectors, masks, integers and addresses.

See `gmm_dask.kernels.native.code` for what the notation means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Union

from gmm_dask.kernels.native.real import DOUBLE, REALS, Real

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


@dataclass(frozen=True)
class Ptr:
    """An address of numbers of the code's type (or, by the named methods, of others)."""

    code: Code
    name: str

    def at(self, index: Index, kind: str = "") -> Ptr:
        """Return the address `index` elements further; elements of the code's type, or `kind`."""
        if isinstance(index, int) and index == 0:
            return self
        kind = kind or self.code.real.name
        text = f"getelementptr inbounds {kind}, ptr {self.name}, i64 {integer(index)}"
        return Ptr(self.code, self.code.emit(text))

    def load(self, index: Index = 0, real: Real | None = None) -> Vec:
        """Load a vector of consecutive numbers of the code's type, or of `real`."""
        real = real or self.code.real
        at = self.at(index, real.name)
        text = f"load {real.vec}, ptr {at.name}, align {real.align}"
        return Vec(self.code, self.code.emit(text), real)

    def load_as(self, kind: str, n: int = LANES) -> Vec:
        """Load `n` consecutive numbers of type `kind` as eight float64, zeros behind them."""
        if kind == "double" and n == LANES:
            return self.load()
        if n == LANES:
            floats = f"<{LANES} x float>"
            one = self.code.emit(f"load {floats}, ptr {self.name}, align 4")
            return Vec(self.code, self.code.emit(f"fpext {floats} {one} to {DOUBLE.vec}"), DOUBLE)
        return self._collect([self.at(lane, kind) for lane in range(n)], kind)

    def _collect(self, places: Sequence[Ptr], kind: str) -> Vec:
        real = self.code.real
        vec = f"{real.vec} zeroinitializer" if len(places) < real.lanes else f"{real.vec} poison"
        for lane, at in enumerate(places):
            one = self.code.emit(f"load {kind}, ptr {at.name}, align {REALS[kind].align}")
            if kind != real.name:
                one = self.code.emit(f"fpext {kind} {one} to {real.name}")
            vec = f"{real.vec} " + self.code.emit(
                f"insertelement {vec}, {real.name} {one}, i64 {lane}"
            )
        return Vec(self.code, vec.removeprefix(f"{real.vec} "), real)

    def store(self, index: Index, value: Vec) -> None:
        """Store a vector at consecutive places of its type."""
        at = self.at(index, value.real.name)
        self.code.line(f"store {value.kind} {value.name}, ptr {at.name}, align {value.real.align}")

    def store_as(self, kind: str, value: Vec) -> None:
        """Store eight float64 as numbers of type `kind`, rounded to nearest."""
        if kind == "double":
            self.store(0, value)
            return
        floats = f"<{LANES} x float>"
        one = self.code.emit(f"fptrunc {DOUBLE.vec} {value.name} to {floats}")
        self.code.line(f"store {floats} {one}, ptr {self.name}, align 4")

    def splat(self, index: Index = 0) -> Vec:
        """Load one number into all lanes."""
        real = self.code.real
        at = self.at(index).name
        return self.code.splat(self.code.emit(f"load {real.name}, ptr {at}, align {real.align}"))

    def gather(self, stride: Index, kind: str = "") -> Vec:
        """Load numbers `stride` elements apart; those of a narrower type `kind` are widened."""
        kind = kind or self.code.real.name
        places = [self]
        for _ in range(self.code.real.lanes - 1):
            places.append(places[-1].at(stride, kind))
        return self._collect(places, kind)

    def pick(self, index: Sequence[Int]) -> Vec:
        """Load the numbers at the given indices."""
        return self._collect([self.at(i) for i in index], self.code.real.name)

    def scatter(self, stride: Index, value: Vec) -> None:
        """Store the lanes `stride` elements apart."""
        at = self
        for lane in range(value.real.lanes):
            one = self.code.emit(f"extractelement {value.kind} {value.name}, i64 {lane}")
            kind = value.real.name
            self.code.line(f"store {kind} {one}, ptr {at.name}, align {value.real.align}")
            at = at.at(stride)

    def put(self, index: Sequence[Int], value: Vec) -> None:
        """Store the lanes at the given indices."""
        for lane, i in enumerate(index):
            one = self.code.emit(f"extractelement {value.kind} {value.name}, i64 {lane}")
            at = self.at(i).name
            self.code.line(f"store {value.real.name} {one}, ptr {at}, align {value.real.align}")

    def address(self, index: int) -> Ptr:
        """Load an address from a table of addresses."""
        at = self.at(index, "ptr")
        return Ptr(self.code, self.code.emit(f"load ptr, ptr {at.name}, align 8"))

    def number(self, index: Index) -> Int:
        """Load a 64-bit integer."""
        at = self.at(index, "i64")
        return Int(self.code, self.code.emit(f"load i64, ptr {at.name}, align 8"))

    def store_bits(self, index: Index, value: Int, n: int) -> None:
        """Store the lowest `n` bits of an integer; the index counts bytes."""
        bits = self.code.emit(f"trunc i64 {value.name} to i{n}")
        self.code.line(f"store i{n} {bits}, ptr {self.at(index, 'i8').name}, align 1")
