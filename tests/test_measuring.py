"""Rows under mixtures with angles and a background, against scipy's densities and quadrature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from gmm_dask import ConfigError, DataError
from gmm_dask.blocks import Observed
from gmm_dask.families.von_mises import TURN
from gmm_dask.folds.e_step import EStep
from gmm_dask.measuring import observer_of
from gmm_dask.mixture import m_step
from gmm_dask.rows import draw_rows
from tests.compound import PERIODS, begun, mixed
from tests.strategies import ask, close

KINDS = ("full", "tied", "diag", "spherical")


def product(kind="full", **words):
    X = mixed(300)[0]
    return begun(X, 3, circular=PERIODS, kind=kind, **words), X


def by_scipy(mixture, X, noise=None):
    """Return log densities (n, K) of rows with holes, one by one."""
    lines, angles = [0, 2], [1, 3]
    S = mixture.dense_covariances[:, lines][:, :, lines]
    means, kappa = mixture.means, mixture.params.kappa
    result = np.zeros((len(X), len(means)))
    for i, row in enumerate(X):
        there = [j for j, column in enumerate(lines) if not np.isnan(row[column])]
        at = np.array(lines)[there]
        own = np.zeros((2, 2)) if noise is None else np.diag(noise[i][lines])
        for k in range(len(means)):
            cov = (S[k] + own)[np.ix_(there, there)]
            if there:
                result[i, k] += stats.multivariate_normal(means[k, at], cov).logpdf(row[at])
            for c, column in enumerate(angles):
                turn = TURN / PERIODS[column]
                if not np.isnan(row[column]):
                    away = (row[column] - means[k, column]) * turn
                    result[i, k] += stats.vonmises.logpdf(away, kappa[k, c]) + np.log(turn)
    return result


def holed(X, seed=1):
    Y = X.copy()
    Y[np.random.default_rng(seed).random(X.shape) < 0.35] = np.nan
    return Y[~np.isnan(Y).all(axis=1)]


@pytest.mark.parametrize("kind", KINDS)
def test_log_densities_add(kind):
    mixture, X = product(kind)
    for rows in (X[:40], holed(X)[:60]):
        joint = by_scipy(mixture, rows) + np.log(mixture.weights[0])
        norm, resp = observer_of(mixture).posterior(Observed(rows))
        wanted = np.logaddexp.reduce(joint, axis=1)
        np.testing.assert_allclose(norm, wanted, rtol=1e-10)
        np.testing.assert_allclose(resp, np.exp(joint - wanted[:, None]), atol=1e-10)


def test_errors_of_lines_widen_them():
    mixture, X = product()
    noise = np.random.default_rng(0).gamma(1.0, 1.0, X.shape)
    noise[:, [1, 3]] = 0.0
    rows = holed(X)[:40]
    norm, _ = observer_of(mixture).posterior(Observed(rows, None, noise[:40]))
    joint = by_scipy(mixture, rows, noise) + np.log(mixture.weights[0])
    np.testing.assert_allclose(norm, np.logaddexp.reduce(joint, axis=1), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", [{}, {"background": "uniform"}])
def test_noise_of_zeros_is_none(kind, words):
    mixture, X = product(kind, **words)
    rows = holed(X)
    exact = observer_of(mixture).e_step(Observed(rows))
    for zeros in (np.zeros(rows.shape), np.zeros((*rows.shape, 4))):
        close(observer_of(mixture).e_step(Observed(rows, None, zeros)), exact, 1e-11)


@pytest.mark.parametrize("words", [{}, {"background": "uniform"}])
def test_a_row_of_weight_2_is_the_row_twice(words):
    mixture, X = product(**words)
    rows = holed(X)
    weight = np.where(np.arange(len(rows)) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(rows, weight.astype(int), axis=0)
    observer = observer_of(mixture)
    close(observer.e_step(Observed(rows, weight)), observer.e_step(Observed(twice)), 1e-12)


def test_noise_on_an_angle_is_refused():
    mixture, X = product()
    noise = np.zeros(X.shape)
    noise[5, 3] = 0.1
    with pytest.raises(DataError, match="column 3 is an angle"):
        observer_of(mixture).e_step(Observed(X, None, noise))
    X[5, 3] = np.nan  # not measured: its noise says nothing
    observer_of(mixture).e_step(Observed(X, None, noise))


@pytest.mark.parametrize("words", [{}, {"background": "uniform"}])
def test_em_with_holes_finds_what_was_drawn(words):
    truth, _ = product(**words)
    X, _ = draw_rows(truth, 1, 0, 12000)
    X[np.random.default_rng(2).random(X.shape) < 0.25] = np.nan
    mixture = truth
    for _ in range(25):
        mixture = m_step(mixture, observer_of(mixture).e_step(Observed(X)))
    np.testing.assert_allclose(mixture.weights, truth.weights, atol=0.03)
    # 3000 rows of a component have an angle: kappa to 1.4 / sqrt(3000) = 3 %, overlap apart
    np.testing.assert_allclose(mixture.params.kappa, truth.params.kappa, rtol=0.15)


def test_rows_without_any_value_say_nothing():
    for words in ({}, {"background": "uniform"}):
        mixture, X = product(**words)
        rows = np.concatenate([X[:5], np.full((1, 4), np.nan)])
        norm, resp = observer_of(mixture).posterior(Observed(rows))
        assert norm[-1] == pytest.approx(0.0, abs=1e-15)  # the sum of the weights
        np.testing.assert_allclose(resp[-1], mixture.weights[0], rtol=1e-14)
        both = observer_of(mixture).e_step(Observed(rows))
        close(both, observer_of(mixture).e_step(Observed(X[:5])), 1e-14)


def test_the_background_of_a_row_is_that_of_its_columns():
    mixture, _ = product(background={0: [-10, 10]})
    family = mixture.family
    nan = np.nan
    rows = np.array([[0.0, 10.0, 0.0, 1.0], [0.0, nan, nan, nan], [11.0, 5.0, nan, nan]])
    found = family.log_density(Observed(rows))
    height = np.log(family.highest[2] - family.lowest[2])
    np.testing.assert_allclose(found[0], -np.log(20 * 360 * 24) - height, rtol=1e-14)
    assert found[1] == pytest.approx(-np.log(20))
    assert found[2] == -np.inf


def test_the_box_of_a_row_with_errors_is_convolved():
    X, _ = mixed(100)
    family = begun(X[:, [0, 2]], 2, background={0: [-1.0, 2.0], 1: [-5, 5]}).family
    for x, variance in ((0.0, 0.5), (2.3, 0.04), (-9.0, 1.0), (2.0, 1e-8)):
        root = np.sqrt(variance)
        wanted, _ = integrate.quad(
            lambda t, x=x, root=root: stats.norm.pdf(x, t, root) / 3,
            -1.0,
            2.0,
            points=[np.clip(x, -0.999, 1.999)],
            epsabs=0,
        )
        rows = Observed(np.array([[x, np.nan]]), None, np.array([[variance, 0.0]]))
        # scipy splits its range at the value; a spike at the edge costs it digits
        assert np.exp(family.log_density(rows)[0]) == pytest.approx(wanted, rel=1e-6)


def test_what_has_no_expected_value_is_refused():
    for words in ({}, {"background": "uniform"}):
        mixture, X = product(**words)
        with pytest.raises(ConfigError, match="leave these outputs out"):
            observer_of(mixture).true_values(Observed(X))


def test_true_values_before_a_background_are_those_of_quadrature():
    X = mixed(100)[0][:, [0]]
    mixture = begun(X, 2, background={0: [-4.0, 4.0]})
    for x, variance in ((0.5, 1.0), (4.5, 0.5), (-3.9, 2.0), (np.nan, 0.0)):
        rows = Observed(np.array([[x]]), None, np.array([[variance]]))
        mean, covariance = observer_of(mixture).true_values(rows)
        t = np.linspace(-12, 12, 480001)
        prior = sum(
            w * stats.norm.pdf(t, m, s)
            for w, m, s in zip(
                mixture.weights[0],
                mixture.means[:, 0],
                np.sqrt(mixture.dense_covariances[:, 0, 0]),
                strict=False,
            )
        )
        prior = prior + mixture.weights[0, -1] / 8 * (np.abs(t) <= 4)
        given = prior if np.isnan(x) else prior * stats.norm.pdf(x, t, np.sqrt(variance))
        given = given / given.sum()
        # steps of 5e-5: the edges of the box cost as much
        assert mean[0, 0] == pytest.approx(given @ t, abs=1e-4)
        assert covariance[0, 0, 0] == pytest.approx(given @ (t - given @ t) ** 2, rel=1e-4)


def test_groups_have_weights_of_their_own():
    mixture, X = product(background="uniform")
    group = np.random.default_rng(0).integers(2, size=len(X))
    rng = np.random.default_rng(1)
    weights = rng.dirichlet(np.ones(4), 2)
    both = replace(mixture, weights=weights, group_share=np.array([0.5, 0.5]))
    whole = observer_of(both).e_step(Observed(X, group=group))
    for g in range(2):
        own = observer_of(replace(mixture, weights=weights[g : g + 1]))
        part = own.e_step(Observed(X[group == g]))
        np.testing.assert_allclose(whole.count[g], part.count[0], rtol=1e-12)
        norm, resp = observer_of(both).posterior(Observed(X, group=group))
        alone = own.posterior(Observed(X[group == g]))
        np.testing.assert_allclose(norm[group == g], alone[0], rtol=1e-12)
        np.testing.assert_allclose(resp[group == g], alone[1], atol=1e-12)


def test_turning_and_unit_change_nothing():
    mixture, X = product()
    turned = X.copy()
    turned[:, 1] = (X[:, 1] + 77.0) % 360.0
    turned[:, 3] = (X[:, 3] + 5.0) / 24.0  # some beyond a whole turn
    other = begun(turned, 3, circular={1: 360.0, 3: 1.0})
    for _ in range(10):
        mixture, other = (
            m_step(m, ask(EStep(m), rows)) for m, rows in ((mixture, X), (other, turned))
        )
    np.testing.assert_allclose(other.weights, mixture.weights, rtol=1e-9)
    np.testing.assert_allclose(other.params.kappa, mixture.params.kappa, rtol=1e-9)
    away = (other.means - mixture.means)[:, 1] % 360.0
    np.testing.assert_allclose(away, 77.0, rtol=1e-9)
    ahead = (24.0 * other.means[:, 3] - mixture.means[:, 3]) % 24.0
    np.testing.assert_allclose(ahead, 5.0, rtol=1e-9)
    assert ((other.means[:, 3] >= 0) & (other.means[:, 3] < 1)).all()


@pytest.mark.parametrize("words", [{}, {"background": "uniform"}])
def test_all_tiles_count(words, monkeypatch):
    """Rows of many tiles give the sums of one tile: no tile is left out."""
    mixture, X = product(**words)
    rows, observer = Observed(X), observer_of(mixture)
    whole = observer.e_step(rows)
    monkeypatch.setattr("gmm_dask.observed_angles.TILE", 37)
    close(observer.e_step(rows), whole, 1e-11)
