"""von Mises densities, concentrations and M-steps, against scipy and series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats

from gmm_dask.families.von_mises import (
    TURN,
    VonMises,
    concentration,
    one_minus_ratio,
    ratio_slope,
    wrapped,
)
from gmm_dask.kernels import angles


def family(C=1, least=1e-12, added=0.0, period=TURN):
    ones = np.ones(C)
    return VonMises(period * ones, least * ones, added * ones)


def log_prob(a, mu, kappa):
    rows = angles.halves(np.atleast_1d(a)[:, None])
    return angles.log_prob(rows, np.array([[float(mu)]]), np.array([[float(kappa)]]))[:, 0]


@pytest.mark.parametrize("kappa", 10.0 ** np.arange(-8, 9))
def test_densities_are_those_of_scipy(kappa):
    x = np.linspace(-3, 3, 13) * min(1.0, kappa**-0.5)
    np.testing.assert_allclose(log_prob(x, 0.0, kappa), stats.vonmises.logpdf(x, kappa), atol=1e-13)


@pytest.mark.parametrize("mu", [0.0, 0.7, 3.0, 6.2])
def test_nothing_is_lost_where_differences_are_small(mu):
    # at kappa 1e8 a component is 1e-4 radians wide: the normal density, with its next term
    d = np.linspace(-3e-4, 3e-4, 7)
    wanted = -0.5e8 * d**2 + 1e8 * d**4 / 24 + 0.5 * np.log(1e8 / TURN) - 1 / 8e8
    # rounding of the angle itself, 4e-16 of 6 radians, costs kappa d 4e-16 = 1e-11
    np.testing.assert_allclose(log_prob(mu + d, mu, 1e8), wanted, atol=2e-11)


def test_the_ratio_of_bessel_functions_keeps_its_digits():
    kappa = 10.0 ** np.linspace(-6, 2.8, 40)
    exact = 1 - special.ive(1, kappa) / special.ive(0, kappa)
    np.testing.assert_allclose(one_minus_ratio(kappa), exact, rtol=1e-12)
    far = 10.0 ** np.arange(4, 13)
    series = 1 / (2 * far) + 1 / (8 * far**2) + 1 / (8 * far**3)
    np.testing.assert_allclose(one_minus_ratio(far), series, rtol=1e-11)


def test_the_slope_is_the_derivative():
    kappa = np.array([1e-3, 0.1, 1.0, 30.0, 3e3, 3e4, 1e6])
    h = 1e-4 * kappa
    slope = (one_minus_ratio(kappa - h) - one_minus_ratio(kappa + h)) / (2 * h)
    np.testing.assert_allclose(ratio_slope(kappa), slope, rtol=3e-6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.floats(-6, 12))
def test_concentrations_come_back(exponent):
    kappa = 10.0**exponent
    found = float(concentration(np.array([one_minus_ratio(np.array(kappa))]))[0])
    # 1 - A is rounded at 1e-16 of 1 below kappa = 1, and by cancellation at 2e-16 kappa up to 1e4
    assert found == pytest.approx(kappa, rel=1e-11 + 3e-16 / kappa)


def test_the_ends_of_concentration():
    found = concentration(np.array([0.0, 1.0, 1e-200, 1e-20]))
    assert found[0] == np.inf
    assert found[1] == 0.0
    assert np.isfinite(found[2])
    assert found[3] == pytest.approx(5e19, rel=1e-9)


def m_step(a, weight, mu=0.0, kappa=1.0, **words):
    rows = angles.halves(a[:, None])
    start = np.array([[mu]]), np.array([[kappa]])
    sums = angles.moments(rows, start[0], weight[:, None])
    found = family(**words).maximize(*start, sums, 0.0)
    return float(found[0][0, 0]), float(found[1][0, 0])


@pytest.mark.parametrize(("mu", "kappa"), [(0.02, 0.5), (6.27, 4.0), (3.0, 900.0)])
def test_the_m_step_is_the_maximum(mu, kappa):
    rng = np.random.default_rng(3)
    a, weight = rng.vonmises(mu, kappa, 300), rng.random(300)

    def loss(point):
        return -weight @ stats.vonmises.logpdf(a, np.exp(point[1]), loc=point[0])

    best = optimize.minimize(loss, [mu, np.log(kappa)], method="BFGS", options={"gtol": 1e-9})
    found = m_step(a, weight, mu=mu + 1.0, kappa=2.0)
    assert np.sin(found[0] - best.x[0]) == pytest.approx(0.0, abs=1e-6)
    assert found[1] == pytest.approx(np.exp(best.x[1]), rel=1e-5)


def test_the_mean_of_359_and_1_degrees_is_0():
    mu, kappa = m_step(np.deg2rad([359.0, 1.0]), np.ones(2), mu=3.0)
    assert np.sin(mu) == pytest.approx(0.0, abs=1e-15)
    assert 0 <= mu < TURN
    # 1 - R = 1 - cos(1 degree); kappa = 1 / (2 (1 - R)) to first order
    assert kappa == pytest.approx(0.5 / (1 - np.cos(np.deg2rad(1.0))), rel=1e-3)


def test_wherever_moments_were_taken_the_m_step_is_the_same():
    rng = np.random.default_rng(0)
    a = rng.vonmises(2.0, 1e6, 500)
    answers = [m_step(a, np.ones(500), mu=mu) for mu in (2.0, 2.0003, 1.0, 5.0)]
    # far away 1 - R is what is left of numbers of order one: 1e-16 of them, 5e-7 of it
    for mu, kappa in answers[1:]:
        assert mu == pytest.approx(answers[0][0], abs=1e-14)
        assert kappa == pytest.approx(answers[0][1], rel=1e-8)


def test_no_component_collapses_on_one_direction():
    a = np.full(50, 1.25)
    assert m_step(a, np.ones(50), mu=1.0, least=1e-6)[1] == pytest.approx(1e6)
    assert m_step(a, np.ones(50), mu=1.0, added=0.25)[1] == pytest.approx(4.0)


def test_angles_in_any_unit_and_many_turns_away():
    vm = VonMises(np.array([360.0]), np.array([1e-6]), np.zeros(1))
    values = np.array([[10.0], [370.0], [-350.0], [360e9 + 10.0], [np.nan]])
    found = vm.radians(values)[:, 0]
    np.testing.assert_allclose(found[:4], np.deg2rad(10.0), rtol=1e-14)
    assert np.isnan(found[4])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(-1e6, 1e6), st.sampled_from([TURN, 360.0, 24.0, 1.0, 0.1]))
def test_wrapped_angles_are_below_their_period_in_any_unit(angle, period):
    found = wrapped(np.array([angle, 0.0, TURN, -1e-17]))
    assert ((found >= 0) & (found * (period / TURN) < period)).all()


def test_draws_have_the_moments_of_the_family():
    labels = np.repeat([0, 1], 20000)
    means, kappa = np.array([[0.1], [4.0]]), np.array([[2.0], [50.0]])
    rows = family().sample(means, kappa, labels, np.random.default_rng(1))
    assert ((rows >= 0) & (rows < TURN)).all()
    for k in range(2):
        z = np.exp(1j * rows[labels == k, 0]).mean()
        # standard error of a mean direction: 1 / sqrt(n kappa A), 0.006 and 0.001
        assert np.angle(z * np.exp(-1j * means[k, 0])) == pytest.approx(0.0, abs=0.025)
        assert 1 - abs(z) == pytest.approx(float(one_minus_ratio(kappa[k, 0])), rel=0.04)
