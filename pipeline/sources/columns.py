"""Which columns become values: those named, or all numeric ones except identifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.sources import numeric
from pipeline.sources.beside import reserved, wide_of
from pipeline.sources.filters import parse
from pipeline.sources.spec import SourceSpec
from pipeline.sources.trouble import DataError, has_no, listed
from pipeline.sources.wide import Wide

SAMPLE_ROWS = 65_536
"""Identifiers are looked for in so many leading rows."""


@dataclass(frozen=True)
class Choice:
    """The value columns of a table, and what a reader of the plan should know about them.

    Parameters
    ----------
    wide : Wide
        The values, with the columns of weight and errors.
    dtype : float32 or float64
    notes : tuple of str
    """

    wide: Wide
    dtype: np.dtype[Any]
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the D value columns."""
        return self.wide.columns


def choose(
    spec: SourceSpec,
    holder: str,
    types: Mapping[str, pa.DataType],
    sample: Callable[[Sequence[str]], pa.Table],
    n_rows: int | None,
    beside: Sequence[str] = (),
) -> Choice:
    """Choose the value columns of a table, and check that every named column exists.

    Parameters
    ----------
    spec : SourceSpec
    holder : str
        The file or folder, for messages.
    types : mapping of column to arrow type
    sample : callable
        Returns the leading rows (up to `SAMPLE_ROWS`) of the columns asked for; called only
        with integer columns that may be identifiers.
    n_rows : int or None
        Rows of the whole, where known.
    beside : sequence of str
        Further columns, which can identify or be carried, but are no values.

    Raises
    ------
    DataError
        If a name is not there, a named column is not numeric, or no column is left.
    """
    known, notes = list(types), list[str]()
    check_names("source.id", holder, spec.id, (*known, *beside))
    check_names("source.carry", holder, spec.carry, (*known, *beside))
    if spec.columns is not None:
        check_names("source.columns", holder, spec.columns, known)
        for name in spec.columns:
            if not numeric.is_numeric(types[name]):
                raise numeric.refuse(holder, name, types[name])
        names = list(spec.columns)
    else:
        names, notes = _default(spec, types, sample, n_rows)
    if not names:
        there = listed([f"{name} ({kind})" for name, kind in types.items()], "columns")
        why = "; ".join(notes)
        raise DataError(
            f"source.columns: {holder} has no numeric column to fit; it has {there}"
            + (f". {why}" if why else "")
        )
    check_names("source.units", holder, tuple(spec.units), known)
    wide = wide_of(spec, holder, tuple(names), types)
    return Choice(wide, wide.dtype(types[n] for n in wide.read), tuple(notes))


def check_names(setting: str, holder: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise DataError for the first of `names` that is not known."""
    for name in names:
        if name not in known:
            shown = known if len(known) <= 12 else [*known[:11], f"... ({len(known)} columns)"]
            raise has_no(setting, holder, name, known, shown)


def check_unique(holder: str, names: Sequence[str]) -> None:
    """Raise DataError if two columns have one name."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"source: {holder} has more than one column called {listed(twice)}; rename them"
        )


def _default(
    spec: SourceSpec,
    types: Mapping[str, pa.DataType],
    sample: Callable[[Sequence[str]], pa.Table],
    n_rows: int | None,
) -> tuple[list[str], list[str]]:
    # pandas keeps its row names in such a column
    taken = {*spec.labels, *reserved(spec, list(types))}
    free = [n for n in types if n not in taken and not n.startswith("__index_level_")]
    names = [n for n in free if numeric.is_numeric(types[n])]
    integers = [n for n in names if pa.types.is_integer(numeric.plain(types[n]))]
    rows = sample(integers) if integers else pa.table({})
    found = [n for n in rows.column_names if numeric.looks_like_identifier(rows.column(n))]
    extent = _extent(rows.num_rows, n_rows)
    notes = [
        f"source.columns: {name} looks like an identifier ({extent} values differ, integers). "
        "Left out; name it in source.id to keep it."
        for name in found
    ]
    empty = [n for n, kind in types.items() if kind == pa.null()]
    notes += [f"source.columns: {name} holds no value. Left out." for name in empty]
    return [name for name in names if name not in found], notes


def _extent(seen: int, n_rows: int | None) -> str:
    return f"all {seen}" if seen == n_rows else f"the first {seen}"


def filter_columns(spec: SourceSpec, holder: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that the filter reads.

    Raises
    ------
    ConfigError
        If the filter cannot be read.
    DataError
        If a column is not there; how to write an odd name is told.
    """
    names = parse(spec.filter).columns if spec.filter else ()
    for name in names:
        if name not in known:
            odd = [k for k in known if not k.isidentifier() and k.startswith(name)]
            hint = f" Odd names go in backticks: `{odd[0]}`." if odd else ""
            raise DataError(f"{has_no('source.filter', holder, name, known)}{hint}")
    return names
