"""The generator of vector code: its notation, its exponential, its lists and transposes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.kernels.native.exponential import exponential
from gmm_dask.kernels.native.flat import transposed
from gmm_dask.kernels.native.lists import list_rows
from gmm_dask.kernels.native.moments import groups, sums_of
from gmm_dask.kernels.native.multiply import column_blocks, panel_size, panels
from gmm_dask.kernels.native.real import DOUBLE, REALS, SINGLE
from gmm_dask.kernels.native.values import LANES
from tests.kernels.machine import run

DTYPES = {DOUBLE: np.float64, SINGLE: np.float32}


def exponentials(x):
    out = np.empty_like(x)
    real = SINGLE if x.dtype == np.float32 else DOUBLE

    def build(code, source, target):
        def some(i, _):
            target.store(i, exponential(code, source.load(i)))

        code.loop(len(x), some, step=real.lanes)

    run(build, x, out, real=real)
    return out


def test_exponential_is_within_one_unit_in_the_last_place():
    rng = np.random.default_rng(0)
    x = -np.concatenate(
        [rng.uniform(0, 1, 40000), rng.uniform(0, 708, 80000), 10.0 ** -rng.uniform(1, 300, 8000)]
    )
    exact = np.exp(x.astype(np.longdouble))
    if np.finfo(np.longdouble).eps == np.finfo(float).eps:
        pytest.skip("this platform has no wider type to compare with")
    error = np.abs(exponentials(x).astype(np.longdouble) - exact) / exact
    assert float(error.max()) < 2.3e-16


def test_exponential_of_float32_is_within_a_unit_and_a_half_in_the_last_place():
    rng = np.random.default_rng(0)
    x = -np.concatenate(
        [rng.uniform(0, 1, 40000), rng.uniform(0, 87, 80000), 10.0 ** -rng.uniform(1, 30, 8000)]
    ).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    error = np.abs(exponentials(x).astype(np.float64) - exact) / exact
    assert float(error.max()) < 1.5 * 2.0**-23


def test_exponential_of_float32_at_its_ends():
    ends = [0.0, -0.0, -87.0, -88.0, -104.0, -1e30, -np.inf, np.nan]
    x = np.array(ends * 2, dtype=np.float32)
    found = exponentials(x)[:8]
    np.testing.assert_array_equal(found[:2], 1.0)
    np.testing.assert_allclose(found[2], np.exp(-87.0), rtol=1e-6)
    np.testing.assert_array_equal(found[3:], 0.0)
    near = exponentials(-np.linspace(87.0, 88.0, 800, dtype=np.float32))
    assert ((near == 0) | (near >= 2.0**-126.51)).all()


def test_exponential_at_its_ends():
    x = np.array([0.0, -0.0, -708.0, -709.0, -745.0, -1e300, -np.inf, np.nan])
    found = exponentials(x)
    np.testing.assert_array_equal(found[:2], 1.0)
    np.testing.assert_allclose(found[2], np.exp(-708.0), rtol=1e-13)
    np.testing.assert_array_equal(found[3:], 0.0)
    near = exponentials(-np.linspace(708.0, 709.0, 800))
    assert ((near == 0) | (near >= 2.0**-1022.51)).all()


@pytest.mark.parametrize("real", REALS.values(), ids=REALS)
def test_transpose(real):
    n = real.lanes
    rows = np.arange(n * n, dtype=DTYPES[real])
    out = np.empty_like(rows)

    def build(code, source, target):
        for c, column in enumerate(transposed([source.load(n * r) for r in range(n)])):
            target.store(n * c, column)

    run(build, rows, out, real=real)
    np.testing.assert_array_equal(out.reshape(n, n), rows.reshape(n, n).T)


@pytest.mark.parametrize("real", REALS.values(), ids=REALS)
@settings(deadline=None, max_examples=30)
@given(chosen=st.lists(st.booleans(), min_size=64, max_size=64))
def test_lists_hold_the_chosen_rows_in_order_and_copies_behind(real, chosen):
    values, lanes = np.array(chosen, DTYPES[real]), real.lanes
    index, count = np.full(64 + lanes, -1, dtype=np.int64), np.zeros(1, dtype=np.int64)

    def build(code, source, target, length):
        half = code.const(0.5)
        n, _ = list_rows(code, 64, lambda i, _: (source.load(i) > half, []), target)
        code.line(f"store i64 {n.name}, ptr {length.name}, align 8")

    run(build, values, index, count, real=real)
    expected = np.flatnonzero(values)
    assert count[0] == len(expected)
    np.testing.assert_array_equal(index[: len(expected)], expected)
    if len(expected):
        behind = index[len(expected) : len(expected) + -len(expected) % lanes]
        assert (behind == expected[0]).all()


def test_branches_and_loops():
    numbers, out = np.array([3, 0, 5], dtype=np.int64), np.zeros(24)

    def build(code, source, target):
        one = code.const(1.0)
        for place in range(3):
            n = source.number(place)

            def count(n=n, place=place):
                total = code.loop(n, lambda _, carry: [carry[0] + one], [code.const(0.0)])[0]
                target.store(8 * place, total)

            code.when(n.compare("sgt", 0), count)

    run(build, numbers, out)
    np.testing.assert_array_equal(out.reshape(3, 8)[:, 0], [3, 0, 5])


def test_masks_gathers_and_scatters():
    x = np.arange(24.0)
    out = np.zeros(40)

    def build(code, source, target):
        column = source.at(1).gather(3)
        big = column > code.const(10.0)
        target.store(0, big.where(column, -column))
        target.store(8, (~big & (column > code.const(4.0))).where(code.const(1.0), code.const(0.0)))
        target.at(16).scatter(3, code.first_lanes(code.constant(5)).where(column, code.const(0.0)))

    run(build, x, out)
    column = x[1::3]
    np.testing.assert_array_equal(out[:8], np.where(column > 10, column, -column))
    np.testing.assert_array_equal(out[8:16], (column <= 10) & (column > 4))
    np.testing.assert_array_equal(out[16:40:3], np.where(np.arange(8) < 5, column, 0))


@pytest.mark.parametrize("kind", ["double", "float"])
@pytest.mark.parametrize("n", range(1, LANES + 1))
def test_partial_loads_are_widened_and_padded(kind, n):
    x = np.linspace(1, 2, n).astype(np.float64 if kind == "double" else np.float32)
    out = np.full(8, np.nan)
    run(lambda code, source, target: target.store(0, source.load_as(kind, n)), x, out)
    np.testing.assert_array_equal(out, [*x.astype(np.float64), *[0.0] * (8 - n)])


def test_float32_are_widened_in_halves_and_rounded_on_the_way_back():
    x = np.linspace(1, 2, 16).astype(np.float32)
    wide, narrow = np.empty(16), np.empty(16, dtype=np.float32)

    def widen(code, source, target):
        for number, half in enumerate(source.load().widened()):
            target.store(8 * number, half)

    run(widen, x, wide, real=SINGLE)
    np.testing.assert_array_equal(wide, x.astype(np.float64))
    wide *= 1 + 1e-9

    def round_all(code, source, target):
        for first in (0, 8):
            target.at(first, "float").store_as("float", source.load(first))

    run(round_all, wide, narrow)
    np.testing.assert_array_equal(narrow, wide.astype(np.float32))


@pytest.mark.parametrize("D", [1, 5, 6, 7, 17, 24, 50])
def test_panels_hold_every_number_of_the_triangle_once(D):
    blocks = column_blocks(D)
    assert sorted(c for start, width in blocks for c in range(start, start + width)) == [*range(D)]
    numbers = np.zeros((1, D, D))
    upper = np.triu_indices(D)
    numbers[0][upper] = np.arange(1, len(upper[0]) + 1)
    packed = panels(numbers)[0]
    assert len(packed) == panel_size(D)
    assert sorted(packed) == sorted(numbers[0][upper])


@pytest.mark.parametrize("form", ["full", "diag", "spherical", "tied"])
@pytest.mark.parametrize("D", [1, 3, 16])
@pytest.mark.parametrize("registers", [3, 6, 28])
def test_groups_of_sums_keep_order_and_fit(form, D, registers):
    pairs = sums_of(form, D)
    found = groups(pairs, registers)
    assert [pair for group in found for pair in group] == pairs
    assert all(len(g) == 1 or len(g) + len({i for i, j in g if j > i}) <= registers for g in found)
