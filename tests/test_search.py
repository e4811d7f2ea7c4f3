"""The grid: which fits there are, in which order, under which floor."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.errors import ConfigError
from gmm_dask.families.floors import RelativeFloor, Ridge
from gmm_dask.initial import AUTO, Ground
from gmm_dask.search import Grid, floor_of, restarts, template
from tests.strategies import KINDS, clusters, frame_of

X, _ = clusters(300, 3, 3)
GROUND = Ground(frame_of(X), X)


def test_all_pairs_and_restarts_in_order():
    grid = Grid((2, 4), ("full", "diag"), n_init=3)
    fits = restarts(grid, GROUND)
    assert [(f.covariance_type, f.n_components, f.index) for f in fits] == [
        (kind, K, index) for kind in ("full", "diag") for K in (2, 4) for index in range(3)
    ]


def test_auto_takes_turns():
    fits = restarts(Grid((2,), n_init=5, init_params="auto"), GROUND)
    assert [fit.init for fit in fits] == [AUTO[i % len(AUTO)] for i in range(5)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_is_the_total_covariance(kind):
    mixture = template(Grid((3,), (kind,)), GROUND.frame, 3, kind)
    S = np.cov(X.T, bias=True)
    if kind == "spherical":
        S = np.eye(3) * np.trace(S) / 3
    elif kind == "diag":
        S = np.diag(np.diag(S))
    np.testing.assert_allclose(mixture.dense_covariances, np.repeat(S[None], 3, 0), atol=1e-10)
    np.testing.assert_allclose(mixture.means, np.repeat(X.mean(0)[None], 3, 0), atol=1e-12)
    np.testing.assert_allclose(mixture.weights, 1 / 3)


def test_a_restart_does_not_depend_on_its_company():
    alone = restarts(Grid((3,), ("diag",), n_init=1, seed=5), GROUND)[0]
    grid = Grid((2, 3, 7), ("full", "diag"), n_init=4, seed=5)
    among = next(
        f
        for f in restarts(grid, GROUND)
        if (f.covariance_type, f.n_components, f.index) == ("diag", 3, 0)
    )
    assert alone.ask().fingerprint == among.ask().fingerprint


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random_from_data"])
def test_the_sample_of_a_fit_does_not_depend_on_other_k(init):
    """A fit alone and in a grid must start from the same rows."""
    small, large = Grid((2,), init_params=init), Grid((2, 400), init_params=init)
    from gmm_dask.folds.sample import Sample
    from tests.strategies import ask

    rows = np.random.default_rng(0).normal(size=(21000, 2))
    frame = frame_of(rows)

    def start(grid: Grid):
        sample = ask(Sample(grid.sample_size, 2, grid.seed), rows).values
        fit = restarts(Grid((2,), init_params=init), Ground(frame, sample))[0]
        return fit.template.params.means

    np.testing.assert_allclose(start(small), start(large), rtol=1e-10)


def test_floors():
    frame = GROUND.frame
    assert isinstance(floor_of(Grid((1,)), frame), RelativeFloor)
    ridge = floor_of(Grid((1,), reg_covar=0.5), frame)
    assert isinstance(ridge, Ridge)
    np.testing.assert_allclose(ridge.added * frame.scale**2, 0.5)


def test_words_are_checked():
    with pytest.raises(ConfigError, match=r"'ful'; one of full"):
        Grid((2,), ("ful",))
    with pytest.raises(ConfigError, match=r"'k-means'; one of auto, merging, kmeans"):
        Grid((2,), init_params="k-means")
