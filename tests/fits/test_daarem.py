from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.families.gaussian import COVARIANCE_TYPES
from gmm_dask.families.prior import default_prior
from gmm_dask.fits import mixing
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.daarem import Daarem
from gmm_dask.fits.em import EM
from gmm_dask.fits.mixing import Memory
from gmm_dask.fits.score_norm import score_norm
from gmm_dask.mixture import Mixture, m_step
from gmm_dask.state import CODEC
from gmm_dask.store.codec import Codec
from tests.strategies import ask, clusters, kinds, mixture_near

EVERY = pytest.mark.parametrize("kind", COVARIANCE_TYPES)


def overlapping(n: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(3)
    near = rng.normal(0, 1, (n, 2))
    far = rng.normal(1.6, 1.2, (n, 2))
    return np.concatenate([near, far])


X = overlapping()


def begun(kind: str, K: int = 2, tol: float = 1e-8, max_iter: int = 5000) -> Daarem:
    return Daarem(mixture_near(X, kind, K, seed=4), tol, max_iter)


def run(fit, rows: np.ndarray = X):
    while fit.outcome is None:
        fit = fit.tell(ask(fit.ask(), rows))
    return fit


def leaping(kind: str = "full", K: int = 2) -> Daarem:
    """Return a fit whose next pass judges a leap."""
    fit = begun(kind, K)
    while fit.fallback is None:
        fit = fit.tell(ask(fit.ask(), X))
    return fit


@EVERY
def test_reaches_the_fixed_point_of_plain_em_in_fewer_passes(kind: str) -> None:
    quick = run(begun(kind))
    plain = run(EM(quick.mixture, 1e-13, 5000))
    slow = run(EM(begun(kind).mixture, 1e-8, 5000))
    assert quick.outcome is slow.outcome is Outcome.CONVERGED
    # both stop when 1e-8 is still to gain, each by its own estimate
    assert quick.lower_bounds[-1] == pytest.approx(slow.lower_bounds[-1], abs=1e-6)
    assert quick.lower_bounds[-1] == pytest.approx(plain.lower_bounds[-1], abs=1e-7)
    assert quick.n_iter < slow.n_iter


@EVERY
def test_a_fixed_point_stays(kind: str) -> None:
    """EM's optimum, to rounding, is Daarem's: no leap moves it away."""
    optimum = run(EM(begun(kind).mixture, 1e-12, 5000))
    again = run(replace(begun(kind, tol=1e-12, max_iter=60), mixture=optimum.mixture))
    assert again.lower_bounds[-1] == pytest.approx(optimum.lower_bounds[-1], abs=1e-11)
    # 1e-12 of the likelihood is 1e-6 of parameters of order one, times what EM left undone
    np.testing.assert_allclose(again.mixture.means, optimum.mixture.means, atol=1e-3)


@settings(max_examples=12, deadline=None)
@given(kind=kinds, seed=st.integers(0, 10**6), K=st.integers(1, 5), prior=st.booleans())
def test_what_is_kept_never_falls(kind: str, seed: int, K: int, prior: bool) -> None:
    rows, _ = clusters(200, 2, 3, seed=seed % 1000, apart=2.0)
    mixture = mixture_near(rows, kind, K, seed)
    if prior:
        family = replace(mixture.family, prior=default_prior(mixture.frame, K))
        mixture = replace(mixture, family=family)
    fit = run(Daarem(mixture, 1e-9, 60), rows)
    bounds = np.array(fit.lower_bounds)
    # plain steps round; leaps may not fall at all
    assert (np.diff(bounds) > -1e-11 * np.abs(bounds).max()).all()
    assert len(bounds) + fit.refused + (fit.fallback is not None) <= fit.n_iter <= 60
    fit.mixture.family.validate(fit.mixture.params)


@pytest.mark.parametrize("gain", [-1e6, np.nan, 1e9])
def test_a_leap_that_falls_or_collapses_is_taken_back(gain: float) -> None:
    fit = leaping()
    judged = ask(fit.ask(), X)
    after = fit.tell(judged._replace(log_likelihood=judged.log_likelihood + gain))
    assert after.mixture is fit.fallback
    assert after.fallback is None
    assert (after.refused, after.n_iter) == (fit.refused + 1, fit.n_iter + 1)
    assert after.limit < fit.limit
    assert after.lower_bounds == fit.lower_bounds


def test_a_leap_that_starves_a_component_is_taken_back() -> None:
    fit = leaping()
    judged = ask(fit.ask(), X)
    starved = judged._replace(count=np.array([[len(X) - 1.0, 1.0]]))
    assert fit.tell(starved).mixture is fit.fallback


def test_the_first_steps_are_those_of_plain_em() -> None:
    quick = begun("full", tol=0.0)
    plain = EM(quick.mixture, 0.0, 5000)
    for _ in range(10):
        quick, plain = (fit.tell(ask(fit.ask(), X)) for fit in (quick, plain))
    assert quick.mixture.fingerprint == plain.mixture.fingerprint
    assert quick.lower_bounds == plain.lower_bounds


def test_a_stop_before_a_leap_is_judged_keeps_what_is_known() -> None:
    fit = leaping()
    ended = replace(fit, max_iter=fit.n_iter)._limited()
    assert ended.outcome is Outcome.MAX_ITER
    assert ended.mixture is fit.fallback
    longer = ended.extended(1e-8, 5000)
    assert longer.outcome is None
    assert run(longer).outcome is Outcome.CONVERGED


def test_a_checkpoint_before_a_leap_is_judged_goes_on_with_the_same_bits() -> None:
    codec = Codec((*CODEC._classes.values(), Daarem, Memory))
    fit = leaping(K=3)
    stored = codec.decode(*codec.encode(fit))
    for _ in range(12):
        fit, stored = (f.tell(ask(f.ask(), X)) for f in (fit, stored))
        assert stored.mixture.fingerprint == fit.mixture.fingerprint


@EVERY
def test_the_score_norm_is_that_of_the_last_kept_mixture(kind: str) -> None:
    fit = begun(kind, K=3)
    assert fit.score_norm == np.inf
    for _ in range(30):
        asked, answer = fit.mixture, ask(fit.ask(), X)
        before, fit = fit, fit.tell(answer)
        if len(fit.lower_bounds) > len(before.lower_bounds):
            assert fit.score_norm == score_norm(asked, m_step(asked, answer))
        else:
            assert fit.score_norm == before.score_norm


def linear(rates: np.ndarray, n: int, seed: int = 0) -> tuple[Memory, np.ndarray]:
    """Return what a linear EM with these rates shows at n points, and its directions."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(len(rates), len(rates))))[0]
    points = rng.normal(size=(n, len(rates)))
    steps = -points @ axes @ np.diag(1 - rates) @ axes.T
    origin = mixture_near(X, "full", 2)
    return Memory(origin, tuple(points), tuple(steps)), axes


def test_rates_of_a_linear_map_are_found() -> None:
    rates = np.array([0.999, 0.9, 0.3, 0.0, -0.0])
    memory, axes = linear(rates, 6)
    slopes, directions = mixing.slopes(memory)
    np.testing.assert_allclose(slopes, np.sort(1 - rates), atol=1e-10)
    along = np.abs(directions[:3] @ axes[:, :3])
    np.testing.assert_allclose(along, np.eye(3), atol=1e-9)


def test_a_leap_ends_a_linear_map_unless_it_is_limited() -> None:
    memory, _ = linear(np.array([0.99, 0.9, 0.3]), 4)
    leap = mixing.leap(memory, 1e9)
    np.testing.assert_allclose(leap.point, 0.0, atol=1e-9)
    assert leap.rate == pytest.approx(0.99)
    assert not leap.met
    limited = mixing.leap(memory, 2.0)
    assert limited.met
    # every direction is stretched twice at most: less than halfway for the slow ones
    assert np.linalg.norm(limited.point - memory.points[-1]) < 0.5 * np.linalg.norm(
        memory.points[-1]
    )


def test_a_saddle_is_left_forwards() -> None:
    """Where a rate is above one the step leads away, and so must the leap."""
    memory, axes = linear(np.array([1.02, 0.5, 0.2]), 4)
    leap = mixing.leap(memory, 30.0)
    before, after = memory.points[-1] @ axes[:, 0], leap.point @ axes[:, 0]
    assert after / before == pytest.approx(1 + 0.02 * 30)
    assert leap.rate == pytest.approx(1.02)


def test_differences_without_anything_new_are_left_out() -> None:
    memory, _ = linear(np.array([0.9, 0.5, 0.2]), 3)
    points = (*memory.points, memory.points[-1], memory.points[-1] * (1 + 1e-9))
    steps = (*memory.steps, memory.steps[-1], memory.steps[-1] * (1 + 1e-9))
    slopes, directions = mixing.slopes(Memory(memory.origin, points, steps))
    assert len(slopes) == 3  # two of the first differences, and the direction of the last
    np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-9)
    assert mixing.leap(Memory(memory.origin, points[-3:-1], steps[-3:-1]), 4.0) is None


def test_a_saddle_of_two_near_copies_is_left() -> None:
    """Plain Anderson mixing goes back to the saddle between them."""
    rows, _ = clusters(1000, 2, 2, seed=1, apart=6.0)
    mixture = mixture_near(rows, "full", 2)
    params = mixture.family.reorder(mixture.params, np.array([0, 0]))
    means = params.means + np.array([[0.0, 0.0], [1e-2, 0.0]])
    near: Mixture = replace(mixture, params=params._replace(means=means))
    best = run(EM(mixture_near(rows, "full", 2, seed=3), 1e-9, 2000), rows)
    quick = run(Daarem(near, 1e-9, 2000), rows)
    assert quick.lower_bounds[-1] == pytest.approx(best.lower_bounds[-1], abs=1e-6)


def test_a_singular_start_ends_with_its_last_sound_mixture() -> None:
    rows = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    mixture = mixture_near(rows, "full", 1, reg_covar=0.0)
    fit = run(Daarem(mixture, 1e-3, 10), rows)
    assert fit.outcome is Outcome.DEGENERATE
    assert fit.mixture is mixture
    assert fit.extended(1e-6, 100).outcome is Outcome.DEGENERATE
