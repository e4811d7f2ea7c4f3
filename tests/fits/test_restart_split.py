"""The trap of identical components: EM alone stays in it, a restart gets out."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask import ArraySource, Grid, LocalEngine, find_frame
from gmm_dask.drive import drive
from gmm_dask.fits.em import EM
from gmm_dask.initial import Ground
from gmm_dask.search import restarts
from tests.strategies import KINDS

RNG = np.random.default_rng(3)
X = np.concatenate([RNG.normal(size=(300, 2)) - 4, RNG.normal(size=(300, 2)) + 4])


def begun(kind: str):
    engine, source = LocalEngine(1), ArraySource(X)
    frame, _ = find_frame(engine, source)
    given = {"means": np.repeat(X.mean(axis=0)[None], 2, axis=0), "weights": np.array([0.5, 0.5])}
    grid = Grid((2,), (kind,), tol=1e-8, max_iter=500, init_params="random_from_data")
    return restarts(grid, Ground(frame, X), given)[0], engine, source


@pytest.mark.parametrize("kind", KINDS)
def test_equal_means_are_parted(kind):
    fit, engine, source = begun(kind)
    ended = drive([fit], engine, source).fits[0]
    means = ended.em.mixture.means
    assert np.allclose(np.sort(means[:, 0]), [-4, 4], atol=0.2)
    assert "identical" in ended.spread[0]
    assert ended.em.n_iter > 1


def test_em_alone_stays_in_the_trap():
    fit, engine, source = begun("full")
    assert isinstance(fit.em, EM)
    em = fit.em
    for _ in range(50):
        em = em.tell(engine.fold(em.ask(), source))
    assert np.abs(np.diff(em.mixture.means, axis=0)).max() < 1e-9
