"""Addresses in generated code, and what is loaded from them and stored at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gmm_dask.kernels.native.real import DOUBLE, REALS, Real
from gmm_dask.kernels.native.values import LANES, Index, Int, Vec, integer

if TYPE_CHECKING:
    from gmm_dask.kernels.native.code import Code


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
