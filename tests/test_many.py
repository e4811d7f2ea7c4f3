"""`run_grid`: shared passes, held-out rows, checkpoints and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.blocks import ArraySource, Block
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import DataError
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.score import posterior
from gmm_dask.many import run_grid
from gmm_dask.search import Grid
from gmm_dask.state import CheckpointSettings
from tests.strategies import clusters

X, _ = clusters(900, 2, 3, seed=4, apart=4.0)
SOURCE = ArraySource(X)


def run(grid: Grid, **options):
    return run_grid(SOURCE, grid, LocalEngine(1), **options)


def test_candidates_are_in_the_order_of_the_grid():
    grid = Grid((3, 1, 2), ("diag", "full"), max_iter=300, n_init=2)
    result = run(grid)
    found = [(c.covariance_type, c.n_components) for c in result.candidates]
    assert found == [(kind, K) for kind in ("diag", "full") for K in (3, 1, 2)]
    assert all(len(c.restarts) == 2 for c in result.candidates)
    assert result.comparison is None
    bics = [c.bic for c in result.candidates]
    assert result.choose() == int(np.argmin(bics))


def test_the_best_restart_is_kept():
    result = run(Grid((4,), n_init=6, init_params="random_from_data", max_iter=500))
    (c,) = result.candidates
    bounds = [r.lower_bound for r in c.restarts if not r.problems]
    assert bounds == sorted(bounds, reverse=True)
    assert c.lower_bounds[-1] == bounds[0]
    assert sorted(r.number for r in c.restarts) == list(range(6))
    assert c.log_likelihood_per_row >= bounds[0] - 1e-12  # one M-step later


def test_held_out_scores_are_direct():
    share = RowShare(5, "held out", 0.3, inside=False)
    result = run(Grid((1, 2, 3), rows=share, max_iter=300))
    train = share.mask(Block(X, 0))
    for i, c in enumerate(result.candidates):
        logs, _ = posterior(c.mixture.prepare(), X)
        assert c.n_rows == train.sum()
        assert c.log_likelihood == pytest.approx(logs[train].sum(), rel=1e-11)
        held = logs[~train]
        assert c.held_out == pytest.approx(held.mean(), rel=1e-11)
        assert c.held_out_error == pytest.approx(held.std() / np.sqrt(len(held)), rel=1e-8)
        assert result.comparison.mean[i] == c.held_out
        assert c.bic == pytest.approx(
            -2 * logs[train].sum() + c.n_parameters * np.log(train.sum()), rel=1e-11
        )
    best = max(range(3), key=lambda i: result.candidates[i].held_out)
    assert result.choose("held_out") == best


def test_held_out_rows_are_not_seen_by_the_fit():
    share = RowShare(5, "held out", 0.3, inside=False)
    spoilt = X.copy()
    spoilt[~share.mask(Block(X, 0))] += 500.0
    for init in ("kmeans", "k-means||", "random", "random_from_data", "k-means++"):
        grid = Grid((2,), rows=share, init_params=init, max_iter=5)
        one = run(grid).candidates[0].mixture
        other = run_grid(ArraySource(spoilt), grid, LocalEngine(1)).candidates[0].mixture
        np.testing.assert_allclose(one.means, other.means, rtol=1e-9)


def test_no_held_out_row_is_an_error():
    """Without this the held-out score would be the training score."""
    rows = RowShare(0, "held out", 1e-9, inside=False)
    with pytest.raises(DataError, match="held"):
        run(Grid((1, 2), rows=rows))


def test_bad_values_among_held_out_rows_are_refused():
    share = RowShare(5, "held out", 0.3, inside=False)
    spoilt = X.copy()
    row = int(np.flatnonzero(~share.mask(Block(X, 0)))[2])
    spoilt[row, 1] = np.nan
    with pytest.raises(DataError, match=rf"no x1 \(first: row {row}\)"):
        run_grid(ArraySource(spoilt), Grid((1, 2), rows=share), LocalEngine(1))


def test_fewer_training_rows_than_components_are_refused():
    few = ArraySource(X[:6])
    with pytest.raises(DataError, match="n_components"):
        run_grid(few, Grid((5,), rows=RowShare(1, "held out", 0.7, inside=False)), LocalEngine(1))


def test_one_singular_start_does_not_end_the_grid():
    """Without a floor a start may be singular; the others must go on."""
    rows = np.concatenate([X, np.full((40, 2), 60.0)])
    grid = Grid((1, 4), reg_covar=0.0, max_iter=50)
    result = run_grid(ArraySource(rows), grid, LocalEngine(1))
    one, four = result.candidates
    assert one.converged
    assert four.degenerate
    assert result.choose() == 0


def test_one_pass_serves_all_fits():
    engine = LocalEngine(1)
    result = run_grid(SOURCE, Grid((1, 2, 3), n_init=3, max_iter=300), engine)
    # the first pass, the sample, the shared passes, the scores
    assert len(engine.history) == result.n_passes + 3


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_killed_and_gone_on_is_the_same_run(tmp_path, stop):
    grid = Grid((2, 3), ("full", "tied"), n_init=2, init_params="k-means||", max_iter=300)
    whole = run(grid)

    class KilledError(Exception):
        pass

    def kill(done):
        if done.number == stop + 1:
            raise KilledError

    settings = CheckpointSettings(tmp_path / "c", every_passes=1)
    with pytest.raises(KilledError):
        run(grid, checkpoint=settings, watch=[kill])
    resumed = []
    rest = run(grid, checkpoint=settings, on_resume=resumed.append)
    assert resumed[0].number == stop
    assert rest.resumed is not None
    assert rest.n_passes == whole.n_passes
    for a, b in zip(rest.candidates, whole.candidates, strict=True):
        assert a.mixture.fingerprint == b.mixture.fingerprint
        assert a.restarts == b.restarts


def test_a_finished_run_does_nothing_again(tmp_path):
    settings = CheckpointSettings(tmp_path / "c")
    grid = Grid((2,), max_iter=300)
    first = run(grid, checkpoint=settings)
    engine = LocalEngine(1)
    again = run_grid(SOURCE, grid, engine, checkpoint=settings)
    assert again.candidates[0].mixture.fingerprint == first.candidates[0].mixture.fingerprint
    assert len(engine.history) == 1  # the scores
