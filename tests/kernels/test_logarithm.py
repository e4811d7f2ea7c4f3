"""Logarithms in generated code, against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gmm_dask.kernels import compile as compiling
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.logarithm import empty_product, log_product, logarithm, multiplied


def logarithm_of(x: Any, factors: int) -> Any:
    """Logarithms of products of `factors` copies of eight numbers, or of the numbers alone."""
    code = Code("run", "table", public=True)
    read, write = (code.ptr("table").address(i) for i in range(2))
    value, total = read.load(), empty_product(code)
    for _ in range(factors):
        total = multiplied(code, total, value)
    write.store(0, log_product(code, total, factors) if factors else logarithm(code, value))
    vec = "<8 x double>"
    text = f"declare {vec} @llvm.fma.v8f64({vec}, {vec}, {vec})\n" + code.text()
    function = compiling.load(compiling.compile_text(text), "run")
    out, whole = np.empty(len(x)), np.ascontiguousarray(x)
    for i in range(0, len(x), 8):
        part, of_part = whole[i : i + 8].copy(), np.empty(8)
        table = np.array([part.ctypes.data, of_part.ctypes.data], dtype=np.uintp)
        function(table.ctypes.data)
        out[i : i + 8] = of_part
    return out


def test_logarithms_are_right_to_two_units_in_the_last_place():
    rng = np.random.default_rng(0)
    near = np.concatenate([1 + np.geomspace(2.0**-52, 0.3, 400), np.linspace(1.3, 1.5, 400)])
    x = np.concatenate(
        [near, 2 ** rng.uniform(0, 64, 1592), [1.0, 2.0, 4.0, 1.5, 1e9, 3.0, 7.0, 9.0]]
    )
    expected = np.log(x)
    assert (np.abs(logarithm_of(x, 0) - expected) <= 2 * np.spacing(expected)).all()


@pytest.mark.parametrize("factors", [1, 2, 64])
def test_logarithms_of_products_do_not_overflow(factors):
    x = np.concatenate([np.geomspace(2.3e-308, 1.7e308, 797), [1.0, 0.5, 2.0]])
    found, expected = logarithm_of(x, factors), factors * np.log(x)
    # each product of fractions rounds once: half a unit in the last place of 1
    assert np.abs(found - expected).max() <= 2 * np.spacing(700.0 * factors)
    close = np.abs(np.log(x)) < 1
    assert np.abs(found - expected)[close].max() <= factors * np.spacing(1.0) + 1e-15
