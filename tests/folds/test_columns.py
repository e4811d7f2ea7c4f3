"""The first pass: ranges, bad values, second moments and the frame they give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.blocks import Block, Frame
from gmm_dask.errors import DataError
from gmm_dask.folds.columns import NO_ROW, Columns, frame_from, provisional_frame
from tests.strategies import ask, clusters, frame_of, seeds


def test_statistics_equal_numpy():
    X, _ = clusters(5000, 3, 2)
    X[7, 1] = np.nan
    X[4200, 1] = np.inf
    X[4999, 2] = -np.inf
    stats = ask(Columns(Frame.identity(3)), X, [100, 4100])
    good = np.isfinite(X).all(axis=1)
    assert float(stats.n_rows) == good.sum() == 4997
    np.testing.assert_allclose(stats.first, X[good].sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(stats.second, X[good].T @ X[good], rtol=1e-12)
    finite = np.where(np.isfinite(X), X, np.nan)
    np.testing.assert_array_equal(stats.minimum, np.nanmin(finite, axis=0))
    np.testing.assert_array_equal(stats.maximum, np.nanmax(finite, axis=0))
    np.testing.assert_array_equal(stats.n_nan, [0, 1, 0])
    np.testing.assert_array_equal(stats.n_inf, [0, 1, 1])
    np.testing.assert_array_equal(stats.first_bad, [NO_ROW, 7, 4999])


def test_a_column_without_one_finite_value():
    X = np.full((10, 2), np.nan)
    X[:, 0] = 1.0
    stats = ask(Columns(Frame.identity(2)), X, [3])
    assert stats.minimum[1] == np.inf
    assert stats.n_nan[1] == 10
    assert float(stats.n_rows) == 0


@pytest.mark.parametrize("offset", [0.0, 1e8, -1e12])
@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e20])
def test_frame_has_the_moments_of_the_rows(offset, unit):
    X, _ = clusters(6000, 3, 2)
    rows = (X + offset) * unit
    near = (rows - rows[0]) / unit  # exact where the offset is large
    frame = frame_of(rows)
    np.testing.assert_array_equal(np.log2(frame.scale) % 1, 0)
    covariance = frame.scatter * np.outer(frame.scale / unit, frame.scale / unit)
    np.testing.assert_allclose(covariance, np.cov(near.T, bias=True), rtol=1e-10, atol=1e-10)
    assert ((frame.variance > 0.25) & (frame.variance < 4)).all()
    mean = (frame.backward(frame.centre) - rows[0]) / unit
    np.testing.assert_allclose(mean, near.mean(axis=0), atol=4e-16 * max(abs(offset), 1e4))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, power=st.integers(-490, 490))  # farther, squares leave float64: refused
def test_power_of_two_units_change_no_bit(seed, power):
    X = np.random.default_rng(seed).lognormal(size=(40, 2))
    plain, scaled = frame_of(X), frame_of(np.ldexp(X, power))
    np.testing.assert_array_equal(np.ldexp(plain.scale, power), scaled.scale)
    np.testing.assert_array_equal(np.ldexp(plain.shift, power), scaled.shift)
    np.testing.assert_array_equal(plain.scatter, scaled.scatter)


def test_the_first_rows_may_mislead():
    # the head is near 0 with spread 1, everything else at 1e9: cancellation, then one more pass
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(10, 1)), 1e9 + rng.normal(size=(5000, 1))])
    stats = ask(Columns(provisional_frame(X[:10])), X)
    frame, exact = frame_from(stats, provisional_frame(X[:10]))
    if not exact:
        stats = ask(Columns(frame), X)
        frame, exact = frame_from(stats, frame)
    assert exact
    assert frame.scatter[0, 0] * frame.scale[0] ** 2 == pytest.approx(X.var(), rel=1e-9)


@pytest.mark.parametrize("outlier", [1e100, 1e140, 1e151])
def test_an_outlier_whose_square_overflows(outlier):
    X = np.random.default_rng(0).normal(size=(6000, 2))
    X[5000, 0] = outlier  # beyond the rows that the provisional frame is made from
    frame = frame_of(X)
    assert np.isfinite(frame.scatter).all()
    assert frame.scale[0] == pytest.approx(outlier / np.sqrt(6000), rel=1)
    assert frame.scatter[1, 1] * frame.scale[1] ** 2 == pytest.approx(X[:, 1].var(), rel=1e-9)


def test_the_bounds_of_float64():
    X = np.array([[-8e307], [8e307], [0.0], [1e307]])
    with pytest.raises(DataError, match=r"float64 cannot hold: x0 from -8e\+307 to 8e\+307"):
        frame_of(X)


def test_a_constant_column_stays_at_zero_variance():
    X = np.random.default_rng(0).normal(size=(50, 2))
    X[:, 1] = 0.1  # not a binary fraction: its computed variance would be rounding noise
    frame = frame_of(X)
    assert frame.variance[1] == 0.0
    assert frame.scatter[0, 1] == 0.0
    assert frame.scale[1] > 0


def test_float32_rows_are_subtracted_in_float64():
    rng = np.random.default_rng(0)
    X = (1e6 + rng.normal(size=(8000, 1))).astype(np.float32)
    frame = frame_of(X)
    exact = X.astype(np.float64)
    assert frame.scatter[0, 0] * frame.scale[0] ** 2 == pytest.approx(exact.var(), rel=1e-9)


def test_absolute_rows_survive_a_block_offset():
    X = np.ones((5, 1))
    X[3] = np.nan
    fold = Columns(Frame.identity(1))
    assert fold.measure(fold.prepare(), Block(X, 10**12)).first_bad[0] == 10**12 + 3
