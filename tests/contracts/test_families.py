"""What every family must do. A new family joins by one line in `FAMILIES`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.blocks import Block
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.score import posterior
from gmm_dask.kernels import table
from gmm_dask.kernels.types import zero_sums
from gmm_dask.mixture import m_step
from gmm_dask.rows import draw_rows
from gmm_dask.tree import add
from tests.strategies import ask, close, clusters, mixture_near, mixture_of, partitions

FAMILIES = ["full", "tied", "diag", "spherical"]
families = pytest.mark.parametrize("kind", FAMILIES)


@families
def test_likelihood_rises_with_every_pass(kind):
    X, _ = clusters(400, 3, 4, seed=3, apart=3.0)
    mixture = mixture_near(X, kind, 4)
    bounds = []
    for _ in range(40):
        sums = ask(EStep(mixture), X)
        bounds.append(float(sums.log_likelihood) / float(sums.n_rows))
        mixture = m_step(mixture, sums)
    gains = np.diff(bounds)
    assert gains.min() >= -1e-12 * max(1.0, abs(bounds[-1]))
    assert bounds[-1] > bounds[0] + 0.1


@families
@pytest.mark.parametrize("D", [1, 2])
def test_density_integrates_to_one(kind, D):
    X, _ = clusters(300, D, 3, seed=5, apart=2.0)
    mixture = mixture_near(X * 3.0 + 11.0, kind, 3)
    spread = np.sqrt(np.diagonal(mixture.dense_covariances, axis1=1, axis2=2)).max(axis=0)
    axes = [
        np.linspace(m.min() - 12 * s, m.max() + 12 * s, 801)
        for m, s in zip(mixture.means.T, spread, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, D)
    density = np.exp(posterior(mixture.prepare(), grid)[0])
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    # the trapezoid rule is exact to rounding for smooth functions that vanish at the ends
    assert density.sum() * cell == pytest.approx(1.0, abs=1e-9)


@families
@settings(max_examples=15, deadline=None)
@given(cuts=partitions(300), seed=st.integers(0, 99))
def test_split_and_merge_is_whole(kind, cuts, seed):
    X, _ = clusters(300, 2, 3, seed=seed)
    fold = EStep(mixture_near(X, kind, 3, seed))
    close(ask(fold, X), ask(fold, X, cuts), 1e-13)


@families
def test_no_rows_are_the_zero_element(kind):
    X, _ = clusters(50, 2, 3)
    mixture = mixture_near(X, kind, 3)
    fold = EStep(mixture)
    ready = fold.prepare()
    empty = fold.measure(ready, Block(X[:0], 17))
    close(empty, zero_sums(mixture.prepare().family), 0.0)
    whole = fold.measure(ready, Block(X, 0))
    close(add(whole, empty), whole, 0.0)
    zero = mixture.family.zero_moments(3, 2)
    assert zero.first.shape == empty.moments.first.shape
    assert zero.second.shape == empty.moments.second.shape


@families
def test_maximize_recovers_known_parameters(kind):
    S = {
        "full": [[[2.0, 0.8], [0.8, 1.0]], [[0.5, 0.0], [0.0, 3.0]]],
        "tied": [[2.0, 0.8], [0.8, 1.0]],
        "diag": [[2.0, 0.5], [1.0, 3.0]],
        "spherical": [2.0, 0.5],
    }[kind]
    truth = mixture_of(kind, [0.7, 0.3], [[-20.0, 4.0], [20.0, 0.0]], S)
    X, labels = draw_rows(truth, 3, 0, 40000)
    asked = mixture_of(kind, [0.5, 0.5], [[-19.0, 3.0], [22.0, 1.0]], S)
    resp = np.eye(2)[labels]
    moments = table.moments(asked.prepare().family, X, resp)
    found = asked.family.maximize(asked.params, resp.sum(axis=0), moments)
    # standard errors are below 0.015 of a mean and 0.04 of a covariance
    np.testing.assert_allclose(found.means, truth.means, atol=0.07)
    np.testing.assert_allclose(found.covariances, truth.covariances, atol=0.16)
    np.testing.assert_allclose(resp.mean(axis=0), [0.7, 0.3], atol=0.012)


@families
def test_reorder_only_relabels(kind):
    X, _ = clusters(100, 2, 3)
    mixture = mixture_near(X, kind, 3)
    order = np.array([2, 0, 1])
    params = mixture.family.reorder(mixture.params, order)
    np.testing.assert_array_equal(params.means, mixture.params.means[order])
    np.testing.assert_array_equal(
        mixture.family.dense(params), mixture.family.dense(mixture.params)[order]
    )


@families
def test_factors_are_those_of_the_covariances(kind):
    X, _ = clusters(100, 3, 3)
    mixture = mixture_near(X, kind, 3)
    factor, log_det = mixture.family.factors(mixture.params)
    dense = mixture.family.dense(mixture.params)
    wanted = -0.5 * np.linalg.slogdet(dense)[1]
    np.testing.assert_allclose(np.broadcast_to(log_det, 3), wanted, rtol=1e-12)
    assert np.isfinite(factor).all()
