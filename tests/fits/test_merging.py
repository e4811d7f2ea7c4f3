from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from gmm_dask.errors import DataError
from gmm_dask.fits.clustering import kmeans_labels
from gmm_dask.fits.groups import grouped, pooled
from gmm_dask.fits.merge_cost import spread
from gmm_dask.fits.merging import (
    MergeTree,
    merge_tree,
    merged_start,
    merges,
    sharpened,
    small_clusters,
)
from gmm_dask.initial import metric_of
from gmm_dask.kernels import table
from gmm_dask.search import Grid, template
from tests.strategies import KINDS, clusters, frame_of

X, LABELS = clusters(600, 3, 4, seed=3, apart=8.0)
ONES = np.ones(len(X))


def base(rows: np.ndarray, kind: str, K: int):
    return template(Grid((K,), (kind,)), frame_of(rows), K, kind)


def tree_of(rows: np.ndarray, kind: str, K: int, weights=None, seed: int = 0) -> MergeTree:
    mixture = base(rows, kind, K)
    points = mixture.frame.forward(rows)
    return merge_tree(points, weights, kind, K, seed, metric_of(mixture.frame, "whitened"))


def cigars(D: int, n: int, seed: int, apart: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Two parallel clusters, 100 times as long as wide, side by side in rotated axes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    rows = rng.normal(size=(n, D))
    rows[:, 0] *= 100.0
    rows[:, 1] += apart * labels
    turn, _ = np.linalg.qr(rng.normal(size=(D, D)))
    return rows @ turn.T, labels


# The tree.


def replayed(groups, kind: str) -> list[tuple[int, int]]:
    """Greedy merging with every cost computed anew from its definition at each step."""
    D = groups.means.shape[1]
    member = {g: [g] for g in range(len(groups.weights))}
    order = []

    def total(parts) -> float:
        labels = np.empty(len(groups.weights), int)
        for place, members in enumerate(parts):
            labels[members] = place
        union = pooled(groups, labels)
        if kind == "tied":
            within = union.scatters.sum(axis=0) + (D + 2) * np.eye(D)
            return union.weights.sum() * np.linalg.slogdet(within)[1]
        return spread(union, kind, D + 2.0).sum()

    while len(member) > 1:
        values = {}
        for i, j in itertools.combinations(sorted(member), 2):
            parts = [m for g, m in member.items() if g not in (i, j)]
            values[i, j] = total([*parts, member[i] + member[j]])
        i, j = min(values, key=values.__getitem__)
        member[i] += member.pop(j)
        order.append((i, j))
    return order


@pytest.mark.parametrize("kind", KINDS)
def test_merges_are_the_greedy_ones(kind):
    rng = np.random.default_rng(1)
    label = np.unique(rng.integers(0, 12, len(X)) + 12 * (X[:, 0] > X[:, 0].mean()), True, True)[2]
    groups = grouped(X, ONES, label).select(np.arange(0, label.max() + 1, 2))
    groups = groups.seen(sharpened(groups, kind, np.eye(3)).metric)
    assert merges(groups, kind).tolist() == [list(step) for step in replayed(groups, kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_one_tree_serves_every_number_of_components(kind):
    tree = tree_of(X, kind, 9)
    points = base(X, kind, 9).frame.forward(X)
    finer: np.ndarray = np.zeros(0)
    for K in range(1, 10):
        groups = tree.cut(K)
        assert len(groups.weights) == K
        assert groups.weights.sum() == pytest.approx(600.0)
        whole = pooled(groups, np.zeros(K, int))
        np.testing.assert_allclose(whole.means[0], points.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(whole.scatters[0], np.cov(points.T, bias=True) * 600, rtol=1e-9)
        # one group more comes of cutting one in two
        assert len({*np.round(groups.means[:, 0], 12)} - {*finer}) <= 2 or K == 1
        finer = np.round(groups.means[:, 0], 12)


def test_clusters_far_apart_are_found_whole():
    tree = tree_of(X, "full", 4)
    np.testing.assert_array_equal(np.sort(tree.cut(4).weights), np.sort(np.bincount(LABELS)))


@pytest.mark.parametrize("kind", KINDS)
def test_start_is_the_m_step_of_the_groups(kind):
    mixture = base(X, kind, 4)
    tree = tree_of(X, kind, 4)
    found = merged_start(mixture, tree)
    n, m, W = tree.cut(4)
    np.testing.assert_allclose(found.weights[0], n / 600)
    np.testing.assert_allclose(found.params.means, m)
    expected = {
        "full": W / n[:, None, None],
        "tied": W.sum(axis=0) / 600,
        "diag": np.array([np.diag(S) / c for S, c in zip(W, n, strict=True)]),
        "spherical": np.array([np.trace(S) / (3 * c) for S, c in zip(W, n, strict=True)]),
    }[kind]
    np.testing.assert_allclose(found.params.covariances, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_affine_maps_change_nothing(kind):
    rows, _ = cigars(4, 3000, 2)
    rng = np.random.default_rng(5)
    units = np.array([1.0, 1e3, 1e-2, 1.0])
    M, b = units[:, None] * rng.normal(size=(4, 4)), 1e3 * rng.normal(size=4)
    plain = merged_start(base(rows, kind, 3), tree_of(rows, kind, 3))
    mapped = merged_start(base(rows @ M.T + b, kind, 3), tree_of(rows @ M.T + b, kind, 3))
    np.testing.assert_allclose(mapped.weights, plain.weights, rtol=1e-9)
    size = np.abs(plain.means @ M.T + b).max(axis=0)
    np.testing.assert_allclose(mapped.means / size, (plain.means @ M.T + b) / size, atol=1e-8)
    expected = M @ plain.dense_covariances @ M.T
    scale = np.sqrt(np.einsum("kii->ki", expected))
    outer = scale[:, :, None] * scale[:, None, :]
    np.testing.assert_allclose(mapped.dense_covariances / outer, expected / outer, atol=1e-7)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_units_of_columns_change_nothing(kind):
    unit = np.array([1e-7, 1.0, 1e9])
    plain, scaled = tree_of(X, kind, 4).cut(4), tree_of(X * unit, kind, 4).cut(4)
    np.testing.assert_array_equal(plain.weights, scaled.weights)


def test_weights_are_repeated_rows_where_the_small_clusters_are_the_same():
    """Two rows of weight 3 and 1 pull k-means as four rows do."""
    rows = np.repeat(np.arange(12.0)[:, None] ** 2, 2, axis=1) * np.array([1.0, -0.5])
    rows += np.random.default_rng(0).normal(0, 1e-3, rows.shape)
    weights = np.arange(1.0, 13.0)
    label = np.arange(12)
    tree = MergeTree(grouped(rows, weights, label), merges(grouped(rows, weights, label), "full"))
    repeated = np.repeat(rows, np.arange(1, 13), axis=0)
    groups = grouped(repeated, np.ones(78), np.repeat(label, np.arange(1, 13)))
    np.testing.assert_array_equal(merges(groups, "full"), tree.merges)
    np.testing.assert_array_equal(tree.cut(3).weights.sum(), 78.0)


def test_the_same_seed_gives_the_same_bits_and_others_differ():
    one, two, other = tree_of(X, "full", 4), tree_of(X, "full", 4), tree_of(X, "full", 4, seed=1)
    for a, b in zip((*one.groups, one.merges), (*two.groups, two.merges), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.groups.weights, other.groups.weights)
    copy = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(copy.merges, one.merges)


def test_number_of_small_clusters():
    assert small_clusters(20000, 2, 3) == 64
    assert small_clusters(20000, 2, 40) == 160
    assert small_clusters(20000, 2, 100) == 256
    assert small_clusters(20000, 2, 500) == 1000
    assert small_clusters(600, 30, 3) == 18  # rows enough for a shape
    assert small_clusters(100, 30, 10) == 10
    assert small_clusters(8, 2, 8) == 8


def test_few_distinct_rows():
    rows = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), 50, axis=0)
    tree = tree_of(rows, "full", 3)
    np.testing.assert_array_equal(np.sort(tree.cut(3).weights), [50, 50, 50])
    mixture = merged_start(base(rows, "full", 3), tree)
    mixture.family.validate(mixture.params)  # the floor holds
    with pytest.raises(DataError, match="3 distinct small clusters were found in the sample, 5"):
        tree.cut(5)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_and_copied_columns(kind):
    rows = np.column_stack([X, np.full(600, 7.0), X[:, 0]])
    mixture = merged_start(base(rows, kind, 4), tree_of(rows, kind, 4))
    assert np.isfinite(mixture.params.means).all()
    assert np.isfinite(mixture.params.covariances).all()
    assert mixture.weights.sum() == pytest.approx(1.0, rel=1e-12)


# The metric.


def test_sharpened_makes_small_clusters_round():
    groups = grouped(X, ONES, LABELS)
    for kind in ("full", "tied"):
        metric, elongation = sharpened(groups, kind, np.eye(3))
        within = groups.seen(metric).scatters.sum(axis=0) / 600
        np.testing.assert_allclose(within, np.eye(3), atol=1e-10)
        before = np.linalg.eigvalsh(groups.scatters.sum(axis=0))
        assert elongation == pytest.approx(before[-1] / before[0], rel=1e-9)
        assert sharpened(groups, kind, metric).elongation == pytest.approx(1.0, abs=1e-8)
    for kind, wanted in (("diag", np.ones(3)), ("spherical", 3.0)):
        within = groups.seen(sharpened(groups, kind, np.eye(3)).metric).scatters.sum(axis=0) / 600
        got = np.diag(within) if kind == "diag" else np.trace(within)
        np.testing.assert_allclose(got, wanted, rtol=1e-10)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_gap_that_k_means_does_not_see(seed):
    """At D = 30 two cigars side by side: the total covariance hides the gap, merging finds it."""
    rows, labels = cigars(30, 4000, seed)
    mixture = merged_start(base(rows, "full", 2), tree_of(rows, "full", 2))
    found = table.assign(mixture.prepare().ready, rows).label
    assert adjusted_rand_score(labels, found) > 0.9
    centres = kmeans_labels(rows, None, 2, metric_of(mixture.frame, "whitened"), seed, 300)
    assert adjusted_rand_score(labels, centres) < 0.1
