"""Arrays and dataframes handed to the estimator in Python: what is no number is refused by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gmm_dask import DataError, GaussianMixture
from tests.faults.bad.values import good_rows

ROWS = good_rows(30, 2, 0)
BIG = np.array([[2**53 + 1, 1], [3, 4], [5, 7]] * 5)


def frame_with(column: Any) -> pd.DataFrame:
    """Return a frame of a good column and this one."""
    return pd.DataFrame({"good": ROWS[:, 0], "odd": column})


def fit(data: Any) -> GaussianMixture:
    """Fit two components."""
    return GaussianMixture(2, random_state=0).fit(data)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (ROWS.astype("U9"), "numbers are needed"),
        (ROWS.astype("S9"), "numbers are needed"),
        (ROWS.astype("U9").tolist(), "numbers are needed"),
        (ROWS.astype("U9").astype(object), "text and truths are not read"),
        (ROWS > 0, "dtype bool"),
        ((ROWS > 0).tolist(), "dtype bool"),
        ((ROWS > 0).astype(object), "text and truths are not read"),
        (ROWS.astype("M8[s]"), "dtype datetime64"),
        (ROWS + 0j, "Complex data not supported.* two columns"),
        (np.ma.masked_array(ROWS > 0), "dtype bool"),
        (np.zeros(9, [("a", "f8"), ("b", "f8")]), "numbers are needed"),
        (BIG, r"hold 9007199254740993, an integer beyond 2\^53"),
        (-BIG, r"hold -9007199254740993, an integer beyond 2\^53"),
        (BIG.astype("u8"), r"hold 9007199254740993, an integer beyond 2\^53"),
    ],
)
def test_arrays_that_hold_no_numbers(data: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        fit(data)


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (ROWS[:, 1] > 0, r"hold no numbers: odd \(bool\)"),
        (pd.array([True, False, None] * 10, dtype="boolean"), r"hold no numbers: odd \(boolean\)"),
        (pd.Categorical([1, 2] * 15), r"hold no numbers: odd \(category\)"),
        (["x"] * 30, "odd"),
        (pd.Series(["1.5"] * 30, dtype=object), "column odd holds 1.5, no number"),
        (pd.Series([1.0, True] * 15, dtype=object), "column odd holds True, no number"),
        ([*range(29), 2**53 + 1], r"column odd holds 9007199254740993, an integer beyond 2\^53"),
        (
            pd.array([*range(28), None, 2**60], dtype="Int64"),
            "column odd holds 1152921504606846976",
        ),
        (pd.array([1, 2, None] * 10, dtype="Int64"), r"10 of 30 rows have no odd \(first: row 2\)"),
        (pd.date_range("2026", periods=30), "odd"),
    ],
)
def test_columns_that_hold_no_numbers(column: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        fit(frame_with(column))


def test_two_columns_of_one_name() -> None:
    with pytest.raises(DataError, match="more than one column is called a"):
        fit(pd.DataFrame(ROWS, columns=["a", "a"]))


@pytest.mark.parametrize(
    "data",
    [
        *(ROWS[:, 0], ROWS[None], ROWS[:0], ROWS[:, :0], ROWS[:1], None, "x", [[1, 2], [3]], {}),
        *(sparse.csr_matrix(ROWS), np.array([[1.0, "x"], [2.0, "y"]], object)),
    ],
)
def test_what_is_no_matrix(data: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        fit(data)


@pytest.mark.parametrize("kind", [bool, complex, "U9"])
def test_lazy_arrays_that_hold_no_numbers(kind: Any) -> None:
    with pytest.raises(DataError):
        fit(da.from_array(ROWS.astype(kind), chunks=(10, 2)))


@pytest.mark.parametrize(
    "same",
    [
        ROWS.astype(">f8"),
        np.asfortranarray(ROWS),
        ROWS.tolist(),
        pd.DataFrame(ROWS).astype("Float64"),
        pd.DataFrame([[Decimal(value) for value in row] for row in ROWS.tolist()]),
        ROWS.astype(object),
    ],
    ids=["big endian", "by column", "lists", "nullable", "decimals", "objects"],
)
def test_other_ways_to_write_the_same_numbers(same: Any) -> None:
    """Not bad at all: the means are those of the plain array, to the last bit."""
    np.testing.assert_array_equal(fit(same).means_, fit(ROWS).means_)


@pytest.mark.parametrize("kind", [np.float16, np.int8, np.uint16])
def test_narrow_numbers_are_widened(kind: Any) -> None:
    rows = (10 * ROWS).round().clip(0, 100).astype(kind)
    np.testing.assert_allclose(fit(rows).means_, fit(rows.astype(float)).means_, rtol=1e-6)
