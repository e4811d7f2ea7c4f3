"""Nested samples: how large, who climbs, and that the answer is that of all rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.mixture import GaussianMixture as Reference

from gmm_dask import ArraySource, Grid, LocalEngine, run_grid
from gmm_dask.drive import PassDone
from gmm_dask.fits.base import Outcome
from gmm_dask.ladder import LARGEST_BYTES, SHARE, SMALLEST, Rung, entrants, rungs


def clusters(n_rows: int, K: int = 6, D: int = 3) -> np.ndarray:
    rng = np.random.default_rng(5)
    centres = 3 * rng.normal(size=(K, D))
    return centres[rng.integers(K, size=n_rows)] + rng.normal(size=(n_rows, D))


@pytest.mark.parametrize(("n_rows", "K", "D"), [(10**6, 20, 10), (10**9, 1000, 64), (10**8, 2, 1)])
def test_samples_are_small_beside_the_data_and_large_beside_the_model(n_rows, K, D):
    found = rungs(Grid((2, K), n_init=8), n_rows, D)
    sizes = [rung.rows for rung in found]
    assert all(b == 4 * a for a, b in pairwise(sizes))
    assert sizes[0] >= max(SMALLEST, 8 * K * (D + 1))
    assert sizes[-1] <= n_rows / SHARE
    assert sizes[-1] * D * 8 <= LARGEST_BYTES
    keeps = [8, *(rung.keep for rung in found)]
    assert all(2 <= b <= -(-a // 2) or b == 2 for a, b in pairwise(keeps))


def test_few_rows_have_no_ladder():
    assert rungs(Grid((3,), n_init=5), SHARE * SMALLEST - 1, 2) == ()
    assert len(rungs(Grid((3,), n_init=5), SHARE * SMALLEST, 2)) == 1


def test_one_start_is_kept_all_the_way():
    assert {rung.keep for rung in rungs(Grid((3,), n_init=1), 10**8, 2)} == {1}


def race(rows: np.ndarray, watch=(), **changes):
    grid = Grid((6,), ("full",), 5, "auto", 1e-7, 500, accelerate=True, race=True, **changes)
    return run_grid(ArraySource(rows), grid, LocalEngine(2), watch=watch)


def test_the_end_is_an_optimum_of_all_rows():
    """EM of scikit-learn, begun where the race ended, stays there."""
    rows = clusters(80_000)
    winner = race(rows).candidates[0]
    assert winner.converged
    mixture = winner.mixture
    means = mixture.frame.backward(mixture.params.means)
    scale = mixture.frame.scale
    covariances = mixture.params.covariances * np.outer(scale, scale)
    peer = Reference(
        6,
        tol=0,
        max_iter=20,
        reg_covar=0,
        weights_init=mixture.weights[0],
        means_init=means,
        precisions_init=np.linalg.inv(covariances),
    )
    with pytest.warns(match="converge"):
        peer.fit(rows)
    # tol is the gain that may remain
    assert peer.lower_bound_ - winner.log_likelihood_per_row < 3e-7
    assert np.allclose(np.sort(peer.means_, axis=0), np.sort(means, axis=0), atol=0.01)


def test_watchers_hear_of_samples_and_of_passes_over_all_rows():
    seen: list[PassDone] = []
    result = race(clusters(80_000), [seen.append])
    samples = [done.sample for done in seen]
    assert samples[0] == 4096
    assert samples[-1] is None
    assert sum(sample is None for sample in samples) == result.n_passes


def test_everyone_is_accounted_for():
    done: list[PassDone] = []
    race(clusters(80_000), [done.append])
    fits = done[-1].fits
    out = [fit for fit in fits if fit.outcome is Outcome.DROPPED]
    assert len(fits) == 5
    assert len(out) >= 3
    for fit in out:
        assert fit.dropped is not None
        assert fit.dropped.rows in (4096, 80_000)
        assert fit.dropped.n_iter > 0
        assert fit.dropped.leader != fit.index


def test_blocks_change_nothing():
    """The sample is of absolute rows, so the way rows are cut does not enter the race."""
    rows = clusters(80_000)
    grid = Grid((4,), ("diag",), 4, "auto", 1e-6, 5, accelerate=True, race=True)
    means = []
    for block_rows in (4096, 40960):
        ends: list[PassDone] = []
        run_grid(ArraySource(rows), grid, LocalEngine(2, block_rows), watch=[ends.append])
        climbed = next(done for done in reversed(ends) if done.sample)
        means.append([fit.em.mixture.params.means for fit in climbed.fits if fit.em])
    # the frame's moments are summed in another order
    assert all(np.allclose(a, b, rtol=0, atol=1e-9) for a, b in zip(*means, strict=True))


def test_parameters_that_are_given_are_obeyed():
    rows = clusters(80_000)
    seen: list[PassDone] = []
    grid = Grid((2,), ("full",), 2, race=True)
    given = {"means": rows[:2]}
    run_grid(ArraySource(rows), grid, LocalEngine(2), given=given, watch=[seen.append])
    assert all(done.sample is None for done in seen)


@pytest.mark.data
@pytest.mark.parametrize("seed", range(3))
def test_small_data_are_raced_on_all_rows(shared_data, seed):
    """BIC 2332.497: scikit-learn's best of 50 starts; a merging start alone stops at 2342.12."""
    rows = pd.read_csv(shared_data / "classic" / "faithful.csv").to_numpy(float)
    grid = Grid((3,), ("diag",), 2, "auto", 1e-7, 1000, seed=seed, accelerate=True, race=True)
    seen: list[PassDone] = []
    found = run_grid(ArraySource(rows), grid, LocalEngine(1), watch=[seen.append]).candidates[0]
    assert found.bic <= 2332.497 + 5e-3
    assert [restart.number for restart in found.restarts] in ([0, 1], [1, 0])
    assert seen[0].sample == len(rows)


def test_who_begins_on_small_data():
    grid = Grid((3,), ("full",), 2, race=True)
    wide, ladder = entrants(grid, 1000, 2)
    assert wide.n_init > 10
    assert ladder == (Rung(1000, 2),)
    alone, slow = replace(grid, n_init=1), replace(grid, n_components=(100,))
    for same, n_rows, D in ((alone, 1000, 2), (grid, 20_000, 2), (slow, 16_000, 30)):
        assert entrants(same, n_rows, D) == (same, ())
    assert entrants(replace(grid, race=False), 1000, 2)[1] == ()
