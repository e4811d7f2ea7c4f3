"""Run-time values of generated code: vectors, masks, integers and addresses.

See `gmm_dask.kernels.native.code` for what the notation means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Union

if TYPE_CHECKING:
    from gmm_dask.kernels.native.code import Code

LANES = 8
VEC = f"<{LANES} x double>"
BITS = f"<{LANES} x i64>"
MASK = f"<{LANES} x i1>"

Index = Union["Int", int]


@dataclass(frozen=True)
class Vec:
    """Eight float64."""

    code: Code
    name: str
    kind: ClassVar[str] = VEC

    def _with(self, operator: str, other: Vec) -> Vec:
        return Vec(self.code, self.code.emit(f"{operator} {VEC} {self.name}, {other.name}"))

    def __add__(self, other: Vec) -> Vec:
        return self._with("fadd", other)

    def __sub__(self, other: Vec) -> Vec:
        return self._with("fsub", other)

    def __mul__(self, other: Vec) -> Vec:
        return self._with("fmul", other)

    def __truediv__(self, other: Vec) -> Vec:
        return self._with("fdiv", other)

    def __neg__(self) -> Vec:
        return Vec(self.code, self.code.emit(f"fneg {VEC} {self.name}"))

    def __gt__(self, other: Vec) -> Mask:
        return Mask(self.code, self.code.emit(f"fcmp ogt {VEC} {self.name}, {other.name}"))

    def equals(self, other: Vec) -> Mask:
        """Return which lanes are equal."""
        return Mask(self.code, self.code.emit(f"fcmp oeq {VEC} {self.name}, {other.name}"))

    def shuffle(self, other: Vec, lanes: Sequence[int]) -> Vec:
        """Pick eight lanes out of the sixteen of both vectors."""
        pick = ", ".join(f"i32 {lane}" for lane in lanes)
        text = f"shufflevector {VEC} {self.name}, {VEC} {other.name}, <{LANES} x i32> <{pick}>"
        return Vec(self.code, self.code.emit(text))


@dataclass(frozen=True)
class Mask:
    """Eight truth values."""

    code: Code
    name: str

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.code, self.code.emit(f"and {MASK} {self.name}, {other.name}"))

    def __invert__(self) -> Mask:
        ones = ", ".join(["i1 true"] * LANES)
        return Mask(self.code, self.code.emit(f"xor {MASK} {self.name}, <{ones}>"))

    def where(self, yes: Vec, no: Vec) -> Vec:
        """Return `yes` in the lanes that are set and `no` elsewhere."""
        text = f"select {MASK} {self.name}, {VEC} {yes.name}, {VEC} {no.name}"
        return Vec(self.code, self.code.emit(text))

    def bits(self) -> Int:
        """Return the lanes as the bits of a number from 0 to 255."""
        byte = self.code.emit(f"bitcast {MASK} {self.name} to i8")
        return Int(self.code, self.code.emit(f"zext i8 {byte} to i64"))


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
    """An address of float64 (or, by the named methods, of other numbers)."""

    code: Code
    name: str

    def at(self, index: Index, kind: str = "double") -> Ptr:
        """Return the address `index` elements further."""
        if isinstance(index, int) and index == 0:
            return self
        text = f"getelementptr inbounds {kind}, ptr {self.name}, i64 {integer(index)}"
        return Ptr(self.code, self.code.emit(text))

    def load(self, index: Index = 0) -> Vec:
        """Load eight consecutive float64."""
        at = self.at(index)
        return Vec(self.code, self.code.emit(f"load {VEC}, ptr {at.name}, align 8"))

    def load_as(self, kind: str, n: int = LANES) -> Vec:
        """Load `n` consecutive numbers of type "double" or "float", and zeros behind them."""
        if kind == "double" and n == LANES:
            return self.load()
        if n == LANES:
            floats = f"<{LANES} x float>"
            one = self.code.emit(f"load {floats}, ptr {self.name}, align 4")
            return Vec(self.code, self.code.emit(f"fpext {floats} {one} to {VEC}"))
        return self._collect([self.at(lane, kind) for lane in range(n)], kind)

    def _collect(self, places: Sequence[Ptr], kind: str) -> Vec:
        vec = f"{VEC} zeroinitializer" if len(places) < LANES else f"{VEC} poison"
        align = 8 if kind == "double" else 4
        for lane, at in enumerate(places):
            one = self.code.emit(f"load {kind}, ptr {at.name}, align {align}")
            if kind == "float":
                one = self.code.emit(f"fpext float {one} to double")
            vec = f"{VEC} " + self.code.emit(f"insertelement {vec}, double {one}, i64 {lane}")
        return Vec(self.code, vec.removeprefix(f"{VEC} "))

    def store(self, index: Index, value: Vec) -> None:
        """Store eight consecutive float64."""
        at = self.at(index)
        self.code.line(f"store {VEC} {value.name}, ptr {at.name}, align 8")

    def splat(self, index: Index = 0) -> Vec:
        """Load one float64 into all lanes."""
        one = self.code.emit(f"load double, ptr {self.at(index).name}, align 8")
        return self.code.splat(one)

    def gather(self, stride: Index, kind: str = "double") -> Vec:
        """Load eight numbers `stride` elements apart; float32 (kind "float") are widened."""
        places = [self]
        for _ in range(LANES - 1):
            places.append(places[-1].at(stride, kind))
        return self._collect(places, kind)

    def pick(self, index: Sequence[Int]) -> Vec:
        """Load the eight float64 at the given indices."""
        return self._collect([self.at(i) for i in index], "double")

    def scatter(self, stride: Index, value: Vec) -> None:
        """Store eight float64 `stride` elements apart."""
        at = self
        for lane in range(LANES):
            one = self.code.emit(f"extractelement {VEC} {value.name}, i64 {lane}")
            self.code.line(f"store double {one}, ptr {at.name}, align 8")
            at = at.at(stride)

    def put(self, index: Sequence[Int], value: Vec) -> None:
        """Store eight float64 at the given indices."""
        for lane, i in enumerate(index):
            one = self.code.emit(f"extractelement {VEC} {value.name}, i64 {lane}")
            self.code.line(f"store double {one}, ptr {self.at(i).name}, align 8")

    def address(self, index: int) -> Ptr:
        """Load an address from a table of addresses."""
        at = self.at(index, "ptr")
        return Ptr(self.code, self.code.emit(f"load ptr, ptr {at.name}, align 8"))

    def number(self, index: Index) -> Int:
        """Load a 64-bit integer."""
        at = self.at(index, "i64")
        return Int(self.code, self.code.emit(f"load i64, ptr {at.name}, align 8"))

    def store_byte(self, index: Index, value: Int) -> None:
        """Store the lowest byte of an integer; the index counts bytes."""
        byte = self.code.emit(f"trunc i64 {value.name} to i8")
        self.code.line(f"store i8 {byte}, ptr {self.at(index, 'i8').name}, align 1")
