from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gmm_dask.errors import FormatError
from gmm_dask.store.packing import pack, unpack

ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.array(7.5),
    "c": np.zeros((0, 4)),
    "d": np.array([True, False]),
    "e": np.zeros((3, 0), np.int64),
}


def test_there_and_back() -> None:
    packed, index = pack(ARRAYS)
    assert {name: flat.shape for name, flat in packed.items()} == {
        "float64": (7,),
        "bool": (2,),
        "int64": (0,),
    }
    back = unpack(packed, index)
    assert list(back) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


@pytest.mark.parametrize("index", [
    None, [], [["a", "float64", [2, 3]]], [["a", "float64", [8]]], [["a", "float64", [-1, -7]]],
    [["a", "float32", [7]]], [["a", "object", [7]]], [["a", "float64", [True, 7]]], [[1, 2]], ["x"],
    [["a", "float64", [10**18, 10**18]]],
])  # fmt: skip
def test_an_index_that_does_not_fit_is_damage(index: Any) -> None:
    with pytest.raises(FormatError):
        unpack({"float64": np.arange(7.0)}, index)
