"""Which rows a filter keeps, and why it drops the others.

Three-valued logic, as in SQL: a comparison with a missing value is neither true nor false, and
a row is kept only where the filter is true. NaN and the sentinels count as missing.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from pipeline.sources import numeric
from pipeline.sources.filters import BOOLS, Condition
from pipeline.sources.trouble import ConfigError, DataError, first_line

FALSE = "filter false"
UNDEFINED = "filter undefined"

_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
_CALCULATE: Mapping[type[ast.operator], str] = {
    ast.Add: "add_checked",
    ast.Sub: "subtract_checked",
    ast.Mult: "multiply_checked",
}


@dataclass(frozen=True)
class Verdict:
    """What a filter says of a run of rows.

    Parameters
    ----------
    kept : (m,) int64
        Positions of the kept rows in the run.
    seen : int
        Rows that were looked at: all, or up to the last one that was wanted.
    dropped : mapping of reason to count
    """

    kept: npt.NDArray[np.int64]
    seen: int
    dropped: Mapping[str, int]


def decide(
    condition: Condition | None,
    rows: pa.Table,
    sentinels: Sequence[float] = (),
    wanted: int | None = None,
) -> Verdict:
    """Apply a filter to rows.

    Parameters
    ----------
    condition : Condition or None
        None keeps all.
    rows : pyarrow.Table
        With the columns of the condition.
    sentinels : sequence of float
        Numbers that mean missing.
    wanted : int, optional
        Stop after so many kept rows.

    Raises
    ------
    ConfigError
        If types do not fit, such as text compared with a number.
    """
    n_rows = rows.num_rows
    codes = np.zeros(n_rows, np.intp) if condition is None else _codes(condition, rows, sentinels)
    kept = np.flatnonzero(codes == 0).astype(np.int64)
    if wanted is not None and len(kept) >= wanted:
        kept = kept[:wanted]
        n_rows = int(kept[-1]) + 1 if wanted else 0
    columns = condition.columns if condition else ()
    reasons = ("", FALSE, UNDEFINED, *(f"{name} missing" for name in columns))
    counts = np.bincount(codes[:n_rows], minlength=len(reasons))
    found = zip(reasons, counts, strict=True)
    return Verdict(kept, n_rows, {reason: int(n) for reason, n in found if reason and n})


def _codes(
    condition: Condition, rows: pa.Table, sentinels: Sequence[float]
) -> npt.NDArray[np.intp]:
    """Return 0 where a row is kept, else the index of the reason."""
    columns = {name: _column(rows.column(name), sentinels) for name in condition.columns}
    truth = _Evaluation(condition, columns).truth(condition.tree)
    codes = np.full(rows.num_rows, 2, np.intp)
    for index, name in reversed(list(enumerate(condition.columns, start=3))):
        codes[np.asarray(pc.is_null(columns[name]))] = index
    codes[np.asarray(pc.is_valid(truth))] = 1
    codes[np.asarray(pc.fill_null(truth, False))] = 0
    return codes


def _column(column: Any, sentinels: Sequence[float]) -> Any:
    """Return a column with one kind of missing: null."""
    kind = numeric.plain(column.type)
    column = column.cast(kind) if kind != column.type else column
    if pt.is_decimal(kind):
        column = column.cast(pa.float64())
    if pt.is_float16(kind):
        column = column.cast(pa.float32())
    if pt.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    for sentinel in sentinels if numeric.is_numeric(column.type) else ():
        mark = _like(pa.scalar(sentinel), column)
        column = pc.if_else(pc.equal(column, mark), pa.scalar(None, column.type), column)
    return column


def _like(value: Any, other: Any) -> Any:
    """Return a literal in the precision of a column that it meets, as NumPy and pandas do."""
    if not isinstance(value, pa.Scalar):
        return value
    if pt.is_float32(other.type) and pt.is_float64(value.type):
        return value.cast(pa.float32())
    if pt.is_uint64(other.type) and pt.is_int64(value.type) and value.as_py() >= 0:
        return value.cast(pa.uint64())
    if pt.is_temporal(other.type) and pt.is_string(value.type):
        return value.cast(other.type)
    return value


@dataclass(frozen=True)
class _Evaluation:
    condition: Condition
    columns: Mapping[str, Any]

    def truth(self, node: ast.expr) -> Any:
        """Return a boolean array, null where undecided."""
        value = self._value(node)
        if not pt.is_boolean(value.type):
            piece = self.condition.piece(node)
            raise ConfigError(f"source.filter: `{piece}` is {value.type}, not a condition")
        return value

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            combine = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
            return _fold(combine, [self.truth(value) for value in node.values])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return pc.invert(self.truth(node.operand))
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand)
            return self._call(node, "negate", value) if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Compare):
            return self._chain(node)
        if isinstance(node, ast.BinOp):
            return self._calculate(node)
        if isinstance(node, ast.Constant):
            return pa.scalar(node.value)
        name = self.condition.column(node)
        return self.columns[name] if name in self.columns else pa.scalar(BOOLS[name])

    def _chain(self, node: ast.Compare) -> Any:
        sides = [node.left, *node.comparators]
        links = zip(node.ops, sides[:-1], sides[1:], strict=True)
        return _fold(pc.and_kleene, [self._link(node, *link) for link in links])

    def _link(self, node: ast.Compare, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
        value = self._value(left)
        if isinstance(op, ast.Is):
            return pc.is_null(value)
        if isinstance(op, ast.IsNot):
            return pc.is_valid(value)
        if isinstance(op, ast.In | ast.NotIn):
            assert isinstance(right, ast.List | ast.Tuple)
            found = [self._call(node, "equal", value, self._value(e)) for e in right.elts]
            nothing = pc.and_kleene(pc.is_null(value), pa.scalar(None, pa.bool_()))
            among = _fold(pc.or_kleene, [nothing, *found])
            return pc.invert(among) if isinstance(op, ast.NotIn) else among
        return self._call(node, _COMPARE[type(op)], value, self._value(right))

    def _calculate(self, node: ast.BinOp) -> Any:
        left, right = self._value(node.left), self._value(node.right)
        if not isinstance(node.op, ast.Div):
            return self._call(node, _CALCULATE[type(node.op)], left, right)
        left, right = (self._call(node, "cast", side) for side in (left, right))
        quotient = self._call(node, "divide", left, right)
        # 0 / 0 is as undefined as a missing value
        return pc.if_else(pc.is_nan(quotient), pa.scalar(None, quotient.type), quotient)

    def _call(self, node: ast.expr, name: str, *sides: Any) -> Any:
        if len(sides) == 2:
            sides = (_like(sides[0], sides[1]), _like(sides[1], sides[0]))
        try:
            if name == "cast":
                return pc.cast(sides[0], pa.float64()) if _is_number(sides[0]) else sides[0]
            return pc.call_function(name, list(sides))
        except pa.ArrowNotImplementedError:
            types = " and ".join(str(side.type) for side in sides)
            piece = self.condition.piece(node)
            raise ConfigError(f"source.filter: `{piece}` mixes {types}") from None
        except pa.ArrowInvalid as error:
            piece = self.condition.piece(node)
            raise DataError(f"source.filter: `{piece}`: {first_line(error)}") from None


def _is_number(value: Any) -> bool:
    return numeric.is_numeric(value.type)


def _fold(function: Any, items: Sequence[Any]) -> Any:
    result = items[0]
    for item in items[1:]:
        result = function(result, item)
    return result
