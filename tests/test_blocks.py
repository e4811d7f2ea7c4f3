"""Blocks, array sources and frames."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.blocks import ArraySource, Block, Frame, Source, power_of_two
from gmm_dask.errors import DataError
from tests.strategies import clusters, frame_of


def test_rows_are_absolute():
    block = Block(np.zeros((3, 2)), 10**10)
    np.testing.assert_array_equal(block.row, [10**10, 10**10 + 1, 10**10 + 2])
    assert len(block) == 3


def test_array_source_reads_by_position():
    X = np.arange(20.0).reshape(10, 2)
    source = ArraySource(X)
    assert isinstance(source, Source)
    assert (source.n_rows, source.columns, source.dtype) == (10, ("x0", "x1"), np.float64)
    block = source.read(3, 5)
    np.testing.assert_array_equal(block.values, X[3:5])
    assert block.start == 3
    assert np.shares_memory(block.values, X)


def test_fortran_order_is_read_as_rows():
    X = np.asfortranarray(np.arange(20.0).reshape(10, 2))
    assert ArraySource(X).read(2, 4).values.flags.c_contiguous


def test_the_fingerprint_is_of_contents():
    X = np.arange(6.0).reshape(3, 2)
    base = ArraySource(X).fingerprint
    assert ArraySource(X.copy()).fingerprint == base
    changed = X.copy()
    changed[2, 1] += 1e-12
    for other in (
        ArraySource(changed),
        ArraySource(X.astype(np.float32)),
        ArraySource(X, ("a", "b")),
        ArraySource(X.T.copy()),
    ):
        assert other.fingerprint != base
    assert pickle.loads(pickle.dumps(ArraySource(X))).fingerprint == base


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 2, 2)), np.zeros((3, 2), int)])
def test_other_arrays_are_refused(bad):
    with pytest.raises(DataError, match=r"float32 or float64 array .*\(N, D\)"):
        ArraySource(bad)


def test_forward_and_backward_are_inverse():
    X, _ = clusters(100, 3, 2)
    frame = frame_of(X * 1e5 + 7e6)
    np.testing.assert_allclose(frame.backward(frame.forward(X)), X, atol=1e-8)
    rows = frame.forward(np.ones((2, 3), np.float32))
    assert rows.dtype == np.float64


def test_shared_frame_has_one_scale_and_the_same_covariance():
    X, _ = clusters(500, 3, 2)
    X *= np.array([1e-5, 1.0, 300.0])
    frame = frame_of(X)
    shared = frame.shared()
    assert len(set(shared.scale)) == 1
    a = frame.scatter * np.outer(frame.scale, frame.scale)
    b = shared.scatter * np.outer(shared.scale, shared.scale)
    np.testing.assert_array_equal(a, b)  # powers of two lose no bit
    np.testing.assert_array_equal(frame.backward(frame.centre), shared.backward(shared.centre))
    mean_variance = shared.variance.mean()
    assert 0.25 < mean_variance < 4


def test_log_scale_is_the_log_volume():
    frame = Frame(np.zeros(2), np.array([4.0, 0.5]), np.eye(2), np.zeros(2))
    assert frame.log_scale == pytest.approx(np.log(2.0))
    assert Frame.identity(3).log_scale == 0.0


@given(st.floats(1e-300, 1e300))
def test_power_of_two_is_the_nearest_in_ratio(value):
    found = power_of_two(value)
    assert np.log2(found) % 1 == 0
    assert 2**-0.5000001 <= value / found <= 2**0.5000001


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_power_of_two_of_nothing_is_one(value):
    assert power_of_two(value) == 1.0


@pytest.mark.parametrize("value", [5e-324, 2.3e-308, 1.7e308])
def test_power_of_two_at_the_ends_of_float64(value):
    found = power_of_two(value)
    assert 0 < found < np.inf
