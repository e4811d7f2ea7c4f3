"""Information, Bayes error and divergence of pairs against scipy's quadrature and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from gmm_dask import ConfigError, fisher_information
from gmm_dask.diagnostics.bayes_error import bayes_error, divergence
from gmm_dask.diagnostics.pair import Line, Pair
from gmm_dask.diagnostics.pair_information import (
    efficient,
    rows_for_separation,
    separation_information,
)


def integral(function, reach: float = 30.0) -> float:
    return quad(function, -reach, reach, limit=1000, epsabs=1e-13, epsrel=1e-11)[0]


@pytest.mark.parametrize("theta", [0.05, 0.3, 1.0, 4.0])
def test_known_width_is_the_integral_of_the_squared_score(theta):
    """score = x tanh(theta x) - theta, by adaptive quadrature."""

    def squared(x):
        density = 0.5 * (norm.pdf(x, theta) + norm.pdf(x, -theta))
        return density * (x * np.tanh(theta * x) - theta) ** 2

    found = float(fisher_information(theta, sigma_known=True))
    assert found == pytest.approx(integral(squared), rel=1e-8)


def test_limits_for_near_and_far_components():
    """2 theta^2 - 4 theta^4 with the width known, 8/3 theta^6 without; 1 for far ones.

    The next terms are of relative order theta^2 (4.0 and 3.9 of it, by 30-digit quadrature).
    """
    theta = np.array([0.005, 0.01])
    known = fisher_information(theta, sigma_known=True)
    np.testing.assert_allclose(known, 2 * theta**2 - 4 * theta**4, rtol=20 * 0.01**4)
    unknown = fisher_information(theta)
    np.testing.assert_allclose(unknown, 8 / 3 * theta**6, rtol=5 * 0.01**2)
    np.testing.assert_allclose(fisher_information([12.0, -12.0]), 1.0, rtol=1e-9)
    assert fisher_information(0.0).shape == ()
    with pytest.raises(ConfigError, match="finite"):
        fisher_information(np.nan)


def test_published_ratios_to_the_leading_terms():
    """By 30-digit quadrature: how far both leading terms overstate the information."""
    theta = np.array([0.01, 0.1, 0.3, 0.5, 1.0])
    ratio = fisher_information(theta, sigma_known=True) / (2 * theta**2)
    np.testing.assert_allclose(ratio, [0.9998, 0.981, 0.853, 0.687, 0.367], atol=6e-4)
    ratio = fisher_information(theta[:4]) / (8 / 3 * theta[:4] ** 6)
    np.testing.assert_allclose(ratio, [0.9996, 0.962, 0.75, 0.53], atol=3e-3)


# by quadrature and checked by simulation: theta, smaller weight, rows for three standard errors
ROWS = [
    (0.25, 0.5, 2.73e5),
    (0.25, 0.4, 8.9e6),
    (0.25, 0.2, 1.6e8),
    (0.5, 0.2, 2.3e5),
    (1.0, 0.5, 21),
    (1.0, 0.2, 513),
]


@pytest.mark.parametrize(("theta", "weight", "rows"), ROWS)
def test_rows_needed_with_everything_unknown(theta, weight, rows):
    line = Line(np.array([weight, 1 - weight]), np.array([-theta, theta]), np.ones(2))
    assert rows_for_separation(line, common_width=False)[1] == pytest.approx(rows, rel=0.02)
    assert rows_for_separation(line, common_width=True)[1] < rows * 1.01


def test_information_matrix_by_another_rule_and_differences():
    """Unequal weights and widths: scores by finite differences, integrals by the trapezoid rule.

    That rule is exact to rounding for smooth functions that vanish at both ends.
    """
    line = Line(np.array([0.3, 0.7]), np.array([-0.8, 1.1]), np.array([0.6, 1.3]))
    x, step = np.linspace(-15, 15, 6001, retstep=True)

    def log_density(q):
        theta, centre, odds = q[:3]
        p, s = 1 / (1 + np.exp(-odds)), np.exp(0.5 * np.asarray(q[3:]))
        first = np.log1p(-p) + norm.logpdf(x, centre - theta, s[0])
        return np.logaddexp(first, np.log(p) + norm.logpdf(x, centre + theta, s[1]))

    at = np.array([0.95, 0.15, np.log(7 / 3), 2 * np.log(0.6), 2 * np.log(1.3)])
    moves = 1e-4 * np.eye(5)
    slopes = np.array([(log_density(at + h) - log_density(at - h)) / 2e-4 for h in moves])
    information = (slopes * np.exp(log_density(at)) * step) @ slopes.T
    expected = 1 / np.linalg.inv(information)[0, 0]
    # central differences of 1e-4: 1e-8 of a score
    assert separation_information(line, common_width=False) == pytest.approx(expected, rel=1e-5)


def test_efficient_information_is_a_schur_complement():
    rng = np.random.default_rng(0)
    A, mass = rng.normal(size=(50, 4)), rng.random(50)
    whole = (A * mass[:, None]).T @ A
    expected = 1 / np.linalg.inv(whole)[0, 0]
    assert efficient(A[:, 0], A[:, 1:], mass) == pytest.approx(expected, rel=1e-12)
    assert efficient(A[:, 0], A[:, [0]], mass) == 0.0


def pair(seed: int, D: int, *, equal: bool = False, apart: float = 1.0) -> Pair:
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(2, D, D)) / np.sqrt(D)
    S = half @ half.transpose(0, 2, 1) + 0.3 * np.eye(D)
    if equal:
        S[1] = S[0]
    return Pair(np.array([0.3, 0.7]), apart * rng.normal(size=(2, D)), S)


@pytest.mark.parametrize("seed", range(4))
def test_bayes_error_on_a_line_is_the_integral_of_the_smaller_density(seed):
    found = pair(seed, 1)
    value = bayes_error(found)
    joint = [(p, norm(m[0], np.sqrt(S[0, 0]))) for p, m, S in zip(*found, strict=True)]
    expected = integral(lambda x: min(p * density.pdf(x) for p, density in joint), 12.0)
    assert value.value == pytest.approx(expected, rel=1e-5)  # quad meets kinks
    assert value.error == 0.0


def test_a_narrow_light_component_that_never_wins():
    """log(w0 f0) < log(w1 f1) everywhere: all its rows are labelled wrongly."""
    one = Pair(np.array([0.1, 0.9]), np.zeros((2, 1)), np.array([[[0.9]], [[1.0]]]))
    assert bayes_error(one).value == 0.1


@pytest.mark.parametrize(("seed", "equal"), [(0, True), (1, True), (2, False), (3, False)])
def test_bayes_error_in_three_columns_by_simulation(seed, equal):
    found = pair(seed, 3, equal=equal)
    value = bayes_error(found)
    rng = np.random.default_rng(seed)
    labels = rng.choice(2, 100_000, p=found.weights)
    z = rng.normal(size=(100_000, 3))
    lower = np.linalg.cholesky(found.covariances)
    x = found.means[labels] + np.einsum("nde,ne->nd", lower[labels], z)
    joint = np.stack(
        [np.log(p) + multivariate_normal(m, S).logpdf(x) for p, m, S in zip(*found, strict=True)]
    )
    wrong = joint.argmax(axis=0) != labels
    error = np.hypot(wrong.std() / np.sqrt(len(x)), value.error)
    assert value.value == pytest.approx(wrong.mean(), abs=4 * error)
    assert value.error < 0.01 * value.value
    assert (value.error == 0) == equal


def test_tiny_bayes_errors_are_as_well_known():
    """Nearly equal covariances, far apart: the closed form for equal ones is near."""
    one = pair(0, 3, equal=True, apart=4.0)
    other = one._replace(covariances=one.covariances * np.array([1.0, 1.0 + 1e-9])[:, None, None])
    exact, simulated = bayes_error(one), bayes_error(other)
    assert simulated.value == pytest.approx(exact.value, abs=4 * simulated.error)
    assert simulated.error < 0.02 * exact.value
    assert exact.value < 1e-3


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.integers(0, 1000))
def test_nothing_changes_under_affine_maps(seed):
    one = pair(seed, 2)
    A = np.random.default_rng(seed + 1).normal(size=(2, 2)) + 2 * np.eye(2)
    other = Pair(one.weights, one.means @ A.T + 3, A @ one.covariances @ A.T)
    lines = [p.along(p.discriminant()) for p in (one, other)]
    assert separation_information(lines[0], common_width=False) == pytest.approx(
        separation_information(lines[1], common_width=False), rel=1e-6
    )
    errors = [bayes_error(p) for p in (one, other)]
    spread = 6 * np.hypot(errors[0].error, errors[1].error)
    assert errors[0].value == pytest.approx(errors[1].value, abs=spread)


def test_divergence_of_equal_covariances_is_that_along_a_line():
    """In any number of columns; on the line by adaptive quadrature."""
    many = pair(0, 4, equal=True)
    distance = np.sqrt((many.means[1] - many.means[0]) @ many.discriminant())
    means = np.array([0.0, distance])
    centre = many.weights @ means
    width = np.sqrt(1 + many.weights @ (means - centre) ** 2)

    def lost(x):
        density = many.weights @ norm.pdf(x, means)
        return density * (np.log(density) - norm.logpdf(x, centre, width))

    found = divergence(many)
    assert found.exact
    assert found.value == pytest.approx(integral(lost, 15.0), rel=1e-8)


@pytest.mark.parametrize("seed", [2, 3])
def test_divergence_of_unequal_covariances_is_a_lower_bound(seed):
    one = pair(seed, 3)
    rng = np.random.default_rng(seed + 10)
    labels = rng.choice(2, 200_000, p=one.weights)
    lower = np.linalg.cholesky(one.covariances)
    x = one.means[labels] + np.einsum("nde,ne->nd", lower[labels], rng.normal(size=(200_000, 3)))
    parts = [np.log(p) + multivariate_normal(m, S).logpdf(x) for p, m, S in zip(*one, strict=True)]
    off = np.logaddexp(*parts) - multivariate_normal(*one.merged).logpdf(x)
    error = off.std() / np.sqrt(len(x))
    found = divergence(one)
    assert not found.exact
    assert 0.8 * off.mean() < found.value < off.mean() + 3 * error


def test_equal_means_and_other_widths_are_far_apart():
    """Standard deviations 1 and 3: twice the log-likelihood lost is 1390 at 10,000 rows."""
    one = Pair(np.array([0.5, 0.5]), np.zeros((2, 1)), np.array([[[1.0]], [[9.0]]]))
    assert 2e4 * divergence(one).value == pytest.approx(1390, rel=0.01)
