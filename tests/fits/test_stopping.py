"""A slow slope is not mistaken for the end."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.fits.stopping import has_converged, passes_left, remaining_gain


def geometric(first: float, rate: float, n: int, end: float = -3.0) -> list[float]:
    """Return n bounds that approach `end` with gains shrinking by `rate`."""
    left = first / (1 - rate) * rate ** np.arange(n)
    return list(end - left)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99, 0.999])
def test_remaining_gain_of_a_linear_sequence_is_exact(rate):
    bounds = geometric(1e-3, rate, 30)
    assert remaining_gain(bounds) == pytest.approx(-3.0 - bounds[-1], rel=1e-6)


@pytest.mark.parametrize("rate", [0.9, 0.99, 0.999])
def test_a_slow_sequence_stops_only_within_tol_of_its_end(rate):
    tol = 1e-4
    bounds = geometric(tol / 2, rate, 20000)  # every single gain is below tol from the start
    stop = next(n for n in range(1, 20001) if has_converged(bounds[:n], tol))
    assert -3.0 - bounds[stop - 1] <= tol * (1 + 1e-6)
    assert stop > 3
    before = -3.0 - bounds[stop - 2]
    assert before > tol * 0.99  # and not later than needed


def test_growing_gains_go_on():
    assert not has_converged([-3.0, -2.99999, -2.99997], 1e-3)  # leaving a saddle
    assert remaining_gain([-3.0, -2.99999, -2.99997]) == float("inf")


def test_both_gains_must_be_small():
    assert not has_converged([-5.0, -3.0, -2.9], 1e-3)
    assert has_converged([-3.0, -2.9999, -2.99989999], 1e-3)


def test_too_few_bounds_are_no_end():
    assert not has_converged([], 1.0)
    assert not has_converged([-3.0], 1.0)
    assert not has_converged([-3.0, -2.9999999], 1.0)


def test_rounding_noise_ends_even_at_tol_zero():
    assert has_converged([-3.0, -3.0], 0.0)
    assert has_converged([-3.0, -3.0 - 1e-15], 0.0)
    assert not has_converged([-3.0, -3.0 + 1e-9, -3.0 + 1.5e-9], 0.0)


def test_a_fall_is_a_gain_of_its_size():
    assert has_converged([-3.0, -3.00001], 1e-3)
    assert not has_converged([-3.0, -3.1], 1e-3)


def test_bounds_that_are_not_numbers_never_converge():
    assert not has_converged([-3.0, float("nan")], 1e-3)
    assert not has_converged([float("-inf"), -3.0], 1e-3)


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.99])
def test_passes_left_is_what_it_takes(rate):
    tol = 1e-7
    bounds = geometric(1e-3, rate, 5000)
    stop = next(n for n in range(1, 5001) if has_converged(bounds[:n], tol))
    for seen in (n for n in (5, 10, 20) if n < stop):
        left = passes_left(bounds[:seen], tol, 10000)
        assert left is not None
        assert left == pytest.approx(stop - seen, abs=2)


def test_passes_left_knows_its_limits():
    assert passes_left([-3.0, -2.0], 1e-3, 100) is None
    assert passes_left([-3.0, -2.0, -1.0, 0.0], 1e-3, 100) is None
    assert passes_left(geometric(1e-3, 0.99, 10), 1e-9, 12) == 2
