from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.fits.base import Outcome
from gmm_dask.fits.groups import groups_of, pooled
from gmm_dask.fits.moves import merge_losses, moved, propose, splits
from gmm_dask.fits.split_merge import SplitMerge
from gmm_dask.folds.overlap import Overlap
from gmm_dask.mixture import Mixture
from gmm_dask.tree import fingerprint
from tests.fits.planted import BEST, LABELS, POOR, X, em, log_likelihood, of_labels, poor
from tests.strategies import KINDS, ask, mixture_near

WITH_SCALES = ("full", "diag", "spherical")


def overall(mixture: Mixture) -> list[np.ndarray]:
    """Return the mean and scatter of a whole mixture."""
    K = mixture.n_components
    _, mean, scatter = pooled(groups_of(mixture, 1.0), np.zeros(K, int))
    return [mean[0], scatter[0]]


# Losses of merges.


@pytest.mark.parametrize("kind", KINDS)
def test_loss_of_merging_clusters_far_apart_is_what_the_likelihood_loses(kind):
    rows = X + 20.0 * np.array([[0.0, 0.0], [1.0, 0.5], [12.0, 6.0], [24.0, 12.0]])[LABELS]
    mixture = of_labels(rows, LABELS, kind)
    sums = ask(Overlap(mixture), rows)
    losses = merge_losses(mixture, groups_of(mixture, float(len(rows))), sums)
    before = log_likelihood(mixture, rows)
    labels = np.array([0, 0, 1, 2])[LABELS]  # a union that reaches no other rows
    after = log_likelihood(of_labels(rows, labels, kind), rows)
    assert losses[0, 1] == pytest.approx(before - after, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_of_merging_a_component_with_its_copy_is_nothing(kind):
    one = mixture_near(X, kind, 2)
    S = one.params.covariances
    params = one.params._replace(
        means=one.params.means[[0, 0, 1]], covariances=S if kind == "tied" else S[[0, 0, 1]]
    )
    weights = one.weights[:, [0, 0, 1]] * np.array([0.5, 0.5, 1.0])
    twice = replace(one, params=params, weights=weights)
    sums = ask(Overlap(twice), X)
    n = float(sums.count[:2].sum())
    # the mixture expects the rows that it has
    twice = replace(twice, weights=sums.count[None] / 1200.0)
    loss = merge_losses(twice, groups_of(twice, 1200.0), sums)[0, 1]
    # a pair also shares rows with the third: 4 ln 2 sum r_i r_j is then an underestimate
    assert -0.3 * n < loss < 1e-6 * n
    assert loss == merge_losses(twice, groups_of(twice, 1200.0), sums)[:2, 1:].min()


# Splits.


def one_component(rows: np.ndarray, kind: str = "full") -> tuple[Mixture, np.ndarray]:
    return of_labels(rows, np.zeros(len(rows), int), kind), rows


def direction(mixture: Mixture, step: np.ndarray) -> np.ndarray:
    """Return a whitened step in source units, of length 1."""
    lower = np.linalg.cholesky(mixture.family.dense(mixture.params)[0])
    along = (lower @ step) * mixture.frame.scale
    return along / np.linalg.norm(along)


def test_gaussian_rows_promise_nothing():
    rng = np.random.default_rng(0)
    for D, n in ((2, 500), (5, 3000), (30, 6000)):
        rows = rng.normal(size=(n, D)) @ rng.normal(size=(D, D))
        mixture, _ = one_component(rows)
        split = splits(mixture, ask(Overlap(mixture), rows), 0)[0]
        # a likelihood ratio of a component more is of the order of its D + 1 parameters
        assert split.gain < D + 4


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_two_clusters_are_split_between_them(share):
    rng = np.random.default_rng(3)
    M = rng.normal(size=(5, 5))
    noise = rng.normal(size=(6000, 5))
    noise[:, 0] += 5.0 * (rng.random(6000) < share)
    rows = noise @ M.T
    mixture, _ = one_component(rows)
    split = splits(mixture, ask(Overlap(mixture), rows), 0)[0]
    assert split.gain > 100
    along = M[:, 0] / np.linalg.norm(M[:, 0])
    # 6000 rows: the direction is known to a few degrees
    assert abs(direction(mixture, split.step) @ along) > 0.99


def test_equal_halves_are_put_where_they_are():
    """Two clusters at +-2 of variance 1: the fourth moment says 2 / sqrt(5) of the whole's sd."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(40000, 2))
    rows[:, 0] += np.repeat([2.0, -2.0], 20000)
    mixture, _ = one_component(rows)
    split = splits(mixture, ask(Overlap(mixture), rows), 0)[0]
    assert np.linalg.norm(split.step) == pytest.approx(2.0 / np.sqrt(5.0), abs=0.02)


@pytest.mark.parametrize("kind", WITH_SCALES)
def test_a_core_and_a_halo_are_split_by_size(kind):
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4000, 3)) * np.where(rng.random((4000, 1)) < 0.3, 4.0, 1.0)
    mixture, _ = one_component(rows, kind)
    assert splits(mixture, ask(Overlap(mixture), rows), 0)[0].step is None


def test_a_tied_covariance_has_no_sizes_to_split_by():
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(4000, 3)) * np.where(rng.random((4000, 1)) < 0.3, 4.0, 1.0)
    mixture, _ = one_component(rows, "tied")
    assert all(split.step is not None for split in splits(mixture, ask(Overlap(mixture), rows), 0))


def test_a_long_cluster_of_round_components_is_split_along():
    rng = np.random.default_rng(6)
    rows = rng.normal(size=(3000, 2)) * np.array([8.0, 1.0])
    mixture, _ = one_component(rows, "spherical")
    split = splits(mixture, ask(Overlap(mixture), rows), 0)[0]
    assert abs(split.step[0]) > 50 * abs(split.step[1])


# Moves.


@pytest.mark.parametrize("kind", KINDS)
def test_a_move_keeps_the_moments(kind):
    mixture = of_labels(X, poor(), kind)
    sums = ask(Overlap(mixture), X)
    groups = groups_of(mixture, 1200.0)
    for k, step in ((2, np.array([0.3, -0.4])), (2, None), (0, np.array([0.0, 0.9]))):
        pair = (1, 3)
        split = splits(mixture, sums, k)[0]._replace(step=step)
        after = moved(mixture, groups, pair, split)
        assert after.n_components == 4
        assert after.weights.sum() == pytest.approx(1.0, rel=1e-12)
        before, found = overall(mixture), overall(after)
        np.testing.assert_allclose(found[0], before[0], atol=1e-12)
        if kind in ("full", "tied"):
            np.testing.assert_allclose(found[1], before[1], rtol=1e-9, atol=1e-12)
        else:  # only what the type keeps
            assert np.trace(found[1]) == pytest.approx(np.trace(before[1]), rel=1e-9)
        n = mixture.weights[0]
        union = (n[1] * mixture.params.means[1] + n[3] * mixture.params.means[3]) / (n[1] + n[3])
        np.testing.assert_allclose(after.params.means[1], union, atol=1e-12)
        half = 0.5 * (after.params.means[3] + after.params.means[k])
        np.testing.assert_allclose(half, mixture.params.means[k], atol=1e-12)
        untouched = ({0, 1, 2, 3} - {1, 3, k}).pop()
        np.testing.assert_allclose(
            after.params.means[untouched], mixture.params.means[untouched], atol=1e-12
        )


def test_the_first_move_mends_what_is_wrong():
    after = propose(POOR.mixture, ask(Overlap(POOR.mixture), X), 1)[0]
    assert em(after, X).lower_bounds[-1] == pytest.approx(BEST.lower_bounds[-1], abs=1e-6)


def test_moves_are_several_and_different():
    sums = ask(Overlap(POOR.mixture), X)
    moves = propose(POOR.mixture, sums, 6)
    assert len({fingerprint(move) for move in moves}) == 6
    assert (
        len(propose(POOR.mixture, sums, 1000)) == 6 * 2 * 3
    )  # every pair with every other one, three ways
    assert [fingerprint(m) for m in moves] == [
        fingerprint(m) for m in propose(POOR.mixture, sums, 6)
    ]


@pytest.mark.parametrize("K", [1, 2])
def test_fewer_than_three_components_have_no_moves(K):
    mixture = mixture_near(X, "full", K)
    assert propose(mixture, ask(Overlap(mixture), X), 6) == ()
    fit = SplitMerge(mixture, 1e-6, 100)
    assert fit.tell(ask(fit.ask(), X)).outcome is Outcome.CONVERGED


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_without_rows_may_be_merged_away(kind):
    mixture = of_labels(X, LABELS, kind)
    S = mixture.params.covariances
    params = mixture.params._replace(
        means=np.vstack([mixture.params.means, [[50.0, 50.0]]]),
        covariances=S if kind == "tied" else np.concatenate([S, S[:1]]),
    )
    empty = replace(mixture, params=params, weights=np.append(mixture.weights, 0.0)[None])
    for move in propose(empty, ask(Overlap(empty), X), 6):
        assert (move.weights > 0).all()
        assert np.isfinite(move.params.means).all()
        move.family.validate(move.params)


def test_moves_go_with_affine_maps():
    M, b = np.array([[30.0, 7.0], [0.0, 0.02]]), np.array([5.0, -1.0])
    there = X @ M.T + b
    mixture = of_labels(there, poor())
    plain = of_labels(X, poor())
    ours = propose(mixture, ask(Overlap(mixture), there), 4)
    theirs = propose(plain, ask(Overlap(plain), X), 4)
    for one, other in zip(ours, theirs, strict=True):
        expected = other.means @ M.T + b
        # halves may change places
        np.testing.assert_allclose(
            one.means[np.argsort(one.means[:, 0])],
            expected[np.argsort(expected[:, 0])],
            rtol=1e-7,
            atol=1e-7,
        )
