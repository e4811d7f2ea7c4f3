"""Types or a trait, groups and modes: against direct maximisation and known bounds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm

from gmm_dask import ErrorVariance, count_modes, error_variance, one_group_or_two, type_or_trait
from gmm_dask.diagnostics.trait import needed_freedom
from gmm_dask.errors import ConfigError, DataError
from tests.diagnostics.models import model_of

ERROR = 0.3


def data(seed: int, n: int = 3000, within: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre = np.where(rng.random(n) < 0.4, 0.0, 2.0)
    return centre + np.hypot(ERROR, within) * rng.normal(size=n)


def replicates(seed: int, nu: int, factor: float = 1.0) -> np.ndarray:
    return factor * ERROR * np.random.default_rng([seed, 2]).normal(size=(nu, 2))


def test_error_variance_is_that_within_groups():
    groups = [[1.0, 2.0, 4.0], [5.0, np.nan, 5.5], [7.0]]
    within = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in ([1, 2, 4], [5, 5.5]))
    assert error_variance(groups) == pytest.approx((within / 3, 3))
    assert error_variance(groups, averaged=4).variance == pytest.approx(within / 12)


def test_the_likelihood_ratio_is_the_joint_one():
    """By scipy's minimiser over all parameters of both hypotheses, the error's included."""
    x, error = data(0, 800, within=0.1), ErrorVariance(ERROR**2 * 1.1, 50.0)

    def minus(weight, means, variances, of_error) -> float:
        logs = np.log([weight, 1 - weight]) + norm.logpdf(x[:, None], means, np.sqrt(variances))
        replicated = -0.5 * 50 * (np.log(of_error) + error.variance / of_error)
        return -float(logsumexp(logs, axis=1).sum() + replicated)

    def null(p):
        v = np.exp(p[3])
        return minus(1 / (1 + np.exp(-p[0])), p[1:3], [v, v], v)

    def free(p):
        return minus(1 / (1 + np.exp(-p[0])), p[1:3], np.exp(p[3:5]), np.exp(p[5]))

    start = [-0.4, 0.0, 2.0]
    v = np.log(0.1)
    best = [
        minimize(f, [*start, *[v] * extra], method="BFGS", options={"gtol": 1e-6}).fun
        for f, extra in ((null, 1), (free, 3))
    ]
    found = type_or_trait(x, error)
    assert found.statistic == pytest.approx(2 * (best[0] - best[1]), abs=0.02)


@pytest.mark.parametrize(
    ("within", "nu", "factor", "verdict"),
    [
        (0.0, 900, 1.0, "types"),
        (0.3, 100, 1.0, "continuous within types"),
        (0.0, 60, 1.0, "undecided"),
        (0.0, 200, 1.6, "error overestimated"),
    ],
)
def test_verdicts(within, nu, factor, verdict):
    """Five sets of each: the full study is scripts/study_types."""
    found = [
        type_or_trait(data(s, within=within), replicates(s, nu, factor), n_init=1) for s in range(5)
    ]
    assert [f.verdict for f in found].count(verdict) >= 4
    assert [f.reasons[0].count("times the variance") for f in found] == [2] * 5
    json.dumps(found[0].to_dict(), allow_nan=False)
    if verdict == "continuous within types":
        assert np.allclose(found[0].between, within**2, rtol=0.5)


def test_degrees_of_freedom_needed():
    assert needed_freedom(0.0) == pytest.approx(344, abs=1)
    assert needed_freedom(0.0, power=0) == pytest.approx(108.7, abs=0.1)
    assert needed_freedom(1.0) == np.inf


def test_one_column_in_every_kind():
    import dask.array as da

    x, error = data(3), ErrorVariance(ERROR**2, 400.0)
    plain = type_or_trait(x, error, n_init=1)
    lazy = type_or_trait(da.from_array(x[:, None], chunks=(1000, 1)), error, n_init=1)
    assert lazy.statistic == pytest.approx(plain.statistic, abs=1e-6)
    flat = type_or_trait(da.from_array(x, chunks=1000), error, n_init=1)
    assert flat.verdict == plain.verdict


def test_equal_components_have_two_modes_beyond_two_deviations():
    for apart, modes in ((1.98, 1), (2.02, 2)):
        found = count_modes(model_of([0.5, 0.5], [0.0, apart], [1.0, 1.0]))
        assert found.modes == modes
        assert found.ashman == pytest.approx(apart)
    assert count_modes(model_of([0.99, 0.01], [0.0, 2.5], [1.0, 1.0])).modes == 1


def test_two_gaussians_can_have_three_modes():
    """Ray and Lindsay 2005, figure 1: long components that cross at their ends."""
    model = model_of([0.5, 0.5], [[0, 0], [1, 1]], [np.diag([1.0, 0.05]), np.diag([0.05, 1.0])])
    assert count_modes(model).modes == 3


def test_one_group_or_two():
    rng = np.random.default_rng(4)
    two = np.concatenate([rng.normal(size=(90, 1)), rng.normal(4, 1, size=(60, 1))])
    found = one_group_or_two(two, n_bootstrap=19, n_init=1)
    assert found.p_value == 0.05  # the least there is
    assert found.statistic > 2 * found.simulated[-1]
    assert len(found.simulated) == 19
    assert len(set(found.simulated.tolist())) == 19  # each data set is its own


def test_refusals():
    with pytest.raises(DataError, match="measured twice"):
        error_variance([[1.0], [2.0]])
    with pytest.raises(ConfigError, match="averaged is 0"):
        error_variance([[1.0, 2.0]], averaged=0)
    with pytest.raises(ConfigError, match="margin is 1"):
        type_or_trait([1.0, 2.0, 3.0], ErrorVariance(1.0, 10.0), margin=1.0)
    with pytest.raises(DataError, match="2 columns"):
        type_or_trait(np.zeros((5, 2)), ErrorVariance(1.0, 10.0))
    with pytest.raises(ConfigError, match="at least 19"):
        one_group_or_two(np.zeros((5, 1)), n_bootstrap=5)
