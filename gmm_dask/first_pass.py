"""The first pass over the data: refuse what cannot be fitted, and find the frame of the run."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np

from gmm_dask.blocks import Frame, Source
from gmm_dask.completion import first_guess
from gmm_dask.engine.base import Engine
from gmm_dask.errors import DataError, DataWarning
from gmm_dask.folds.columns import NO_ROW, Columns, ColumnStats, frame_from, provisional_frame
from gmm_dask.folds.rows import RowShare, observed
from gmm_dask.stats import batch

MAX_PASSES = 4
HEAD = 4096
# Ranges of a column whose squares, divided by the smallest weight or floor, fit into float64.
NARROWEST, WIDEST = 1e-150, 1e152
MARGINALIZE = '; or set missing="marginalize", if it is by chance that they are missing'


def find_frame(
    engine: Engine,
    source: Source,
    rows: RowShare | None = None,
    *,
    constant: str = "raise",
) -> tuple[Frame, ColumnStats]:
    """Return the frame of a run and the column statistics, in one pass as a rule.

    Parameters
    ----------
    engine : Engine
    source : Source
    rows : RowShare, optional
        Training rows.
    constant : {"raise", "warn", "allow"}
        What to do with columns that hold one value.

    Raises
    ------
    DataError
        NaN or infinite values, with counts and first rows; no rows; constant columns; columns
        whose variance float64 cannot hold in their unit.
    """
    if source.n_rows == 0 or not source.columns:
        raise DataError(
            f"0 sample(s) or 0 feature(s): the data have shape ({source.n_rows}, "
            f"{len(source.columns)}) while a minimum of 1 row and 1 column is required"
        )
    head = source.read(0, min(HEAD, source.n_rows))
    every = rows and replace(rows, fraction=1.0, inside=True)
    frame = provisional_frame(first_guess(observed(every, head)))
    for _ in range(MAX_PASSES):
        stats, all_rows = _look(engine, source, frame, rows)
        _check_weight(stats)
        check_finite(all_rows, source, missing=has_holes(rows))
        check_units(all_rows, source)
        _check_share(stats, all_rows, rows is not None and rows.is_part)
        frame, exact = frame_from(stats, frame)
        if exact:
            check_constant(stats, source, constant)
            return frame, stats
    raise DataError(
        "the columns span too many orders of magnitude for sums of squares in float64: "
        f"ranges {_ranges(stats, source)}; transform or clip the extreme values"
    )


def _look(
    engine: Engine, source: Source, frame: Frame, rows: RowShare | None
) -> tuple[ColumnStats, ColumnStats]:
    """Return the statistics of the training rows and, for what is bad, those of all rows."""
    if rows is None or not rows.is_part:
        stats = engine.fold(Columns(frame, rows), source)
        return stats, stats
    held = Columns(frame, replace(rows, inside=not rows.inside))
    stats, others = engine.fold(batch([Columns(frame, rows), held]), source)
    return stats, held.merge(stats, others)


def _check_weight(stats: ColumnStats) -> None:
    """Raise DataError if there are rows, and none of them counts."""
    n = int(stats.n_rows)
    if n and not stats.weight > 0:
        raise DataError(f"the weights of all {n} rows are zero: at least one must be positive")


def _check_share(stats: ColumnStats, all_rows: ColumnStats, held_out: bool) -> None:
    """Raise DataError unless there are rows to fit and, if asked for, rows held out."""
    n, n_held = int(stats.n_rows), int(all_rows.n_rows - stats.n_rows)
    if n == 0 or (held_out and n_held == 0):
        raise DataError(
            f"{n} rows are left for the fit and {n_held} are held out: at least one each is "
            "needed; use more rows or another share of held-out rows"
        )


def has_holes(rows: RowShare | None) -> bool:
    """Return whether rows may lack some of the columns."""
    return rows is not None and rows.layout is not None and rows.layout.holes


def check_finite(stats: ColumnStats, source: Source, *, missing: bool = False) -> None:
    """Raise DataError with counts and first rows if any value is NaN or infinite.

    Where NaN means missing, only a column without any value is refused for it.
    """
    empty = np.flatnonzero(np.diagonal(stats.pairs) == 0)
    if missing and len(empty):
        raise DataError(
            f"column {source.columns[empty[0]]} has no value in any row of positive weight; "
            "leave it out"
        )
    nan = ("NaN", stats.n_nan, stats.first_nan, "no")
    infinity = ("infinity", stats.n_inf, stats.first_inf, "infinite")
    parts = []
    for name, bad, first, word in (infinity,) if missing else (nan, infinity):
        hits = np.flatnonzero(bad)
        listed = [f"{bad[d]} of {source.n_rows} rows have {word} {source.columns[d]}" for d in hits]
        if listed:
            row = int(first[hits].min())
            more = f" and {len(listed) - 5} more columns" if len(listed) > 5 else ""
            where = f" (first: row {row})" if row != NO_ROW else ""
            parts.append(f"Input contains {name}: {'; '.join(listed[:5])}{more}{where}")
    if parts:
        marginalize = "" if missing or not stats.n_nan.any() else MARGINALIZE
        advice = f". Filter these rows, or fill the values, first{marginalize}."
        raise DataError(". ".join(parts) + advice)


def check_units(stats: ColumnStats, source: Source) -> None:
    """Raise DataError if a column's variance would overflow or vanish in the unit it comes in."""
    # halves, as the difference of the ends may be infinite
    half = 0.5 * stats.maximum - 0.5 * stats.minimum
    wrong = np.flatnonzero((half > 0.5 * WIDEST) | ((half < 0.5 * NARROWEST) & (half > 0)))
    if not len(wrong):
        return
    listed = ", ".join(
        f"{source.columns[d]} from {stats.minimum[d]:g} to {stats.maximum[d]:g}" for d in wrong[:5]
    )
    more = f" and {len(wrong) - 5} more columns" if len(wrong) > 5 else ""
    raise DataError(
        f"columns whose range has a square that float64 cannot hold: {listed}{more}; ranges from "
        f"{NARROWEST:g} to {WIDEST:g} have a variance. Give the column another unit, or remove "
        "the extreme rows"
    )


def check_constant(stats: ColumnStats, source: Source, action: str) -> None:
    """Raise, warn or stay silent if a column holds a single value."""
    still = np.flatnonzero(stats.minimum == stats.maximum)
    if not len(still) or float(stats.n_rows) <= 1 or action == "allow":
        return
    listed = ", ".join(f"{source.columns[d]} (always {stats.minimum[d]:g})" for d in still[:5])
    message = (
        f"{len(still)} of {len(stats.minimum)} columns are constant: {listed}; a mixture has no "
        "density there. Leave the column out, or give reg_covar as a number"
    )
    if action == "raise":
        raise DataError(message)
    warnings.warn(message, DataWarning, stacklevel=2)


def _ranges(stats: ColumnStats, source: Source) -> str:
    size = np.log10(np.maximum(np.abs(stats.minimum), np.abs(stats.maximum)).clip(1e-308))
    order = np.argsort(-size)[:3]
    return ", ".join(f"{source.columns[d]} up to 1e{math.ceil(size[d])}" for d in order)
