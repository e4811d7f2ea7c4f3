"""From fits to candidates: every criterion from one pass, and the choice by stability."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, fowlkes_mallows_score

from gmm_dask.blocks import ArraySource, Block
from gmm_dask.drive import Fits, drive
from gmm_dask.engine.local import LocalEngine
from gmm_dask.evaluation import evaluate
from gmm_dask.first_pass import find_frame
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.score import posterior
from gmm_dask.initial import Ground
from gmm_dask.search import Grid, restarts
from gmm_dask.selection import choose

CENTRES = np.array([[0.0, 0.0], [6.0, 0.0], [3.0, 5.0]])


def three(n: int, spread: str, centres: np.ndarray = CENTRES) -> np.ndarray:
    """Return rows of three clear clusters."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1.5, 1.5, (n, 2)) if spread == "flat" else rng.normal(0, 0.7, (n, 2))
    return centres[rng.integers(0, 3, n)] + noise


def fitted(X: np.ndarray, grid: Grid) -> Fits:
    engine, source = LocalEngine(1), ArraySource(X)
    frame, _ = find_frame(engine, source, grid.rows)
    share = np.ones(len(X), bool) if grid.rows is None else grid.rows.mask(Block(X, 0))
    return drive(restarts(grid, Ground(frame, X[share])), engine, source).fits


@cache
def judged(spread: str):
    grid = Grid((2, 3, 4, 5, 6), n_init=5, init_params="kmeans", tol=1e-5, max_iter=500)
    X = three(900, spread)
    fits = fitted(X, grid)
    return evaluate(LocalEngine(1), ArraySource(X), grid, fits, stability=True)[0]


@pytest.mark.parametrize("spread", ["normal", "flat"])
def test_stability_finds_three_clear_clusters(spread):
    candidates = judged(spread)
    assert [c.agreement.n_restarts for c in candidates] == [4] * 5
    assert candidates[choose(candidates, "stability")].n_components == 3
    assert candidates[1].stability > 0.999


def test_where_clusters_are_not_gaussian_bic_wants_more():
    """Squares: what stability is for. BIC covers their corners with further components."""
    candidates = judged("flat")
    assert candidates[choose(candidates, "bic")].n_components > 3


def test_restarts_that_agree_on_too_few_lose_to_bic():
    """One cluster far from the other two: two components are as stable as three."""
    X = three(600, "normal", np.array([[0.0, 0.0], [8.0, 0.0], [20.0, 16.0]]))
    grid = Grid((1, 2, 3), n_init=4, init_params="kmeans", tol=1e-5, max_iter=300)
    candidates, _ = evaluate(LocalEngine(1), ArraySource(X), grid, fitted(X, grid), stability=True)
    assert candidates[1].stability == pytest.approx(1.0, abs=1e-3)
    assert candidates[2].stability == pytest.approx(1.0, abs=1e-3)
    assert candidates[choose(candidates, "stability")].n_components == 3
    assert math.isnan(candidates[0].stability)


def test_all_criteria_come_from_one_pass_over_their_own_rows():
    X = three(800, "normal")
    share = RowShare(5, "held out", 0.3, inside=False)
    words = {"n_init": 2, "init_params": "random_from_data", "max_iter": 8}
    grid = Grid((2, 4), ("full", "diag"), rows=share, **words)
    fits = fitted(X, grid)
    engine = LocalEngine(1)
    candidates, comparison = evaluate(engine, ArraySource(X), grid, fits, stability=True)
    assert len(engine.history) == 1
    plain, same = evaluate(engine, ArraySource(X), grid, fits)
    assert comparison is not None
    assert [c.held_out for c in candidates] == [c.held_out for c in plain] == list(same.mean)
    assert [c.bic for c in candidates] == [c.bic for c in plain]
    assert all(math.isnan(c.stability) for c in plain)

    train = X[share.mask(Block(X, 0))]
    labels = [posterior(fit.template.prepare(), train)[1].argmax(axis=1) for fit in fits]
    order = [(0, 1), (2, 3), (4, 5), (6, 7)]  # two restarts of each candidate
    best = [max(pair, key=lambda i: fits[i].lower_bound) for pair in order]
    for i, (a, b) in enumerate(order):
        one, other, near = labels[a], labels[b], labels[best[i ^ 1]]
        found = candidates[i].agreement
        assert found.restarts == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)
        assert found.restarts_fm == pytest.approx(fowlkes_mallows_score(one, other), abs=1e-12)
        wanted = adjusted_rand_score(labels[best[i]], near)
        assert found.neighbours == pytest.approx(wanted, abs=1e-12)


def test_a_single_fit_has_nothing_to_compare():
    X = three(300, "normal")
    grid = Grid((3,), max_iter=20)
    (one,), _ = evaluate(LocalEngine(1), ArraySource(X), grid, fitted(X, grid), stability=True)
    assert math.isnan(one.stability)
    assert math.isnan(one.agreement.neighbours)
    assert one.n_rows == 300
