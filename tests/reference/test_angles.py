"""Mixtures with angles and a background against published values and direct maximisation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats

from gmm_dask import GaussianMixture, fit_many

EXACT = {"tol": 1e-12, "max_iter": 3000, "random_state": 0}
TO_RADIANS = np.pi / 180


def turtles(shared_data):
    path = shared_data / "circular" / "turtles76.csv"
    return np.loadtxt(path, delimiter=",", skiprows=1)[:, None]


def test_turtles(shared_data):
    # directions of 76 turtles (Stephens 1969); values by direct maximisation from many starts
    X = turtles(shared_data)
    model = GaussianMixture(2, circular={0: 360}, n_init=5, **EXACT).fit(X)
    in_radians = model.score(X) * 76 - 76 * np.log(TO_RADIANS)
    assert in_radians == pytest.approx(-105.4104, abs=6e-5)
    np.testing.assert_allclose(model.weights_, [0.8366, 0.1634], atol=6e-5)
    np.testing.assert_allclose(model.means_[:, 0], [63.47, 241.20], atol=6e-3)
    np.testing.assert_allclose(model.kappa_[:, 0], [2.619, 8.447], atol=6e-4)
    assert model.n_parameters == 5
    one = GaussianMixture(1, circular={0: 360}, **EXACT).fit(X)
    assert one.score(X) * 76 - 76 * np.log(TO_RADIANS) == pytest.approx(-119.5445, abs=6e-5)
    assert one.means_[0, 0] == pytest.approx(64.17, abs=6e-3)
    assert one.kappa_[0, 0] == pytest.approx(1.150, abs=6e-4)


def test_turtles_over_several_numbers_of_components(shared_data):
    X = turtles(shared_data)
    found = fit_many(X, [1, 2, 3], n_init=3, random_state=0, circular={0: 360})
    assert found.best.n_components == 2
    lower = [row["log_likelihood_per_row"] for row in found.table()]
    assert lower[0] < lower[1] <= lower[2] + 1e-9
    assert [row["n_parameters"] for row in found.table()] == [2, 5, 8]
    assert found.best.circular == {0: 360.0}


def colours(n=400, seed=0):
    rng = np.random.default_rng(seed)
    red = rng.random(n) < 0.6
    hue = np.where(red, rng.normal(0, 12, n), rng.normal(220, 20, n)) % 360
    value = np.where(red, rng.normal(0.7, 0.1, n), rng.normal(0.4, 0.15, n))
    return np.stack([hue, value], axis=1)


def product_likelihood(X, shares, mu, kappa, mean, sd):
    a = (X[:, :1] - mu) * TO_RADIANS
    of_angle = kappa * np.cos(a) - kappa - np.log(special.i0e(kappa)) - np.log(360.0)
    joint = np.log(shares) + of_angle + stats.norm.logpdf(X[:, 1:], mean, sd)
    return np.logaddexp.reduce(joint, axis=1).sum()


def test_an_angle_beside_a_line_reaches_the_direct_maximum():
    X = colours()
    model = GaussianMixture(2, circular={0: 360}, **EXACT).fit(X)

    def loss(p):
        shares = np.exp(np.array([0.0, p[0]]) - np.logaddexp(0.0, p[0]))
        return -product_likelihood(X, shares, p[1:3], np.exp(p[3:5]), p[5:7], np.exp(p[7:9]))

    start = [-0.4, 2.0, 218.0, 3.0, 2.0, 0.7, 0.4, -2.3, -1.9]
    units = np.array([1, 10, 10, 1, 1, 0.1, 0.1, 1, 1])
    best = optimize.minimize(lambda q: loss(q * units), np.array(start) / units, method="BFGS")
    p = best.x * units
    assert model.score(X) * len(X) == pytest.approx(-best.fun, abs=1e-6)
    np.testing.assert_allclose(model.means_[:, 0], p[1:3] % 360, atol=1e-2)
    np.testing.assert_allclose(model.kappa_[:, 0], np.exp(p[3:5]), rtol=1e-3)
    np.testing.assert_allclose(model.covariances_[:, 0, 0], np.exp(2 * p[7:9]), rtol=1e-3)


def test_a_gaussian_splits_what_lies_across_zero():
    """Hues around red: one cluster of angles, two on the line from 0 to 360."""
    X = colours(2000)[:, :1]
    on_the_line = fit_many(X, range(1, 5), n_init=3, random_state=0)
    around = fit_many(X, range(1, 5), n_init=3, random_state=0, circular={0: 360})
    # halves of a bell are no bells: the line has need of one component more at least
    assert around.best.n_components == 2 < on_the_line.best.n_components
    red = around.best
    assert abs((red.means_[0, 0] + 180) % 360 - 180) < 1.0  # 12 / sqrt(1200) = 0.35 degrees
    assert red.weights_[0] == pytest.approx(0.6, abs=0.03)
    three = on_the_line.models[2]
    # of 60 % red rows half lie on either side of zero
    np.testing.assert_allclose(np.sort(three.weights_), [0.3, 0.3, 0.4], atol=0.03)
    ends = np.sort(three.means_[:, 0])
    assert ends[0] < 20
    assert ends[-1] > 340


def outliers(n=600, share=0.15, seed=0):
    rng = np.random.default_rng(seed)
    out = rng.random(n) < share
    inside = rng.multivariate_normal([1.0, -1.0], [[0.5, 0.3], [0.3, 0.4]], n)
    return np.where(out[:, None], rng.uniform([-10, -8], [10, 8], (n, 2)), inside), out


def background_loss(X, volume):
    def loss(p):
        share = special.expit(p[0])
        lower = np.array([[np.exp(p[3]), 0.0], [p[4], np.exp(p[5])]])
        z = np.linalg.solve(lower, (X - p[1:3]).T)
        of_cluster = -0.5 * (z**2).sum(axis=0) - p[3] - p[5] - np.log(2 * np.pi)
        behind = np.log(share) - np.log(volume)
        return -np.logaddexp(np.log1p(-share) + of_cluster, behind).sum()

    return loss


@pytest.mark.parametrize("given", [True, False])
def test_a_background_reaches_the_direct_maximum(given):
    X, out = outliers()
    box = {0: [-10, 10], 1: [-8, 8]} if given else "uniform"
    volume = 20 * 16 if given else np.ptp(X, axis=0).prod()
    model = GaussianMixture(1, background=box, **EXACT).fit(X)
    loss = background_loss(X, volume)
    best = optimize.minimize(loss, [-1.5, 1, -1, -0.3, 0.3, -0.5], method="BFGS")
    assert model.score(X) * len(X) == pytest.approx(-best.fun, abs=1e-6)
    assert model.weights_[1] == pytest.approx(special.expit(best.x[0]), abs=1e-4)
    np.testing.assert_allclose(model.means_[0], best.x[1:3], atol=1e-3)
    # standard error of the share with labels known: 0.015; the box of the data is a bit smaller
    assert model.weights_[1] == pytest.approx(out.mean(), abs=0.04)
    assert model.n_parameters == 6
    assert model.predict(X).max() == 1
    wrong = model.predict(X)[out] == 0  # outliers inside the cluster are not told from it
    assert wrong.mean() < 0.15


def test_outliers_no_longer_widen_a_cluster():
    X, _ = outliers(2000)
    plain = GaussianMixture(1, random_state=0).fit(X)
    guarded = GaussianMixture(1, background="uniform", **EXACT).fit(X)
    wanted = np.array([[0.5, 0.3], [0.3, 0.4]])
    assert np.abs(guarded.covariances_[0] / wanted - 1).max() < 0.15
    assert np.abs(plain.covariances_[0] / wanted - 1).max() > 3
