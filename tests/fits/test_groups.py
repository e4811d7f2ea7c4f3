"""Moments of groups and what merging them costs, from definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree, linkage

from gmm_dask.fits.groups import grouped, groups_of, mixture_of, pooled, second_moments
from gmm_dask.fits.merge_cost import costs, joined, spread, tied_costs
from gmm_dask.fits.merging import MergeTree
from gmm_dask.fits.starts import started
from gmm_dask.kernels.types import EStepSums, GaussianMoments
from gmm_dask.search import Grid, template
from tests.strategies import KINDS, clusters, frame_of

X, LABELS = clusters(600, 3, 4, seed=3, apart=8.0)
ONES = np.ones(len(X))


def base(rows: np.ndarray, kind: str, K: int):
    return template(Grid((K,), (kind,)), frame_of(rows), K, kind)


# Moments.


def test_grouped_and_pooled_are_numpy_s():
    groups = grouped(X, ONES, LABELS)
    for g in range(4):
        rows = X[g == LABELS]
        assert groups.weights[g] == len(rows)
        np.testing.assert_allclose(groups.means[g], rows.mean(axis=0), rtol=1e-12)
        scatter = np.cov(rows.T, bias=True) * len(rows)
        np.testing.assert_allclose(groups.scatters[g], scatter, rtol=1e-10, atol=1e-10)
    union = pooled(groups, np.array([0, 1, 0, 1]))
    for u, members in enumerate(((0, 2), (1, 3))):
        rows = X[np.isin(LABELS, members)]
        np.testing.assert_allclose(union.means[u], rows.mean(axis=0), rtol=1e-12)
        scatter = np.cov(rows.T, bias=True) * len(rows)
        np.testing.assert_allclose(union.scatters[u], scatter, rtol=1e-10)


def test_moments_far_from_the_origin_keep_their_digits():
    near, far = grouped(X, ONES, LABELS), grouped(X + 2.0**33, ONES, LABELS)
    rounded = grouped((X + 2.0**33) - 2.0**33, ONES, LABELS)
    np.testing.assert_allclose(far.scatters, rounded.scatters, rtol=1e-7, atol=1e-7)
    assert not np.array_equal(near.scatters, far.scatters)


def test_weights_are_repetitions():
    times = np.random.default_rng(0).integers(1, 4, len(X))
    weighted = grouped(X, times.astype(float), LABELS)
    repeated = grouped(np.repeat(X, times, axis=0), np.ones(times.sum()), np.repeat(LABELS, times))
    for a, b in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_mixture_of_a_mixtures_own_groups_is_that_mixture(kind):
    mixture = mixture_of(base(X, kind, 4), grouped(frame_of(X, kind).forward(X), ONES, LABELS))
    again = mixture_of(mixture, groups_of(mixture, 600.0))
    np.testing.assert_allclose(again.weights, mixture.weights, rtol=1e-12)
    np.testing.assert_allclose(again.params.means, mixture.params.means, rtol=1e-12)
    ours, theirs = again.params.covariances, mixture.params.covariances
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


# Costs.


def classification_likelihood(rows: np.ndarray, labels: np.ndarray, kind: str) -> float:
    """Twice the maximised sum of log densities of rows under their own group's Gaussian.

    Without weights of the groups, and without the constants common to all partitions.
    """
    scatters = {}
    for g in np.unique(labels):
        y = rows[labels == g] - rows[labels == g].mean(axis=0)
        scatters[g] = len(y), y.T @ y
    D = rows.shape[1]
    if kind == "tied":
        total = sum(W for _, W in scatters.values())
        return -len(rows) * float(np.linalg.slogdet(total / len(rows))[1])
    log_det = {
        "full": lambda S: np.linalg.slogdet(S)[1],
        "diag": lambda S: np.log(np.diag(S)).sum(),
        "spherical": lambda S: D * np.log(np.trace(S) / D),
    }[kind]
    return -float(sum(n * log_det(W / n) for n, W in scatters.values()))


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_what_the_classification_likelihood_loses(kind):
    groups = grouped(X, ONES, LABELS)
    before = classification_likelihood(X, LABELS, kind)
    for i, j in itertools.combinations(range(4), 2):
        after = classification_likelihood(X, np.where(j == LABELS, i, LABELS), kind)
        if kind == "tied":
            found = tied_costs(groups.weights, groups.means, groups.scatters.sum(axis=0))[i, j]
        else:
            found = costs(groups, i, np.array([j]), kind, 0.0)[0]
        assert found == pytest.approx(before - after, rel=1e-9)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_groups_of_one_row_have_finite_costs(kind):
    groups = grouped(X[:5], np.ones(5), np.arange(5))
    assert np.isfinite(spread(groups, kind, 5.0)).all()
    assert np.isfinite(costs(groups, 0, np.arange(1, 5), kind, 5.0)).all()


def test_tied_merging_of_single_rows_in_a_fixed_metric_is_wards():
    """With a prior of many rows the pooled covariance does not move, and Ward's method is left."""
    rows = X[:40]  # groups are one row each
    groups = grouped(rows, np.ones(40), np.arange(40))
    steps = []
    left = np.arange(40)
    while len(left) > 1:  # the costs alone, driven by the definition of Ward's method
        cost = tied_costs(groups.weights[left], groups.means[left], 1e9 * np.eye(3))
        np.fill_diagonal(cost, np.inf)
        i, j = sorted(left[list(np.unravel_index(cost.argmin(), cost.shape))])
        union = joined(groups, i, np.array([j]))
        for part, new in zip(groups, union, strict=True):
            part[i] = new[0]
        left = left[left != j]
        steps.append((i, j))
    tree = MergeTree(grouped(rows, np.ones(40), np.arange(40)), np.array(steps))
    for K in (2, 5, 11):
        labels = cut_tree(linkage(rows, "ward"), K)[:, 0]
        theirs = np.sort(np.bincount(labels))
        np.testing.assert_array_equal(np.sort(tree.cut(K).weights), theirs)


def test_second_moments_are_those_of_the_kernels():
    """The shape of a type's moments, as the M-step expects them."""
    mixture = base(X, "tied", 4)
    groups = grouped(mixture.frame.forward(X), ONES, LABELS)
    for kind in KINDS:
        own = base(X, kind, 4)
        second = second_moments(groups.scatters, kind)
        assert second.shape == own.family.zero_moments(4, 3).second.shape
    moments = GaussianMoments(np.zeros((4, 3)), second_moments(groups.scatters, "tied"))
    none = np.zeros(())
    sums = EStepSums(none, np.asarray(600.0), groups.weights[None], moments, none)
    assert np.isfinite(started(mixture, sums).params.covariances).all()
