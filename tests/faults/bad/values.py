"""Rows whose values cannot be fitted, or only just, for every format that holds rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.faults.bad.case import FORMATS, Array, Case, names_of, path_of
from tests.faults.bad.place import CODES

DATA = (3,)
FITS_OR_SAYS = (0, 3, 5)
LARGEST = float(np.finfo(np.float64).max)
SMALLEST = 5e-324


def good_rows(n: int, n_columns: int, seed: int) -> Array:
    """Return rows (n, D) of two clusters."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_columns)) + 8.0 * (np.arange(n) % 2)[:, None]


@st.composite
def holes(draw: Any) -> tuple[str, Array, tuple[int, ...], str]:
    """NaN or an infinity in random places: counted, with column and first row."""
    n, D = draw(st.integers(3, 60)), draw(st.integers(1, 4))
    rows = good_rows(n, D, draw(st.integers(0, 99)))
    bad = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    j = draw(st.integers(0, D - 1))
    some = st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True)
    hit = draw(st.just(list(range(n))) | some | some)
    rows[hit, slice(None) if draw(st.booleans()) else j] = bad
    word = "no" if np.isnan(bad) else "infinite"
    told = rf"{len(hit)} of {n} rows have {word} x{j}.*\(first: row {min(hit)}\b"
    return f"{bad} in rows {sorted(hit)} of column {j} of {n} x {D}", rows, DATA, told


@st.composite
def flat(draw: Any) -> tuple[str, Array, tuple[int, ...], str]:
    """A column of one value: named with the value."""
    n, D = draw(st.integers(3, 60)), draw(st.integers(1, 4))
    rows = good_rows(n, D, draw(st.integers(0, 99)))
    j = draw(st.integers(0, D - 1))
    ordinary = [0.0, -0.0, 1.0, -7.5, 1e-300, 1e300, LARGEST, SMALLEST, 2.0**53]
    rows[:, j] = value = draw(st.sampled_from(ordinary))
    return f"column {j} of {n} x {D} is {value}", rows, DATA, rf"constant: .*x{j} \(always "


@st.composite
def extreme(draw: Any) -> tuple[str, Array, tuple[int, ...], str]:
    """Columns in units near the ends of float64, alone or beside ordinary ones."""
    n, D = draw(st.integers(8, 60)), draw(st.integers(1, 3))
    rows = good_rows(n, D, draw(st.integers(0, 99)))
    units = [1e300, 1e-300, 1e155, 1e-160, 1e308, 1e-308, SMALLEST, LARGEST / 20, 1e200, 1.0]
    chosen = draw(st.lists(st.sampled_from(units), min_size=D, max_size=D))
    with np.errstate(over="ignore"):
        rows = np.clip(rows * np.array(chosen), -LARGEST, LARGEST)
    return f"{n} x {D} in units of {chosen}", rows, FITS_OR_SAYS, r"x\d"


@st.composite
def mixed(draw: Any) -> tuple[str, Array, tuple[int, ...], str]:
    """Single values far away from all others."""
    n, D = draw(st.integers(8, 60)), draw(st.integers(1, 3))
    rows = good_rows(n, D, draw(st.integers(0, 99)))
    far = [LARGEST, -LARGEST, 1e300, -1e200, SMALLEST, 1e160, 1e20]
    found = draw(st.lists(st.tuples(st.integers(0, n - 1), st.sampled_from(far)), min_size=1))
    j = draw(st.integers(0, D - 1))
    for row, value in found:
        rows[row, j] = value
    return f"{found} in column {j} of {n} x {D}", rows, FITS_OR_SAYS, r"x\d"


@st.composite
def few(draw: Any) -> tuple[str, Array, tuple[int, ...], str]:
    """Fewer rows, or fewer different ones, than components."""
    n, D = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    different = draw(st.integers(1, 3))
    rows = good_rows(n, D, draw(st.integers(0, 99)))[np.arange(n) % different]
    return f"{n} x {D} with {different} different rows", rows, CODES, ""


KINDS = {"holes": holes, "flat": flat, "extreme": extreme, "mixed": mixed, "few": few}


@st.composite
def bad_values(draw: Any, kind: str) -> Case:
    """Bad values in any of the formats."""
    what, rows, codes, told = draw(KINDS[kind]())
    format_ = draw(st.sampled_from(sorted(FORMATS)))
    files = FORMATS[format_](rows)
    components = draw(st.integers(4, 9)) if kind == "few" else 2
    covariance = draw(st.sampled_from(["full", "tied", "diag", "spherical"]))
    return Case(
        f"{format_}: {what}, K={components} {covariance}",
        files,
        # named, as a column of a text table that holds nothing at all is left out otherwise
        {"path": path_of(files), "columns": names_of(rows.shape[1])},
        {"n_components": components, "covariance_type": covariance},
        codes,
        told,
    )


STRATEGIES = {kind: bad_values(kind) for kind in KINDS}
"""All of these, for the tests."""
