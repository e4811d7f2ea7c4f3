"""Writes one LLVM function with explicit vectors of eight float64 or sixteen float32.

Python runs at generation time, the emitted code at run time: a Python ``for`` unrolls, `Code.loop`
loops. Values are in single-assignment form, so arithmetic reads like NumPy::

    y = tile.at(j * TILE).load(i) - par.splat(j)
    total = code.fma(y, y, total)

Every operation is written out in order and nothing is left to the compiler's licence (no
"fast-math"): the bits of a result are a function of the inputs alone, the same on every processor
with a fused multiply-add, whatever its vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.real import DOUBLE, Real
from gmm_dask.kernels.native.values import Index, Int, Mask, Vec, integer

Carried = Vec | Int
LoopBody = Callable[[Int, list[Any]], Sequence[Carried] | None]


@dataclass
class Code:
    """One function under construction.

    Parameters
    ----------
    name : str
    arguments : str
        Space-separated names; those in capitals are integers, the others addresses that do not
        overlap.
    public : bool
        Whether the function is called from outside its module.
    real : Real
        The numbers that vectors and addresses hold where nothing else is said.
    """

    name: str
    arguments: str
    public: bool = False
    real: Real = DOUBLE
    lines: list[str] = field(default_factory=list)
    block: str = "entry"
    count: int = 0

    def line(self, text: str) -> None:
        """Append an instruction without a result."""
        self.lines.append(f"  {text}")

    def emit(self, text: str) -> str:
        """Append an instruction and return the name of its result."""
        name = self.fresh("v")
        self.line(f"{name} = {text}")
        return name

    def fresh(self, prefix: str) -> str:
        """Return an unused value name."""
        self.count += 1
        return f"%{prefix}{self.count}"

    def label(self, name: str) -> None:
        """Begin a basic block."""
        self.lines.append(f"{name}:")
        self.block = name

    def ptr(self, name: str) -> Ptr:
        """Return an address argument."""
        return Ptr(self, f"%{name}")

    def integer(self, name: str) -> Int:
        """Return an integer argument."""
        return Int(self, f"%{name}")

    def const(self, value: float) -> Vec:
        """Return a number in all lanes."""
        words = ", ".join([self.real.text(value)] * self.real.lanes)
        return Vec(self, f"<{words}>", self.real)

    def constant(self, value: int) -> Int:
        """Return an integer known at generation time."""
        return Int(self, str(value))

    def splat(self, scalar: str) -> Vec:
        """Return a run-time number of the code's type in all lanes."""
        vec = self.real.vec
        first = self.emit(f"insertelement {vec} poison, {self.real.name} {scalar}, i64 0")
        zero = f"<{self.real.lanes} x i32> zeroinitializer"
        text = f"shufflevector {vec} {first}, {vec} poison, {zero}"
        return Vec(self, self.emit(text), self.real)

    def splat_number(self, value: Int) -> Vec:
        """Return an integer as a number of the code's type in all lanes."""
        return self.splat(self.emit(f"sitofp i64 {value.name} to {self.real.name}"))

    def fma(self, a: Vec, b: Vec, c: Vec) -> Vec:
        """Return a * b + c, rounded once."""
        operands = ", ".join(f"{x.kind} {x.name}" for x in (a, b, c))
        return Vec(self, self.emit(f"call {a.kind} {a.real.fma}({operands})"), a.real)

    def maximum(self, a: Vec, b: Vec) -> Vec:
        """Return the larger; `b` where `a` is NaN."""
        return (a > b).where(a, b)

    def first_lanes(self, n: Int) -> Mask:
        """Return the mask of the lanes below `n` (any integer)."""
        integers = f"<{self.real.lanes} x i64>"
        first = self.emit(f"insertelement {integers} poison, i64 {n.name}, i64 0")
        zero = f"<{self.real.lanes} x i32> zeroinitializer"
        limit = self.emit(f"shufflevector {integers} {first}, {integers} poison, {zero}")
        lanes = ", ".join(f"i64 {lane}" for lane in range(self.real.lanes))
        return Mask(self, self.emit(f"icmp slt {integers} <{lanes}>, {limit}"), self.real)

    def call(self, function: str, *arguments: Ptr | Int) -> None:
        """Call another function of the module."""
        text = ", ".join(f"{'ptr' if isinstance(a, Ptr) else 'i64'} {a.name}" for a in arguments)
        self.line(f"call void @{function}({text})")

    def when(self, condition: str, body: Callable[[], None]) -> None:
        """Run `body` only where the truth value `condition` holds."""
        self.count += 1
        yes, after = f"yes{self.count}", f"after{self.count}"
        self.line(f"br i1 {condition}, label %{yes}, label %{after}")
        self.label(yes)
        body()
        self.line(f"br label %{after}")
        self.label(after)

    def loop(
        self,
        stop: Index,
        body: LoopBody,
        carry: Sequence[Carried] = (),
        start: Index = 0,
        step: int = 1,
    ) -> list[Any]:
        """Repeat `body` for start, start + step, ... below `stop`, at least once.

        Parameters
        ----------
        body : callable
            Takes the index and the carried values, returns their next values.
        carry : sequence of Vec or Int
            First values of what is carried, in registers.

        Returns
        -------
        list of Vec or Int
            The carried values after the last round.
        """
        self.count += 1
        before, head, done = self.block, f"loop{self.count}", f"done{self.count}"
        index = Int(self, self.fresh("i"))
        self.line(f"br label %{head}")
        self.label(head)
        at = len(self.lines)
        now = [replace(c, name=self.fresh("c")) for c in carry]
        after = list(body(index, now) or ())
        following = index + step
        more = following.compare("slt", stop)
        joined = [(index.name, "i64", integer(start), following.name)]
        joined += [
            (c.name, c.kind, a.name, b.name) for c, a, b in zip(now, carry, after, strict=True)
        ]
        self.lines[at:at] = [
            f"  {name} = phi {kind} [ {first}, %{before} ], [ {later}, %{self.block} ]"
            for name, kind, first, later in joined
        ]
        self.line(f"br i1 {more}, label %{head}, label %{done}")
        self.label(done)
        return after

    def text(self) -> str:
        """Return the finished function."""
        signature = ", ".join(
            f"i64 %{a}" if a.isupper() else f"ptr noalias %{a}" for a in self.arguments.split()
        )
        kind = "" if self.public else "internal "
        body = "\n".join([*self.lines, "  ret void"])
        return f"define {kind}void @{self.name}({signature}) {{\nentry:\n{body}\n}}\n"
