"""Scores and comparisons of mixtures against direct computation."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.blocks import Block
from gmm_dask.folds.compare import Compare
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.score import Score, posterior
from tests.oracle import Oracle, e_step, log_joint
from tests.strategies import ask, clusters, mixture_near, mixture_of

X, _ = clusters(5000, 2, 3, seed=2, apart=2.0)
ONE, TWO = mixture_near(X, "full", 3), mixture_near(X, "diag", 2, seed=5)


def density(mixture) -> np.ndarray:
    model = Oracle(mixture.weights[0], mixture.means, mixture.dense_covariances)
    return np.log(np.exp(log_joint(model, X)).sum(axis=1))


def test_score_equals_direct_sums():
    model = Oracle(ONE.weights[0], ONE.means, ONE.dense_covariances)
    total, resp = e_step(model, X)
    sums = ask(Score(ONE, None, 0.8), X, [11, 4097])
    assert float(sums.n_rows) == 5000
    assert float(sums.log_likelihood) == pytest.approx(total, rel=1e-11)
    positive = resp[resp > 0]
    assert float(sums.entropy) == pytest.approx(-(positive * np.log(positive)).sum(), rel=1e-10)
    assert float(sums.map_log) == pytest.approx(np.log(resp.max(axis=1)).sum(), rel=1e-10)
    assert float(sums.ambiguous) == (resp.max(axis=1) < 0.8).sum()
    np.testing.assert_array_equal(sums.labels, np.bincount(resp.argmax(axis=1), minlength=3))


def test_compare_equals_direct_means_and_paired_errors():
    a, b = density(ONE), density(TWO)
    share = RowShare(3, "held out", 0.3)
    held = share.mask(Block(X, 0))
    answer = ask(Compare((ONE, TWO), (-4.0, -5.0), share), X, [7, 4096])
    assert answer.n_rows == held.sum()
    np.testing.assert_allclose(answer.mean, [a[held].mean(), b[held].mean()], rtol=1e-11)
    n = held.sum()
    errors = [a[held].std() / np.sqrt(n), b[held].std() / np.sqrt(n)]
    np.testing.assert_allclose(answer.standard_error(), errors, rtol=1e-9)
    paired = (a - b)[held].std() / np.sqrt(n)
    np.testing.assert_allclose(answer.paired_error(0), [0.0, paired], rtol=1e-9)
    np.testing.assert_allclose(answer.paired_error(1), [paired, 0.0], rtol=1e-9)


def test_a_row_whose_density_is_not_representable_goes_to_the_nearest_component():
    mixture = mixture_of(
        "full", [0.5, 0.5], [[0.0, 0.0], [10.0, 0.0]], np.stack([np.eye(2), 4 * np.eye(2)])
    )
    rows = np.array([[1e200, 0.0], [-1e200, 1e200]])
    log_prob_norm, resp = posterior(mixture.prepare(), rows)
    assert np.isfinite(log_prob_norm).all()
    # far away the wide component wins, as the ratio of squared distances tends to 4
    np.testing.assert_array_equal(resp, [[0.0, 1.0], [0.0, 1.0]])


def test_a_component_of_weight_zero_gets_no_row():
    mixture = mixture_of(
        "full", [1.0, 0.0], [[0.0, 0.0], [1.0, 0.0]], np.stack([np.eye(2), np.eye(2)])
    )
    log_prob_norm, resp = posterior(mixture.prepare(), np.array([[1.0, 0.0], [1e200, 0.0]]))
    np.testing.assert_array_equal(resp[:, 0], [1.0, 1.0])
    assert np.isfinite(log_prob_norm).all()
