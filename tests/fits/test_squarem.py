from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.blocks import ArraySource
from gmm_dask.drive import drive
from gmm_dask.engine.local import LocalEngine
from gmm_dask.families.gaussian import COVARIANCE_TYPES
from gmm_dask.first_pass import find_frame
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.coordinates import Coordinates
from gmm_dask.fits.em import EM
from gmm_dask.fits.restart import Restart
from gmm_dask.fits.score_norm import score_norm
from gmm_dask.fits.squarem import Squarem
from gmm_dask.initial import Ground
from gmm_dask.mixture import Mixture, m_step
from gmm_dask.search import Grid, restarts
from gmm_dask.state import CODEC


def overlapping(n: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(3)
    near = rng.normal(0, 1, (n, 2))
    far = rng.normal(1.6, 1.2, (n, 2))
    return np.concatenate([near, far])


def begun(kind: str, K: int = 2, tol: float = 1e-8, **settings: object) -> tuple[Restart, object]:
    rows = overlapping()
    engine, source = LocalEngine(1), ArraySource(rows)
    frame, _ = find_frame(engine, source)
    grid = Grid((K,), (kind,), init_params="random_from_data", tol=tol, max_iter=5000, seed=4)
    grid = replace(grid, **settings)
    return restarts(grid, Ground(frame, rows))[0], (engine, source)


def stepped(mixture: Mixture, where: object) -> Mixture:
    engine, source = where
    return m_step(mixture, engine.fold(EM(mixture, 0, 1).ask(), source))


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_coordinates_come_back(kind: str) -> None:
    restart, where = begun(kind, K=3)
    origin = restart.em.mixture
    moved = stepped(stepped(origin, where), where)
    coordinates = Coordinates(origin)
    back = coordinates.unpack(coordinates.pack(moved))
    # two triangular solves and an exponential of a logarithm: some ulps of numbers of order one
    np.testing.assert_allclose(back.params.means, moved.params.means, atol=1e-12)
    np.testing.assert_allclose(back.params.covariances, moved.params.covariances, rtol=1e-11)
    np.testing.assert_allclose(back.weights, moved.weights, rtol=1e-12)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_any_point_is_a_mixture(kind: str) -> None:
    restart, _ = begun(kind, K=3)
    coordinates = Coordinates(restart.em.mixture)
    size = len(coordinates.pack(restart.em.mixture))
    wild = coordinates.unpack(np.random.default_rng(0).normal(0, 3, size))
    wild.family.validate(wild.params)
    assert wild.weights.sum() == pytest.approx(1.0)
    assert (wild.weights > 0).all()


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_reaches_the_optimum_of_plain_em_in_fewer_passes(kind: str) -> None:
    plain, (engine, source) = begun(kind)
    quick, _ = begun(kind, accelerate=True)
    plain = drive([plain], engine, source).fits[0]
    quick = drive([quick], engine, source).fits[0]
    assert quick.outcome is plain.outcome is Outcome.CONVERGED
    # both stop when 1e-8 is still to gain, each by its own estimate
    assert quick.lower_bound == pytest.approx(plain.lower_bound, abs=1e-6)
    assert quick.em.n_iter < plain.em.n_iter


def test_the_likelihood_of_what_is_kept_never_falls() -> None:
    restart, (engine, source) = begun("full", K=3, accelerate=True)
    fit = drive([restart], engine, source).fits[0].em
    # sums of 3000 rows round at 1e-13 of a log-likelihood of order one
    assert (np.diff(fit.lower_bounds) > -1e-12).all()


def test_a_jump_that_lowers_the_likelihood_is_taken_back() -> None:
    restart, (engine, source) = begun("full", accelerate=True)
    fit = restart.em
    while fit.fallback is None:
        fit = fit.tell(engine.fold(fit.ask(), source))
    judged = engine.fold(fit.ask(), source)
    worse = judged._replace(log_likelihood=judged.log_likelihood - 1e6)
    after = fit.tell(worse)
    assert after.mixture is fit.fallback
    assert after.fallback is None
    assert after.refused == fit.refused + 1
    assert after.limit < fit.limit
    assert after.lower_bounds == fit.lower_bounds


@pytest.mark.parametrize("gain", [np.nan, 1e9])
def test_a_jump_into_a_collapse_is_taken_back_however_high_it_scores(gain: float) -> None:
    restart, (engine, source) = begun("full", accelerate=True)
    fit = restart.em
    while fit.fallback is None:
        fit = fit.tell(engine.fold(fit.ask(), source))
    judged = engine.fold(fit.ask(), source)
    higher = judged._replace(log_likelihood=judged.log_likelihood + gain)
    assert fit.tell(higher).mixture is fit.fallback


def test_the_first_steps_are_those_of_plain_em() -> None:
    plain, (engine, source) = begun("full", tol=0.0)
    quick, _ = begun("full", tol=0.0, accelerate=True)
    a, b = plain.em, quick.em
    for _ in range(10):
        a = a.tell(engine.fold(a.ask(), source))
        b = b.tell(engine.fold(b.ask(), source))
    assert a.mixture.fingerprint == b.mixture.fingerprint


def test_a_stop_in_mid_jump_keeps_what_was_judged() -> None:
    restart, (engine, source) = begun("full", accelerate=True)
    fit = restart.em
    while fit.fallback is None:
        fit = fit.tell(engine.fold(fit.ask(), source))
    ended = replace(fit, max_iter=fit.n_iter)._limited()
    assert ended.outcome is Outcome.MAX_ITER
    assert ended.mixture is fit.fallback


def test_a_checkpoint_in_mid_jump_goes_on_with_the_same_bits() -> None:
    restart, (engine, source) = begun("full", accelerate=True)
    fit = restart.em
    while fit.fallback is None:
        fit = fit.tell(engine.fold(fit.ask(), source))
    stored: Squarem = CODEC.decode(*CODEC.encode(fit))
    answer = engine.fold(fit.ask(), source)
    assert stored.tell(answer).mixture.fingerprint == fit.tell(answer).mixture.fingerprint


@pytest.mark.parametrize(("score_norm", "ends"), [(0.0, True), (1.0, False)])
def test_a_cycle_ends_the_fit_only_where_the_score_is_small(score_norm: float, ends: bool) -> None:
    restart, (engine, source) = begun("full", accelerate=True, tol=1e-6)
    fit = drive([restart], engine, source).fits[0].em
    following = m_step(fit.mixture, engine.fold(fit.ask(), source))
    near = replace(fit, outcome=None, score_norm=score_norm, rates=())
    closed = near._cycle_closed(fit.lower_bounds[-1] + 1e-9, near.mixture, following)
    assert (closed.outcome is Outcome.CONVERGED) is ends


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_the_score_norm_is_that_of_the_last_kept_mixture(kind: str) -> None:
    restart, (engine, source) = begun(kind, K=3, accelerate=True)
    fit = restart.em
    for _ in range(25):
        asked, answer = fit.mixture, engine.fold(fit.ask(), source)
        before, fit = fit, fit.tell(answer)
        kept = len(fit.lower_bounds) > len(before.lower_bounds)
        expected = score_norm(asked, m_step(asked, answer)) if kept else before.score_norm
        assert fit.score_norm == expected
