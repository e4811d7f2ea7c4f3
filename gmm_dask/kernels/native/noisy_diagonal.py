"""Rows with independent errors under components with independent columns: O(D) each."""

from __future__ import annotations

from gmm_dask.kernels.native.addresses import Ptr
from gmm_dask.kernels.native.code import Code
from gmm_dask.kernels.native.logarithm import empty_product, log_product, multiplied
from gmm_dask.kernels.native.noisy_key import NoisyKey
from gmm_dask.kernels.native.values import LANES, Vec

Rooms = dict[str, Ptr]


def density(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr) -> Vec:
    """Return log joint densities of eight rows."""
    D = key.n_columns
    product, square = empty_product(code), code.const(0.0)
    for j in range(D):
        y = at["y"].load(j * LANES) - of_k.splat(1 + j)
        total = of_k.splat(1 + D + j) + at["noise"].load(j * LANES)
        square = code.fma(y / total, y, square)
        product = multiplied(code, product, total)
    double = square + log_product(code, product, D)
    return code.fma(double, code.const(-0.5), of_k.splat(0))


def add(code: Code, key: NoisyKey, at: Rooms, of_k: Ptr, sums: Ptr, r: Vec) -> None:
    """Add expected true values of eight rows, with weights r, to the moments."""
    D = key.n_columns
    for j in range(D):
        y = at["y"].load(j * LANES) - of_k.splat(1 + j)
        variance, noise = of_k.splat(1 + D + j), at["noise"].load(j * LANES)
        gain = variance / (variance + noise)
        step = gain * y
        weighted = r * step
        first, second = sums.at((1 + j) * LANES), sums.at((1 + D + j) * LANES)
        first.store(0, first.load() + weighted)
        spare = code.fma(r, gain * noise, second.load())
        second.store(0, code.fma(weighted, step, spare))
