"""What every fold must do. A new fold joins by one line in `FOLDS`."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from gmm_dask.blocks import ArraySource, Block
from gmm_dask.engine.local import LocalEngine
from gmm_dask.folds.assign import NearestCentre, RandomResp
from gmm_dask.folds.candidates import Candidates
from gmm_dask.folds.certainty import Certainty
from gmm_dask.folds.columns import Columns
from gmm_dask.folds.compare import Compare
from gmm_dask.folds.confusion import Confusion
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.farthest import Farthest
from gmm_dask.folds.information import Information
from gmm_dask.folds.overlap import Overlap
from gmm_dask.folds.profile import Profiled
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.sample import Sample
from gmm_dask.folds.score import Score
from gmm_dask.folds.tails import Tails
from gmm_dask.stats import batch
from gmm_dask.tree import nbytes
from tests.strategies import ask, close, clusters, frame_of, mixture_near, partitions

N, D, K = 9000, 3, 4  # more than two cells of random draws
X, _ = clusters(N, D, K, seed=1)
MIXTURE = mixture_near(X, "full", K)
OTHER = mixture_near(X, "diag", 2, seed=1)
SHARE = RowShare(7, "held out", 0.3, inside=False)
FOLDS = {
    "e_step full": EStep(MIXTURE),
    "e_step tied": EStep(mixture_near(X, "tied", K)),
    "e_step diag": EStep(OTHER),
    "e_step spherical": EStep(mixture_near(X, "spherical", K)),
    "e_step share": EStep(MIXTURE, SHARE),
    "score": Score(MIXTURE),
    "score share": Score(MIXTURE, SHARE),
    "compare": Compare((MIXTURE, OTHER), (-5.0, -6.0)),
    "compare share": Compare((MIXTURE, OTHER), (-5.0, -6.0), SHARE),
    "confusion": Confusion((MIXTURE, OTHER), ((0, 1), (1, 1))),
    "confusion share": Confusion((MIXTURE, OTHER), ((0, 1), (1, 1)), SHARE),
    "columns": Columns(frame_of(X)),
    "columns share": Columns(frame_of(X), SHARE),
    "sample": Sample(500, D, 3),
    "sample share": Sample(500, D, 3, SHARE),
    "tails": Tails(MIXTURE, (-8.0, -12.0)),
    "tails share": Tails(MIXTURE, (-8.0,), SHARE, pit_share=0.5),
    "certainty": Certainty(MIXTURE),
    "certainty share": Certainty(MIXTURE, 0.8, SHARE),
    "profile": Profiled(MIXTURE, -6.0, -9.0, 3000, 3),
    "profile share": Profiled(MIXTURE, -6.0, -9.0, 9000, 1, SHARE),
    "overlap": Overlap(MIXTURE),
    "overlap share": Overlap(OTHER, SHARE),
    "information": Information(MIXTURE),
    "information tied": Information(mixture_near(X, "tied", K)),
    "information share": Information(OTHER, SHARE),
    "nearest": NearestCentre(MIXTURE, np.eye(D)),
    "nearest share": NearestCentre(MIXTURE, np.eye(D), SHARE),
    "farthest": Farthest(mixture_near(X, "spherical", K), np.eye(D), 50),
    "farthest share": Farthest(mixture_near(X, "spherical", K), np.eye(D), 50, SHARE),
    "random": RandomResp(MIXTURE, 3, 1),
    "random share": RandomResp(MIXTURE, 3, 1, SHARE),
    "candidates": Candidates(frame_of(X), MIXTURE.params.means, np.eye(D), 8, 3, 1, 0),
    "candidates share": Candidates(frame_of(X), MIXTURE.params.means, np.eye(D), 8, 3, 1, 0, SHARE),
    "batch": batch([EStep(MIXTURE), Score(OTHER), Sample(20, D, 1)]),
}
folds = pytest.mark.parametrize("name", FOLDS)


@folds
@pytest.mark.parametrize("cuts", [[4096], [4096, 8192], [1, 2, 4095, 4097, 8999]])
def test_split_and_merge_is_whole(name, cuts):
    # sums of 9000 terms in another order: 1e-13 of the largest
    close(ask(FOLDS[name], X), ask(FOLDS[name], X, cuts), 1e-12)


@folds
@settings(max_examples=8, deadline=None)
@given(cuts=partitions(N))
def test_split_and_merge_at_random(name, cuts):
    close(ask(FOLDS[name], X), ask(FOLDS[name], X, cuts), 1e-12)


@folds
def test_merge_is_associative(name):
    fold = FOLDS[name]
    ready = fold.prepare()
    a, b, c = (
        fold.measure(ready, Block(X[lo:hi], lo)) for lo, hi in ((0, 3000), (3000, 5001), (5001, N))
    )
    close(fold.merge(fold.merge(a, b), c), fold.merge(a, fold.merge(b, c)), 1e-13)


@folds
def test_no_rows_change_nothing(name):
    fold = FOLDS[name]
    ready = fold.prepare()
    whole = fold.measure(ready, Block(X[:5000], 0))
    none = fold.measure(ready, Block(X[:0], 5000))
    for merged in (fold.merge(whole, none), fold.merge(none, whole)):
        close(fold.finish(whole), fold.finish(merged), 0.0)


@folds
def test_pickles_and_asks_the_same(name):
    fold = FOLDS[name]
    copy = pickle.loads(pickle.dumps(fold))
    assert copy.fingerprint == fold.fingerprint
    close(ask(fold, X[:5000]), ask(copy, X[:5000]), 0.0)


def test_fingerprints_tell_questions_apart():
    prints = [fold.fingerprint for fold in FOLDS.values()]
    assert len(set(prints)) == len(prints)
    assert [fold.fingerprint for fold in FOLDS.values()] == prints


def changed() -> dict[str, tuple]:
    nudged = MIXTURE.params.means.copy()
    nudged[0, 0] = np.nextafter(nudged[0, 0], np.inf)
    other = replace(MIXTURE, params=MIXTURE.params._replace(means=nudged))
    candidates = FOLDS["candidates"]
    return {
        "one bit of a mean": (EStep(MIXTURE), EStep(other)),
        "rows": (EStep(MIXTURE, SHARE), EStep(MIXTURE, replace(SHARE, inside=True))),
        "seed": (EStep(MIXTURE, SHARE), EStep(MIXTURE, replace(SHARE, seed=8))),
        "round": (candidates, replace(candidates, round=1)),
        "restart": (candidates, replace(candidates, restart=2)),
        "size": (Sample(20, D, 1), Sample(21, D, 1)),
        "threshold": (Score(MIXTURE, None, 0.9), Score(MIXTURE, None, 0.8)),
        "order": (batch([EStep(MIXTURE), EStep(OTHER)]), batch([EStep(OTHER), EStep(MIXTURE)])),
    }


@pytest.mark.parametrize("what", changed())
def test_fingerprint_changes_with(what):
    one, other = changed()[what]
    assert one.fingerprint != other.fingerprint


@folds
def test_stated_bytes_are_close_to_the_real_ones(name):
    fold = FOLDS[name]
    real = nbytes(fold.measure(fold.prepare(), Block(X, 0)))
    # a fold that keeps the rows which are likeliest may hold fewer than it has room for
    assert real <= fold.stats_bytes * 1.1 + 64
    if "candidates" not in name:
        assert fold.stats_bytes <= real * 1.1 + 64


@folds
def test_working_bytes_are_stated(name):
    fold = FOLDS[name]
    assert 0 < fold.working_bytes(1000) <= fold.working_bytes(100000)


@folds
def test_engine_and_threads_do_not_change_a_bit(name):
    source = ArraySource(X)
    fold = FOLDS[name]
    one = LocalEngine(1, block_rows=4096).fold(fold, source)
    two = LocalEngine(2, block_rows=4096).fold(fold, source)
    close(one, two, 0.0)
    close(ask(fold, X), one, 1e-12)


@pytest.mark.parametrize("name", [name for name in FOLDS if "share" in name and name != "batch"])
def test_a_share_looks_at_its_rows_only(name):
    """Rows outside the share may hold anything."""
    spoilt = X.copy()
    spoilt[~SHARE.mask(Block(X, 0))] = 1e6
    close(ask(FOLDS[name], X), ask(FOLDS[name], spoilt), 0.0)
