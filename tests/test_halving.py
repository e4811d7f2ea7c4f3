"""Who goes on and who is dropped, from the bounds alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.blocks import Frame
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.em import EM
from gmm_dask.fits.restart import Restart
from gmm_dask.halving import groups_of, halving, is_milestone, promise, ranked
from gmm_dask.mixture import Mixture


def fit_of(index: int, bounds: tuple[float, ...], K: int = 2, outcome: Outcome | None = None):
    family = Gaussian("diag", RelativeFloor(np.ones(1)))
    params = GaussianParams(np.arange(K, dtype=float)[:, None], np.ones((K, 1)))
    mixture = Mixture(family, params, np.full((1, K), 1 / K), Frame.identity(1))
    em = EM(mixture, 1e-6, 100, lower_bounds=bounds, outcome=outcome)
    return Restart(index, "kmeans", 1e-6, 100, em=em)


def climbing(end: float, passes: int, rate: float = 0.5) -> tuple[float, ...]:
    """Bounds that approach `end` geometrically."""
    return tuple(end - rate**i for i in range(passes))


def test_half_of_a_group_goes_on_at_ten_twenty_forty():
    ends = (-3.0, -1.0, -2.0, -5.0, -4.0)
    fits = tuple(fit_of(i, climbing(end, 10)) for i, end in enumerate(ends))
    after = halving(1000)(fits)
    assert [fit.outcome for fit in after] == [None, None, None, Outcome.DROPPED, Outcome.DROPPED]
    record = after[3].dropped
    assert record is not None
    assert record.rows == 1000
    assert record.n_iter == 10
    assert record.behind == pytest.approx(4.0)
    assert record.leader == 1
    later = tuple(fit_of(i, climbing(end, 11)) for i, end in enumerate(ends))
    assert all(fit.outcome is None for fit in halving(1000)(later))


def test_milestones_double():
    assert [age for age in range(200) if is_milestone(age)] == [10, 20, 40, 80, 160]


def test_one_of_each_group_always_stays():
    fits = (fit_of(0, climbing(-1.0, 160)), fit_of(0, climbing(-9.0, 160), K=3))
    assert all(fit.outcome is None for fit in halving(10)(fits))


def test_groups_are_by_components():
    fits = (fit_of(0, (-1.0,)), fit_of(0, (-1.0,), K=3), fit_of(1, (-2.0,)))
    assert groups_of(fits) == [[0, 2], [1]]


def test_who_climbs_fast_may_pass_who_stands_still():
    """The slow climber is below now, but Aitken's process sees it above."""
    still = fit_of(0, (-2.0, -1.5, -1.4999999, -1.4999998))
    rising = fit_of(1, (-3.0, -2.5, -2.05, -1.645))
    assert rising.lower_bound < still.lower_bound < promise(rising)
    assert ranked((still, rising), [0, 1]) == [1, 0]


def test_promise_is_not_boundless():
    """Gains that do not shrink promise no more than as many passes again would bring."""
    fit = fit_of(0, tuple(-10.0 + 0.1 * i for i in range(5)))
    assert promise(fit) == pytest.approx(fit.lower_bound + 5 * 0.1)


def test_ended_fits_compete_but_are_not_ended_again():
    done = replace(fit_of(0, climbing(-9.0, 10)), em=None)
    converged = fit_of(1, climbing(-8.0, 6), outcome=Outcome.CONVERGED)
    fits = (fit_of(0, climbing(-1.0, 10)), converged, fit_of(2, climbing(-7.0, 10)))
    after = halving(5)(fits)
    assert [fit.outcome for fit in after] == [None, Outcome.CONVERGED, None]
    assert promise(done) == float("-inf")


def test_degenerate_fits_come_last_however_high_they_score():
    broken = fit_of(0, (50.0,), outcome=Outcome.DEGENERATE)
    fits = (broken, fit_of(1, (-5.0,)), fit_of(2, (-4.0,)))
    assert ranked(fits, [0, 1, 2]) == [2, 1, 0]
