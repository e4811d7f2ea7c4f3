"""The loop: shared passes, watchers, search and Ctrl-C."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.blocks import ArraySource
from gmm_dask.drive import Interrupted, drive
from gmm_dask.engine.local import LocalEngine
from gmm_dask.fits.base import Outcome
from gmm_dask.initial import Ground
from gmm_dask.search import Grid, restarts
from tests.strategies import clusters, frame_of

X, _ = clusters(500, 2, 4, apart=4.0)
SOURCE = ArraySource(X)


def fits(**words):
    words = {"n_init": 2, "max_iter": 300, **words}
    return restarts(Grid((1, 3, 5), **words), Ground(frame_of(X), X))


def bounds(state) -> list[float]:
    return [fit.lower_bound for fit in state]


def test_together_as_alone():
    engine = LocalEngine(1)
    together = drive(fits(), engine, SOURCE)
    alone = [drive((fit,), LocalEngine(1), SOURCE).fits[0] for fit in fits()]
    np.testing.assert_allclose(bounds(together.fits), bounds(alone), rtol=1e-12)
    for a, b in zip(together.fits, alone, strict=True):
        np.testing.assert_allclose(a.em.mixture.means, b.em.mixture.means, rtol=1e-10, atol=1e-10)
        assert a.em.n_iter == b.em.n_iter
    # each pass reads the rows once for all live fits
    assert len(engine.history) == together.number
    assert together.number == max(f.em.n_iter + 1 for f in together.fits)


def test_watchers_see_every_pass():
    seen = []
    driven = drive(fits(), LocalEngine(1), SOURCE, watch=[seen.append])
    assert [done.number for done in seen] == list(range(1, driven.number + 1))
    assert seen[-1].live == 0
    assert seen[0].live == len(driven.fits)
    assert all(done.seconds >= 0 for done in seen)
    assert seen[-1].best.lower_bound == max(bounds(driven.fits))


def test_numbers_go_on_after_a_resume():
    seen = []
    driven = drive(fits(), LocalEngine(1), SOURCE, watch=[seen.append], number=40)
    assert seen[0].number == 41
    assert driven.number == 40 + len(seen)


def test_halves_are_the_whole():
    """Stopping after any pass and going on gives the same bits."""
    whole = drive(fits(), LocalEngine(1), SOURCE)
    kept = []

    def stop(done):
        kept.append(done.fits)
        if done.number == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        drive(fits(), LocalEngine(1), SOURCE, watch=[stop])
    assert caught.value.number == 4
    assert caught.value.fits is kept[-1]
    rest = drive(caught.value.fits, LocalEngine(1), SOURCE, number=4)
    assert rest.number == whole.number
    for a, b in zip(rest.fits, whole.fits, strict=True):
        assert a.em.mixture.fingerprint == b.em.mixture.fingerprint
        assert a.em.lower_bounds == b.em.lower_bounds


def test_search_drops_fits_and_they_are_asked_no_more():
    def drop_second(state):
        if state[1].em is None:
            return state
        em = replace(state[1].em, outcome=Outcome.DROPPED)
        return (state[0], replace(state[1], em=em), *state[2:])

    driven = drive(fits(), LocalEngine(1), SOURCE, search=drop_second)
    assert driven.fits[1].outcome is Outcome.DROPPED
    assert driven.fits[1].em.n_iter <= 1
    others = [fit for i, fit in enumerate(driven.fits) if i != 1]
    assert all(fit.outcome is Outcome.CONVERGED for fit in others)
    plain = drive(fits(), LocalEngine(1), SOURCE)
    np.testing.assert_allclose(
        [f.lower_bound for i, f in enumerate(plain.fits) if i != 1],
        [f.lower_bound for f in others],
        rtol=1e-12,
    )


def test_nothing_to_do():
    done = drive(fits(), LocalEngine(1), SOURCE).fits
    engine = LocalEngine(1)
    again = drive(done, engine, SOURCE, number=9)
    assert again.number == 9
    assert engine.history == []
    assert drive((), engine, SOURCE).fits == ()


def test_interrupted_is_a_keyboard_interrupt():
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert "pass 3" in str(Interrupted((), 3))
