"""k-means||: draw probabilities as in the paper, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from gmm_dask.blocks import Block, Frame
from gmm_dask.folds.candidates import Candidates
from gmm_dask.folds.rows import RowShare
from tests.strategies import ask, clusters

FRAME = Frame.identity(2)


def drawn_rows(X: np.ndarray, answer) -> set[int]:
    rows = {tuple(row): i for i, row in enumerate(X)}
    return {rows[tuple(row)] for row in answer.rows}


def test_probability_is_size_times_squared_distance_over_cost():
    X = np.array([[0.0, 0.1], [1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [4.0, 1.0], [0.5, 0.5]])
    centres = np.array([[0.0, 0.0]])
    square = (X**2).sum(axis=1)
    probability = np.minimum(1.0, 2 * square / square.sum())
    hits = np.zeros(len(X))
    runs = 2000
    for seed in range(runs):
        answer = ask(Candidates(FRAME, centres, np.eye(2), 2, seed, 0, 0), X)
        hits[list(drawn_rows(X, answer))] += 1
    for count, p in zip(hits, probability, strict=True):
        # 6 tests: a chance of 1e-5 each of failing a right implementation
        assert binomtest(int(count), runs, min(p, 1.0)).pvalue > 1e-5


def test_rows_are_drawn_independently():
    X = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 4) * np.arange(1.0, 9.0)[:, None] ** 0.01
    numbers = []
    for seed in range(1500):
        answer = ask(Candidates(FRAME, np.zeros((1, 2)), np.eye(2), 2, seed, 0, 0), X)
        numbers.append(len(answer.rows))
    square = (X**2).sum(axis=1)
    p = 2 * square / square.sum()
    # the number drawn is a sum of independent Bernoulli variables: mean 2, variance sum p (1 - p)
    assert np.mean(numbers) == pytest.approx(2.0, abs=5 * np.sqrt(1.5 / 1500))
    assert np.var(numbers) == pytest.approx((p * (1 - p)).sum(), rel=0.2)


def test_cost_and_counts_equal_a_loop():
    X, _ = clusters(5000, 2, 3, seed=4)
    centres, metric = X[[5, 77, 4100]], np.array([[0.5, 0.0], [0.1, 2.0]])
    distance = np.array([[((x - c) @ metric @ metric.T @ (x - c)) for c in centres] for x in X])
    answer = ask(Candidates(FRAME, centres, metric, 6, 0, 0, 1), X, [9, 4096, 4500])
    assert float(answer.cost) == pytest.approx(distance.min(axis=1).sum(), rel=1e-11)
    np.testing.assert_array_equal(answer.nearest, np.bincount(distance.argmin(axis=1), minlength=3))


@pytest.mark.parametrize("cuts", [[1], [4095, 4097], [100, 5000, 9999]])
def test_draws_do_not_depend_on_blocks(cuts):
    X, _ = clusters(10000, 2, 3, seed=4)
    fold = Candidates(FRAME, X[:2], np.eye(2), 10, 3, 2, 1)
    whole, cut = ask(fold, X), ask(fold, X, cuts)
    np.testing.assert_array_equal(whole.rows, cut.rows)
    assert 1 <= len(whole.rows) <= fold.kept


def test_draws_differ_by_seed_restart_and_round():
    X, _ = clusters(3000, 2, 3, seed=4)
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    drawn = [drawn_rows(X, ask(Candidates(FRAME, X[:1], np.eye(2), 12, *key), X)) for key in keys]
    assert all(a != b for i, a in enumerate(drawn) for b in drawn[:i])


def test_a_candidate_itself_is_never_drawn_again():
    X, _ = clusters(200, 2, 3, seed=4)
    for seed in range(20):
        answer = ask(Candidates(FRAME, X[:50], np.eye(2), 60, seed, 0, 0), X)
        assert not drawn_rows(X, answer) & set(range(50))


def test_identical_rows_cost_nothing_and_draw_nothing():
    X = np.ones((100, 2))
    answer = ask(Candidates(FRAME, X[:1], np.eye(2), 8, 0, 0, 0), X, [40])
    assert float(answer.cost) == 0.0
    assert len(answer.rows) == 0
    assert answer.nearest[0] == 100


def test_only_the_share_is_drawn():
    X, _ = clusters(3000, 2, 3, seed=4)
    share = RowShare(0, "held out", 0.5)
    inside = share.mask(Block(X, 0))
    answer = ask(Candidates(FRAME, X[:1] - 5.0, np.eye(2), 100, 0, 0, 0, share), X)
    assert drawn_rows(X, answer) <= set(np.flatnonzero(inside))
    assert answer.nearest[0] == inside.sum()
