"""Droplets: starts, concentrations, their errors, and the test of linkage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import beta, multivariate_normal

from gmm_dask import (
    ConfigError,
    DataError,
    Droplets,
    GaussianMixture,
    droplet_concentrations,
    fit_droplets,
)
from gmm_dask.droplet_figures import poisson_limits
from gmm_dask.droplet_start import cuts, droplet_start

MEANS = np.array([[1300.0, 1400], [2600, 4600], [8900, 3200], [9600, 6300]])
SPREAD = np.array([120.0, 150.0])


def plate(rates, n=4000, seed=0, spread=SPREAD):
    """Return amplitudes of two dyes, and wells, of molecules drawn one by one."""
    rng = np.random.default_rng(seed)
    rows, wells = [], []
    for g, (a, b, both) in enumerate(rates):
        linked = rng.poisson(both, n)
        first, second = rng.poisson(a, n) + linked > 0, rng.poisson(b, n) + linked > 0
        rows.append(MEANS[2 * first + second] + spread * rng.normal(size=(n, 2)))
        wells += [f"W{g}"] * n
    return np.concatenate(rows), np.array(wells)


def test_a_dye_is_cut_between_its_clusters_however_few_are_positive():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(1300, 120, 50_000), rng.normal(8900, 200, 30)])
    (limit,) = cuts(x, 2)
    assert 2000 < limit < 8000
    np.testing.assert_allclose(cuts(4.0 * x - 1e6, 2), 4.0 * limit - 1e6, rtol=1e-9)


def test_starts_have_copies_in_order_and_follow_units():
    X, _ = plate([(0.05, 0.03, 0.04)])
    start = droplet_start(X, Droplets(), "full")
    assert np.abs(start["means"] - MEANS).max() < 100
    other = droplet_start(X * 1e-6 + 5.0, Droplets(), "full")
    np.testing.assert_allclose(other["means"], start["means"] * 1e-6 + 5.0, rtol=1e-9)
    np.testing.assert_allclose(other["weights"], start["weights"], rtol=1e-9)


def test_clusters_without_droplets_begin_where_copies_add_up():
    X, _ = plate([(0.05, 0.05, 0.0)], n=2000)
    single = X[~((X[:, 0] > 5000) & (X[:, 1] > 4900))]
    start = droplet_start(single, Droplets(), "diag")
    np.testing.assert_allclose(
        start["means"][3], start["means"][1] + start["means"][2] - start["means"][0], rtol=1e-9
    )
    with pytest.raises(DataError, match="2 columns came for 1 targets"):
        droplet_start(single, Droplets((1,)), "diag")


def test_each_well_has_its_own_copies_and_one_may_have_none():
    rates = [(0.10, 0.05, 0.08), (0.02, 0.20, 0.0), (0.0, 0.0, 0.0)]
    X, wells = plate(rates)
    model = fit_droplets(X, wells)
    found = droplet_concentrations(model, X, wells, partition_volume=0.85, dilution=2.0)
    true = np.array([(a + c, b + c) for a, b, c in rates])
    estimate = found.estimate
    assert (estimate.low <= true).all()
    assert (true <= estimate.high).all()
    assert estimate.rate[2].max() < 1e-6
    assert 0.5 < 4000 * estimate.high[2, 0] < 6  # 3.7: Clopper and Pearson without positives
    rows = found.rows()
    assert len(rows) == 8
    assert [row["well"] for row in rows[-2:]] == ["pooled", "pooled"]
    assert rows[-1]["between_wells"] > 0.05  # 0.13, 0.2 and none
    assert rows[0]["concentration"] == pytest.approx(estimate.rate[0, 0] * 2 / 0.85e-3)
    assert found.linkage.p_value[0] < 1e-10
    assert found.linkage.p_value[2] == 1


def test_errors_are_the_curvature_of_the_likelihood_of_overlapping_clusters():
    """Against second differences of the log-likelihood of one well by the lambdas, held means."""
    X, _ = plate([(0.3, 0.2, 0.15)], n=1500, spread=10 * SPREAD)
    model = fit_droplets(X, covariance_type="tied")
    law, C = Droplets(), model.covariances_
    density = np.column_stack([multivariate_normal(m, C).pdf(X) for m in model.means_])
    density /= density.max(axis=1, keepdims=True)

    def loss(rates):
        return -np.log(density @ law.at(rates[None]).weights[0]).sum()

    best = minimize(loss, law.rates(model.mixture_.weights)[0], method="Nelder-Mead").x
    h = 1e-3
    I3 = h * np.eye(3)
    curve = np.array(
        [
            [
                (loss(best + u + v) - loss(best + u - v) - loss(best - u + v) + loss(best - u - v))
                / (4 * h * h)
                for v in I3
            ]
            for u in I3
        ]
    )
    sums = np.array([[1.0, 0], [0, 1], [1, 1]])
    error = np.sqrt(np.diag(sums.T @ np.linalg.inv(curve) @ sums))
    found = droplet_concentrations(model, X, partition_volume=1.0)
    np.testing.assert_allclose(found.estimate.error[0], error, rtol=0.01)
    share = found.estimate.rate[0]
    known = np.sqrt(np.expm1(share) / len(X))  # of droplets whose class is known
    assert (found.estimate.error[0] > known).all()
    assert found.estimate.error[0, 1] > 1.2 * known[1]


def test_limits_of_known_classes_are_those_of_clopper_and_pearson():
    n, x = 14000.0, 90.0
    rate = -np.log1p(-x / n)
    error = np.sqrt(np.expm1(rate) / n)
    low, high = poisson_limits(np.array([[rate]]), np.array([[error]]), np.array([[n]]), 0.95)
    np.testing.assert_allclose(low, -np.log1p(-beta.ppf(0.025, x, n - x + 1)), rtol=1e-9)
    np.testing.assert_allclose(high, -np.log1p(-beta.ppf(0.975, x + 1, n - x)), rtol=1e-9)


def test_intervals_cover_the_lambdas_of_drawn_wells():
    """200 wells at once, as `scripts/coverage_droplets.py` does for 1000."""
    rng = np.random.default_rng(7)
    rates = np.column_stack([rng.uniform(0.02, 0.2, (200, 2)), rng.uniform(0, 0.1, 200)])
    X, wells = plate(rates, n=300, seed=8)
    found = droplet_concentrations(fit_droplets(X, wells), X, wells, partition_volume=1.0)
    true = rates[:, :2] + rates[:, 2:]
    names = [f"W{g}" for g in range(200)]
    place = [names.index(well) for well in found.wells]
    inside = (found.estimate.low <= true[place]) & (true[place] <= found.estimate.high)
    assert 0.93 <= inside.mean() <= 0.995  # Clopper and Pearson cover at least 95 %


def test_independent_targets_are_rejected_as_often_as_the_level_says():
    X, wells = plate([(0.15, 0.2, 0.0)] * 200, n=300, seed=3)
    found = droplet_concentrations(fit_droplets(X, wells), X, wells, partition_volume=1.0)
    share = (found.linkage.p_value < 0.05).mean()
    assert 0.01 <= share <= 0.10  # 10 of 200, four standard errors either way at most
    assert 0.35 < (found.linkage.p_value == 1).mean() < 0.70  # the half at the boundary


def test_what_cannot_be_is_refused():
    X, _ = plate([(0.1, 0.1, 0.1)], n=500)
    with pytest.raises(ConfigError, match="spherical"):
        fit_droplets(X, covariance_type="spherical")
    model = fit_droplets(X)
    with pytest.raises(ConfigError, match="partition_volume"):
        droplet_concentrations(model, X, partition_volume=0.0)
    with pytest.raises(ConfigError, match="law of droplets"):
        droplet_concentrations(GaussianMixture(2).fit(X), X, partition_volume=1.0)
