"""First moments of a start: by nearest centre, and by random responsibilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from gmm_dask.folds.assign import NearestCentre, RandomResp, pairwise
from gmm_dask.folds.rows import RowShare
from tests.strategies import KINDS, ask, clusters, mixture_near

X, _ = clusters(5000, 2, 3, seed=2)


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_centre_equals_a_loop(kind):
    mixture = mixture_near(X, kind, 3)
    metric = np.array([[1.0, 0.2], [0.0, 0.5]])
    rows = mixture.frame.forward(X)
    distance = np.array(
        [[np.sum(((y - c) @ metric) ** 2) for c in mixture.params.means] for y in rows]
    )
    label = distance.argmin(axis=1)
    sums = ask(NearestCentre(mixture, metric), X, [1000, 4097])
    assert float(sums.log_likelihood) == pytest.approx(-distance.min(axis=1).sum(), rel=1e-11)
    np.testing.assert_array_equal(sums.count[0], np.bincount(label, minlength=3))
    for k in range(3):
        y = rows[label == k] - mixture.params.means[k]
        np.testing.assert_allclose(sums.moments.first[k], y.sum(axis=0), atol=1e-9)
        if kind == "full":
            np.testing.assert_allclose(sums.moments.second[k], y.T @ y, rtol=1e-10, atol=1e-9)


def test_ties_go_to_the_first_centre():
    mixture = mixture_near(X, "full", 2)
    mixture.params.means[:] = mixture.params.means[0]
    sums = ask(NearestCentre(mixture, np.eye(2)), X)
    np.testing.assert_array_equal(sums.count[0], [5000, 0])


def test_distances_far_from_the_origin_do_not_cancel():
    rows, centres = np.array([[1e9], [1e9 + 1]]), np.array([[1e9 + 0.25]])
    np.testing.assert_array_equal(pairwise(rows, centres, np.eye(1)), [[0.0625], [0.5625]])


def test_random_responsibilities_are_those_of_scikit_learn_in_law():
    mixture = mixture_near(X, "full", 3)
    resp = RandomResp(mixture, 5, 0)
    from gmm_dask.blocks import Block

    drawn = resp._resp(Block(X[:4096], 0))
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, rtol=1e-14)
    reference = np.random.default_rng(0).random((40000, 3))
    reference /= reference.sum(axis=1, keepdims=True)
    for k in range(3):
        assert kstest(drawn[:, k], reference[:, k]).pvalue > 1e-5


@pytest.mark.parametrize("share", [None, RowShare(1, "held out", 0.4)])
def test_random_responsibilities_do_not_depend_on_blocks(share):
    fold = RandomResp(mixture_near(X, "full", 3), 5, 0, share)
    whole, cut = ask(fold, X), ask(fold, X, [1, 4095, 4999])
    # the same responsibilities: only the order of the sums differs
    np.testing.assert_allclose(whole.count, cut.count, rtol=1e-13)
    np.testing.assert_allclose(whole.moments.second, cut.moments.second, rtol=1e-11)


def test_restarts_and_seeds_draw_anew():
    mixture = mixture_near(X, "full", 3)
    counts = [
        ask(RandomResp(mixture, seed, restart), X).count[0, 0]
        for seed, restart in ((5, 0), (5, 1), (6, 0))
    ]
    assert len(set(counts)) == 3
