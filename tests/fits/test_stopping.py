"""A slow slope is not mistaken for the end."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.fits.stopping import (
    has_converged,
    largest_gap,
    passes_left,
    remaining,
    remaining_gain,
)


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


def test_the_score_must_be_small_too():
    settled = [-3.0, -2.9999, -2.99989999]
    assert has_converged(settled, 1e-3, score_norm=0.9e-3)
    assert not has_converged(settled, 1e-3, score_norm=1.1e-3)
    assert has_converged([-3.0, -3.0], 0.0, score_norm=1e-14)  # rounding ends it all the same


@pytest.mark.parametrize("rates", [(0.999, 0.5, 0.0), (0.9, 0.9, 0.9), (0.3, 0.2, 0.1)])
def test_the_gap_lies_between_half_the_score_norm_and_its_bound(rates):
    """A quadratic in the coordinates where the information of the complete data is one."""
    slopes = 1 - np.array(rates)
    error = np.random.default_rng(0).normal(size=3)
    gap = 0.5 * error @ (slopes * error)
    score_norm = float((slopes * error) @ (slopes * error))
    assert 0.5 * score_norm <= gap * (1 + 1e-12)
    assert gap <= largest_gap(score_norm, max(rates)) * (1 + 1e-12)
    assert largest_gap(score_norm, 1.0) == largest_gap(score_norm, 1.1) == np.inf


def test_remaining_gain_of_a_geometric_sequence():
    rate = 0.9
    bounds = [-((rate**n) ** 2) for n in range(3)]
    assert remaining(bounds[1] - bounds[0], rate) == pytest.approx(-bounds[1])
    assert remaining(1e-5, 1.0) == np.inf
    assert remaining(0.0, 1.0) == 0.0
