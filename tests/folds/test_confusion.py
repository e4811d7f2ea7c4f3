"""Confusion counts against labels computed one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics.cluster import contingency_matrix

from gmm_dask.blocks import Block, Observed, RowLayout
from gmm_dask.folds.confusion import TILE, Confusion
from gmm_dask.folds.rows import RowShare
from tests.oracle import Oracle, e_step
from tests.strategies import KINDS, ask, clusters, mixture_near

X, _ = clusters(2 * TILE + 77, 3, 4, apart=3.0)
MIXTURES = tuple(mixture_near(X, kind, K) for kind, K in zip(KINDS, (2, 3, 5, 1), strict=True))
PAIRS = ((0, 1), (2, 0), (1, 3), (2, 2))


def labels(mixture, rows):
    model = Oracle(mixture.weights[0], mixture.means, mixture.dense_covariances)
    return e_step(model, rows)[1].argmax(axis=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_are_those_of_the_labels(dtype):
    rows = X.astype(dtype)
    found = ask(Confusion(MIXTURES, PAIRS), rows)
    each = [labels(mixture, rows.astype(float)) for mixture in MIXTURES]
    for counts, (a, b) in zip(found, PAIRS, strict=True):
        K, L = MIXTURES[a].n_components, MIXTURES[b].n_components
        assert counts.shape == (K, L)
        wanted = np.zeros((K, L))
        present = np.ix_(np.unique(each[a]), np.unique(each[b]))
        wanted[present] = contingency_matrix(each[a], each[b])
        np.testing.assert_array_equal(counts, wanted)


def test_a_share_counts_its_rows_only():
    share = RowShare(7, "held out", 0.3, inside=False)
    (whole,) = ask(Confusion(MIXTURES[:2], ((0, 1),)), X[share.mask(Block(X, 0))])
    (found,) = ask(Confusion(MIXTURES[:2], ((0, 1),), share), X, [1000, 5000])
    np.testing.assert_array_equal(found, whole)


def test_each_mixture_labels_once(monkeypatch):
    from gmm_dask.kernels import table

    calls = []
    assign = table.assign
    monkeypatch.setattr(table, "assign", lambda *a: calls.append(a[0]) or assign(*a))
    ask(Confusion(MIXTURES[:3], PAIRS[:2]), X[:TILE])
    assert len(calls) == 3


def test_a_component_without_weight_counts_nothing():
    dead = replace(MIXTURES[1], weights=np.array([[0.6, 0.0, 0.4]]))
    (counts,) = ask(Confusion((dead, MIXTURES[0]), ((0, 1),)), X[:500])
    assert counts[1].sum() == 0
    assert counts.sum() == 500


def likeliest(mixture, row: np.ndarray) -> int:
    """Return the label of a row with holes: densities of what was observed."""
    seen = np.flatnonzero(~np.isnan(row))
    parts = zip(mixture.weights[0], mixture.means, mixture.dense_covariances, strict=True)
    logs = [
        np.log(w) + multivariate_normal(mean[seen], S[np.ix_(seen, seen)]).logpdf(row[seen])
        for w, mean, S in parts
    ]
    return int(np.argmax(logs))


def test_rows_with_holes_and_weights_count_once_each():
    rng = np.random.default_rng(2)
    rows = X[:300].copy()
    rows[rng.random(rows.shape) < 0.3] = np.nan
    weight = rng.choice([0.0, 0.2, 1.0, 7.5], 300)
    layout = RowLayout(3, sample_weight=True, missing=True)
    numbers = layout.join(Observed(rows, weight))
    (counts,) = ask(Confusion(MIXTURES[:2], ((0, 1),), RowShare.all_rows(layout)), numbers, [7])
    taken = rows[(weight > 0) & ~np.isnan(rows).all(axis=1)]
    wanted = np.zeros((2, 3))
    for row in taken:
        wanted[likeliest(MIXTURES[0], row), likeliest(MIXTURES[1], row)] += 1
    assert 100 < len(taken) < 250
    np.testing.assert_array_equal(counts, wanted)
