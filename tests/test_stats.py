"""Batches of folds."""

from __future__ import annotations

from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.sample import Sample
from gmm_dask.folds.score import Score
from gmm_dask.stats import batch
from tests.strategies import ask, close, clusters, mixture_near

X, _ = clusters(5000, 2, 3)
FOLDS = (EStep(mixture_near(X, "full", 3)), Score(mixture_near(X, "diag", 2)), Sample(9, 2, 0))


def test_a_batch_answers_each_as_if_alone():
    answers = ask(batch(FOLDS), X, [77, 4096])
    for fold, answer in zip(FOLDS, answers, strict=True):
        close(ask(fold, X, [77, 4096]), answer, 0.0)


def test_bytes_add_up_and_work_is_done_in_turn():
    both = batch(FOLDS)
    assert both.stats_bytes == sum(fold.stats_bytes for fold in FOLDS)
    assert both.working_bytes(1000) == max(fold.working_bytes(1000) for fold in FOLDS)


def test_an_empty_batch_asks_nothing():
    nothing = batch([])
    assert nothing.stats_bytes == 0
    assert nothing.working_bytes(10) == 0
    assert ask(nothing, X) == ()


def test_the_fingerprint_is_of_the_questions_in_order():
    assert batch(FOLDS).fingerprint == batch(list(FOLDS)).fingerprint
    assert batch(FOLDS).fingerprint != batch(FOLDS[::-1]).fingerprint
    assert batch(FOLDS[:1]).fingerprint != batch(FOLDS[:2]).fingerprint
