"""Runs small pieces of generated code for tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gmm_dask.kernels.compile import compile_text, load
from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.lists import positions
from gmm_dask.kernels.native.real import DOUBLE, REALS, Real

DECLARATIONS = "declare i64 @llvm.ctpop.i64(i64)\n" + "".join(
    f"declare {real.vec} {real.fma}({real.vec}, {real.vec}, {real.vec})\n"
    for real in REALS.values()
)


def run(build: Callable[..., None], *arrays: np.ndarray, real: Real = DOUBLE) -> None:
    """Emit a function by ``build(code, *addresses)``, compile it and run it on the arrays."""
    code = Code("run", "table", public=True, real=real)
    addresses: list[Ptr] = [code.ptr("table").address(i) for i in range(len(arrays))]
    build(code, *addresses)
    text = code.text()
    text = DECLARATIONS + (positions() if "@positions" in text else "") + text
    table = np.array([array.ctypes.data for array in arrays], dtype=np.uintp)
    load(compile_text(text), "run")(table.ctypes.data)
