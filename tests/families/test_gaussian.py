"""E-step and M-step of every covariance type against loops with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from gmm_dask.blocks import Frame
from gmm_dask.errors import ConfigError
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import Gaussian, GaussianParams
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.score import posterior
from gmm_dask.mixture import m_step
from tests.oracle import Oracle, e_step
from tests.oracle import m_step as oracle_m_step
from tests.strategies import KINDS, ask, clusters, kinds, mixture_near, mixture_of, seeds


def as_oracle(mixture) -> Oracle:
    return Oracle(mixture.weights[0], mixture.means, mixture.dense_covariances)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [1, 2, 5])
def test_e_step_equals_scipy(kind, D):
    X, _ = clusters(200, D, 3, seed=D)
    X = X * np.logspace(-1, 2, D) + 40.0
    mixture = mixture_near(X, kind, 4)
    log_likelihood, resp = e_step(as_oracle(mixture), X)
    log_prob_norm, ours = posterior(mixture.prepare(), X)
    # 200 sums of well conditioned terms: rounding of about 1e-14 each
    assert log_prob_norm.sum() == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(ours, resp, atol=1e-11)
    sums = ask(EStep(mixture), X)
    assert float(sums.log_likelihood) == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(sums.count[0], resp.sum(axis=0), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [1, 2, 5])
def test_one_pass_equals_the_loop(kind, D):
    X, _ = clusters(120, D, 3, seed=10 + D)
    X = X * np.logspace(-1, 2, D) - 7.0 if kind != "spherical" else X - 7.0
    mixture = mixture_near(X, kind, 3)
    _, resp = e_step(as_oracle(mixture), X)
    wanted = oracle_m_step(kind, X, resp)
    ours = as_oracle(m_step(mixture, ask(EStep(mixture), X)))
    np.testing.assert_allclose(ours.weights, wanted.weights, rtol=1e-11)
    np.testing.assert_allclose(ours.means, wanted.means, rtol=1e-10)
    size = np.abs(wanted.matrices).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(ours.matrices / size, wanted.matrices / size, atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(kind=kinds, seed=seeds)
def test_random_mixtures_equal_the_loop(kind, seed):
    rng = np.random.default_rng(seed)
    D, K = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    X = rng.normal(size=(30, D)) @ rng.normal(size=(D, D)) + rng.normal(0, 10, D)
    mixture = mixture_near(X, kind, K, seed)
    log_likelihood, resp = e_step(as_oracle(mixture), X)
    sums = ask(EStep(mixture), X)
    assert float(sums.log_likelihood) == pytest.approx(log_likelihood, rel=1e-9)
    if sums.count.min() < 0.5:
        return  # a component without rows: the loop divides by nearly nothing
    ours = as_oracle(m_step(mixture, sums))
    wanted = oracle_m_step(kind, X, resp)
    lowest = np.linalg.eigvalsh(wanted.matrices / np.sqrt(np.outer(X.var(0), X.var(0)))).min()
    if lowest < 1e-4:
        return  # near the floor, which the loop does not have
    np.testing.assert_allclose(ours.means, wanted.means, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.matrices, wanted.matrices, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_number_of_free_parameters(kind):
    K, D = 3, 4
    family = Gaussian(kind, RelativeFloor(np.ones(D)))
    wanted = {"full": K * 10, "tied": 10, "diag": K * D, "spherical": K}[kind]
    assert family.n_free(K, D) == K * D + wanted
    X, _ = clusters(50, D, K)
    assert mixture_near(X, kind, K).n_parameters == K * D + wanted + K - 1


def test_an_empty_component_keeps_its_parameters():
    X = np.random.default_rng(0).normal(size=(100, 2))
    mixture = mixture_of(
        "full", [0.5, 0.5], [[0, 0], [1e4, 1e4]], np.stack([np.eye(2), 2 * np.eye(2)])
    )
    stepped = m_step(mixture, ask(EStep(mixture), X))
    np.testing.assert_array_equal(stepped.params.means[1], mixture.params.means[1])
    np.testing.assert_array_equal(stepped.params.covariances[1], mixture.params.covariances[1])
    assert stepped.weights[0, 1] == 0.0
    again = m_step(stepped, ask(EStep(stepped), X))  # a weight of zero is no NaN
    assert np.isfinite(again.weights).all()
    np.testing.assert_allclose(again.means[0], X.mean(axis=0), atol=1e-12)


def test_check_names_flat_components():
    family = Gaussian("full", RelativeFloor(np.ones(2)))
    flat = np.stack([np.eye(2), np.diag([1.0, 1e-6])])
    assert family.check(GaussianParams(np.zeros((2, 2)), flat)) == (
        "component 1 is flat: its smallest variance lies on the floor",
    )
    sound = np.stack([np.eye(2), np.diag([1.0, 1e-5])])
    assert family.check(GaussianParams(np.zeros((2, 2)), sound)) == ()


def test_an_unknown_covariance_type_is_refused():
    with pytest.raises(ConfigError, match=r"'fulll'; one of full, tied, diag, spherical"):
        Gaussian("fulll", RelativeFloor(np.ones(1)))


@pytest.mark.parametrize("kind", KINDS)
def test_squashed_but_genuine_component_of_24_columns(kind):
    # the determinant, 1e-960, is not a float64; its logarithm is harmless
    D = 24
    X = np.random.default_rng(0).normal(0, 1e-20, (400, D))
    mixture = mixture_near(X, kind, 1)
    stepped = m_step(mixture, ask(EStep(mixture), X))
    log_prob_norm, _ = posterior(stepped.prepare(), X)
    unit, _ = posterior(
        m_step(m := mixture_near(X * 1e20, kind, 1), ask(EStep(m), X * 1e20)).prepare(), X * 1e20
    )
    # rel 1e-10: the units differ by 1e20, not a power of two, so rows round differently
    np.testing.assert_allclose(log_prob_norm, unit + D * 20 * np.log(10), rtol=1e-10)


def test_sample_has_the_covariance_of_its_component():
    S = np.array([[[2.0, 1.2], [1.2, 1.0]], [[0.5, -0.3], [-0.3, 0.9]]])
    params = GaussianParams(np.array([[0.0, 1.0], [5.0, -2.0]]), S)
    family = Gaussian("full", RelativeFloor(np.ones(2)))
    labels = np.repeat([0, 1], 40000)
    rows = family.sample(params, labels, np.random.default_rng(1))
    for k in (0, 1):
        part = rows[labels == k]
        # standard errors: 0.007 of a mean, below 0.015 of a covariance; five of them
        np.testing.assert_allclose(part.mean(axis=0), params.means[k], atol=0.035)
        np.testing.assert_allclose(np.cov(part.T), S[k], atol=0.075)


def test_prepare_states_densities_per_source_unit():
    frame = Frame(np.array([100.0]), np.array([4.0]), np.eye(1), np.zeros(1))
    inside = mixture_of("diag", [1.0], [[101.0]], [[9.0]], frame)
    plain = mixture_of("diag", [1.0], [[101.0]], [[9.0]])
    X = np.array([[95.0], [101.0], [110.0]])
    np.testing.assert_allclose(
        posterior(inside.prepare(), X)[0], posterior(plain.prepare(), X)[0], rtol=1e-14
    )
