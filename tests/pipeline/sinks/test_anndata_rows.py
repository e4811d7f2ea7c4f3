from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask import DataError
from pipeline.sinks.anndata_rows import Wanted, windows, with_origin


def rows(origin: np.ndarray, step: int) -> list[tuple[np.ndarray, pa.Table]]:
    table = pa.table({"label": pa.array(origin % 3, pa.int32()), "probability": origin / 1000})
    pieces = [table.slice(lo, step) for lo in range(0, len(origin), step)]
    return list(with_origin(pieces, lambda lo, hi: origin[lo:hi]))


@settings(max_examples=150, deadline=None)
@given(
    n_obs=st.integers(1, 80),
    width=st.integers(1, 30),
    step=st.integers(1, 30),
    data=st.data(),
)
def test_windows_cover_all_cells_once(
    n_obs: int, width: int, step: int, data: st.DataObject
) -> None:
    kept = data.draw(st.sets(st.integers(0, n_obs - 1)))
    origin = np.array(sorted(kept), dtype=np.int64)
    wanted = Wanted(3, label=True, responsibilities=False)
    found = list(windows(rows(origin, step), n_obs, wanted, width))
    assert [lo for lo, _ in found] == list(range(0, n_obs, width))
    assert all(len(columns["label"]) <= width for _, columns in found)
    label = np.full(n_obs, -1)
    label[origin] = origin % 3
    np.testing.assert_array_equal(np.concatenate([c["label"] for _, c in found]), label)
    probability = np.full(n_obs, np.nan)
    probability[origin] = origin / 1000
    np.testing.assert_array_equal(np.concatenate([c["probability"] for _, c in found]), probability)


@pytest.mark.parametrize("origin", [[3, 2], [1, 1], [0, 5, 4, 9]])
def test_rows_out_of_order_are_refused(origin: list[int]) -> None:
    wanted = Wanted(3, label=True, responsibilities=False)
    for step in (1, 10):
        with pytest.raises(DataError, match="do not come in the order of the file"):
            list(windows(rows(np.array(origin), step), 10, wanted))


def test_rows_beyond_the_file_are_refused() -> None:
    wanted = Wanted(3, label=True, responsibilities=False)
    with pytest.raises(DataError, match="row 10 was labelled, but the file has 10 cells"):
        list(windows(rows(np.array([9, 10]), 5), 10, wanted))


def test_codes_are_as_small_as_pandas_makes_them() -> None:
    assert [Wanted(k, True, False).code for k in (1, 127, 128)] == [np.int8, np.int8, np.int16]


def test_columns_that_the_assignments_must_hold() -> None:
    assert Wanted(2, True, False).columns == ("label", "probability")
    assert Wanted(2, False, True).columns == ("resp_0", "resp_1")
