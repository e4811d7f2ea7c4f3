"""The state machine that tries moves and keeps what raises the likelihood."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from gmm_dask.blocks import ArraySource
from gmm_dask.engine.local import LocalEngine
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.split_merge import SplitMerge
from gmm_dask.tree import fingerprint
from tests.fits.planted import BEST, POOR, X, em, log_likelihood, of_labels
from tests.strategies import KINDS, ask, clusters, mixture_near


def test_the_poor_optimum_is_one():
    gap = BEST.lower_bounds[-1] - POOR.lower_bounds[-1]
    assert gap > 0.1
    assert POOR.outcome is Outcome.CONVERGED


def run(fit: SplitMerge, rows: np.ndarray) -> SplitMerge:
    bounds: list[float] = []
    for _ in range(2000):
        if fit.outcome is not None:
            return fit
        fit = fit.tell(ask(fit.ask(), rows))
        if fit.lower_bounds and (not bounds or fit.lower_bound != bounds[-1]):
            bounds.append(fit.lower_bound)
            assert bounds == sorted(bounds)
    raise AssertionError("no end")


def test_it_mends_a_poor_optimum():
    fit = run(SplitMerge(POOR.mixture, 1e-8, 500), X)
    assert fit.outcome is Outcome.CONVERGED
    assert fit.accepted >= 1
    assert log_likelihood(fit.mixture, X) / 1200 >= BEST.lower_bounds[-1] - 1e-7
    assert fit.lower_bound == pytest.approx(log_likelihood(fit.mixture, X) / 1200, abs=1e-12)


def test_it_leaves_the_best_alone():
    fit = run(SplitMerge(BEST.mixture, 1e-7, 500), X)
    assert (fit.outcome, fit.accepted) == (Outcome.CONVERGED, 0)
    assert fit.mixture is BEST.mixture
    assert fit.n_iter == 31


@pytest.mark.parametrize("kind", KINDS)
def test_it_never_ends_lower(kind):
    rows, _ = clusters(500, 3, 5, seed=11, apart=3.0)
    start = em(mixture_near(rows, kind, 5, seed=3), rows, 1e-6)
    fit = run(SplitMerge(start.mixture, 1e-6, 200, rounds=3), rows)
    assert log_likelihood(fit.mixture, rows) >= log_likelihood(start.mixture, rows)
    assert fit.rounds == 3 - fit.accepted


def test_rounds_are_limited():
    fit = run(SplitMerge(POOR.mixture, 1e-8, 500, rounds=1), X)
    assert (fit.outcome, fit.accepted) == (Outcome.MAX_ITER, 1)
    assert fit.lower_bound == pytest.approx(BEST.lower_bounds[-1], abs=1e-7)


def test_a_collapse_does_not_win():
    """Ten copies of a row: a component on them would score without bound, but for the floor."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(300, 2)), np.full((10, 2), 0.5)])
    labels = np.arange(310) % 3
    start = em(of_labels(rows, labels), rows, 1e-7)
    fit = SplitMerge(start.mixture, 1e-7, 200)
    fit = fit.tell(ask(fit.ask(), rows))
    narrow = start.mixture.params.covariances.copy()
    narrow[0] = 1e-6 * np.diag(start.mixture.family.floor.variance)
    collapsed = replace(start.mixture, params=start.mixture.params._replace(covariances=narrow))
    winner = replace(
        fit.trials[0], mixture=collapsed, lower_bounds=(5.0,), outcome=Outcome.CONVERGED
    )
    ended = tuple(replace(t, outcome=Outcome.DEGENERATE) for t in fit.trials[1:])
    judged = fit._judged((winner, *ended))
    assert (judged.outcome, judged.accepted) == (Outcome.CONVERGED, 0)
    sound = replace(winner, mixture=start.mixture)
    assert fit._judged((sound, *ended)).accepted == 1
    few = replace(sound, mixture=replace(start.mixture, weights=np.array([[0.005, 0.5, 0.495]])))
    assert fit._judged((few, *ended)).accepted == 0


def test_it_is_a_value():
    fit = SplitMerge(POOR.mixture, 1e-6, 100)
    for _ in range(4):
        before = fingerprint(fit)
        assert fit.ask().fingerprint == fit.ask().fingerprint
        answer = ask(fit.ask(), X)
        following = fit.tell(answer)
        assert fingerprint(pickle.loads(pickle.dumps(fit)).tell(answer)) == fingerprint(following)
        assert fingerprint(fit) == before
        fit = following


def test_it_runs_on_an_engine():
    engine, source = LocalEngine(2), ArraySource(X)
    fit = SplitMerge(POOR.mixture, 1e-6, 100, rounds=1)
    while fit.outcome is None:
        fit = fit.tell(engine.fold(fit.ask(), source))
    assert fit.lower_bound == pytest.approx(BEST.lower_bounds[-1], abs=1e-5)
