from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gmm_dask import ConfigError, DataError
from pipeline.sources import SourceSpec, open_table

VALUES = np.arange(60.0).reshape(20, 3)


def opened(folder: Path, values: Any, **settings: Any) -> Any:
    np.save(folder / "x.npy", values)
    return open_table(SourceSpec(str(folder / "x.npy"), **settings), folder / "scratch")


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        ("<f8", "f8"),
        (">f8", "f8"),
        ("<f4", "f4"),
        (">f4", "f4"),
        ("f2", "f4"),
        ("i1", "f4"),
        (">i2", "f4"),
        ("u2", "f4"),
        ("i4", "f8"),
        (">i8", "f8"),
        ("u8", "f8"),
        (np.longdouble, "f8"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_types_and_orders(tmp_path: Path, stored: Any, dtype: str, order: Any) -> None:
    table = opened(tmp_path, np.asarray(VALUES.astype(stored), order=order))
    assert table.dtype == np.dtype(dtype)
    block = table.read(3, 17)
    assert block.values.dtype == np.dtype(dtype)
    assert block.values.flags.c_contiguous
    assert block.values.flags.writeable
    np.testing.assert_array_equal(block.values, VALUES[3:17])


def test_columns_are_chosen_by_name_and_can_be_carried(tmp_path: Path) -> None:
    table = opened(tmp_path, VALUES, columns=("x2", "x0"), carry=("x1",))
    np.testing.assert_array_equal(table.read(1, 3).values, VALUES[1:3, [2, 0]])
    assert table.identity(1, 3).to_pydict() == {"row": [1, 2], "x1": [4.0, 7.0]}


def test_several_files_are_one_run_of_rows(tmp_path: Path) -> None:
    for part, (lo, hi) in enumerate([(0, 3), (3, 4), (4, 20)]):
        np.save(tmp_path / f"{part}.npy", VALUES[lo:hi])
    table = open_table(SourceSpec(str(tmp_path / "*.npy")), tmp_path / "scratch")
    for lo, hi in [(0, 20), (2, 5), (3, 4), (1, 3), (10, 20)]:
        np.testing.assert_array_equal(table.read(lo, hi).values, VALUES[lo:hi])
    np.save(tmp_path / "9.npy", VALUES[:, :2])
    with pytest.raises(DataError, match=r"9\.npy has columns 2, .*0\.npy 3"):
        open_table(SourceSpec(str(tmp_path / "*.npy")), tmp_path / "scratch")


def test_a_large_integer_is_told_with_its_row(tmp_path: Path) -> None:
    values = np.ones((5, 2), np.int64)
    values[3, 1] = -(2**53) - 1
    table = opened(tmp_path, values)
    table.read(0, 3)
    with pytest.raises(DataError, match=r"x1 holds -9007199254740993 in row 3"):
        table.read(1, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.arange(3.0), r"shape \(3,\); needed: two dimensions"),
        (np.zeros((2, 2, 2)), "needed: two dimensions"),
        (np.zeros((0, 2)), "no row, or no column"),
        (np.zeros((2, 0)), "no row, or no column"),
        (np.zeros((2, 2), bool), "true or false"),
        (np.zeros((2, 2), complex), "complex numbers"),
        (np.zeros((2, 2), "M8[s]"), "points in time"),
        (np.array([["a", "b"]]), "not numbers"),
        (np.zeros((2, 2), [("a", "f8")]), "named fields"),
        (np.array([[{}, 1]], object), "never unpickled"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path, values)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    opened(tmp_path, VALUES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut short: 607 bytes of 608"):
        open_table(SourceSpec(str(path)), tmp_path)
    path.write_bytes(b"not an array at all")
    with pytest.raises(DataError, match="not an npy file"):
        open_table(SourceSpec(str(path)), tmp_path)


def test_no_names_no_identity(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"source\.id: .*x\.npy has no star; it has x0, x1, x2"):
        opened(tmp_path, VALUES, id="star")
    with pytest.raises(ConfigError, match=r"source\.key: npy has no arrays"):
        opened(tmp_path, VALUES, key="a")
