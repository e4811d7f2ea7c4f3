"""Agreement of labels: indices by other definitions, and who is compared with whom."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, fowlkes_mallows_score

from gmm_dask.blocks import ArraySource
from gmm_dask.drive import drive
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.first_pass import find_frame
from gmm_dask.fits.base import Outcome
from gmm_dask.folds.confusion import Confusion
from gmm_dask.folds.score import posterior
from gmm_dask.initial import Ground
from gmm_dask.search import Grid, restarts
from gmm_dask.selection import best_restarts, choose, labellings
from gmm_dask.stability import (
    SAME,
    Agreement,
    Group,
    adjusted_rand,
    agreements,
    comparisons,
    fowlkes_mallows,
    most_stable,
)
from tests.strategies import clusters, mixture_near
from tests.test_selection import ended, faked

X, _ = clusters(900, 2, 3, seed=4, apart=4.0)
tables = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: st.lists(
        st.integers(0, 9), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]
    ).map(lambda cells: np.array(cells, float).reshape(shape))
)


def labels_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two labellings with these confusion counts."""
    a, b = np.indices(counts.shape).reshape(2, -1)
    each = counts.ravel().astype(int)
    return np.repeat(a, each), np.repeat(b, each)


@given(tables.filter(lambda counts: counts.sum() > 1))
def test_indices_are_those_of_scikit_learn(counts):
    a, b = labels_of(counts)
    assert adjusted_rand(counts) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert fowlkes_mallows(counts) == pytest.approx(fowlkes_mallows_score(a, b), abs=1e-12)


@given(tables.filter(lambda counts: counts.sum() > 1), st.randoms(use_true_random=False))
def test_indices_do_not_mind_names_nor_order(counts, random):
    order = random.sample(range(len(counts)), len(counts))
    for index in (adjusted_rand, fowlkes_mallows):
        assert index(counts) == index(counts[order]) == index(counts.T)


def exact_rand(counts: list[list[int]]) -> Fraction:
    """The index less its expectation over its maximum less the same (Hubert and Arabie 1985)."""

    def pairs(numbers):
        return sum(Fraction(n * (n - 1), 2) for n in numbers)

    rows, columns = [sum(r) for r in counts], [sum(c) for c in zip(*counts, strict=True)]
    a, b = pairs(rows), pairs(columns)
    expected = a * b / pairs([sum(rows)])
    return (pairs([n for r in counts for n in r]) - expected) / ((a + b) / 2 - expected)


@pytest.mark.parametrize(
    "counts",
    [
        [[10**10 - 4, 1], [2, 1]],  # in float64 nothing of the difference is left
        [[5 * 10**9, 7], [3, 5 * 10**9 - 10]],
        [[10**10 // 4 + 1, 10**10 // 4], [10**10 // 4, 10**10 // 4 - 1]],
        [[3 * 10**9, 10**6, 0], [0, 3 * 10**9, 10**3], [12, 0, 4 * 10**9]],
    ],
)
def test_ten_thousand_million_rows_lose_no_digit(counts):
    assert adjusted_rand(np.array(counts, float)) == float(exact_rand(counts))
    flat = np.array(counts, float)
    rows, columns = flat.sum(axis=1), flat.sum(axis=0)
    # sums of squares alone: what pairs become when rows are many
    wanted = (flat**2).sum() / math.sqrt((rows**2).sum() * (columns**2).sum())
    assert fowlkes_mallows(flat) == pytest.approx(wanted, rel=1e-9)


def test_indices_at_the_edges():
    assert adjusted_rand(np.eye(3) * 4) == fowlkes_mallows(np.eye(3) * 4) == 1.0
    assert adjusted_rand(np.array([[7.0]])) == 1.0  # one cluster, twice
    assert adjusted_rand(np.eye(4)) == 1.0  # every row alone, twice
    assert adjusted_rand(np.array([[5.0, 5.0]])) == 0.0  # one cluster tells nothing of two
    assert adjusted_rand(np.array([[9.0, 0.0], [0.0, 1.0], [0.0, 0.0]])) == 1.0  # an empty label


def group(K: int, n: int, kind: str = "full") -> Group:
    return Group(kind, K, tuple(mixture_near(X, kind, K, seed=i) for i in range(n)))


def test_who_is_compared_with_whom():
    groups = (group(4, 3), group(1, 3), group(2, 7), group(8, 1), group(3, 2, "diag"))
    compared = comparisons(groups)
    four, two, eight, diag = 0, 3, 8, 9  # places of the best: 3, 1 + 4, 1 and 2 are kept
    assert [m.n_components for m in compared.mixtures] == [4] * 3 + [2] * 5 + [8] + [3] * 2
    assert compared.mixtures[two + 4] is groups[2].mixtures[4]
    pairs = {
        i: [compared.pairs[p] for p in (*compared.own[i], *compared.near[i])] for i in range(5)
    }
    with_two, with_eight = (two, four), (four, eight)  # K=1 is no neighbour, nor another type
    assert pairs[0] == [(four, 1), (four, 2), with_two, with_eight]
    assert pairs[1] == []
    assert pairs[2] == [(two, two + k) for k in (1, 2, 3, 4)] + [with_two]
    assert pairs[3] == [with_eight]
    assert pairs[4] == [(diag, diag + 1)]
    assert len(compared.pairs) == 9


def test_a_candidate_without_sound_restarts_is_passed_over():
    compared = comparisons((group(2, 2), group(3, 0), group(4, 1)))
    assert compared.near == ((1,), (), (1,))  # 2 and 4 are neighbours then
    assert comparisons((group(3, 1),)).pairs == ()


def test_agreement_is_the_mean_of_its_pairs():
    compared = comparisons((group(2, 3), group(3, 1)))
    halves, thirds = np.array([[30.0, 0.0], [0.0, 30.0]]), np.array([[25.0, 5.0], [5.0, 25.0]])
    near = np.array([[30.0, 0.0, 0.0], [0.0, 20.0, 10.0]])
    two, three = agreements(compared, (halves, thirds, near))
    assert two.restarts == pytest.approx((1 + adjusted_rand_score(*labels_of(thirds))) / 2)
    assert two.restarts_fm == pytest.approx((1 + fowlkes_mallows_score(*labels_of(thirds))) / 2)
    assert two.neighbours == three.neighbours
    assert three.neighbours == pytest.approx(adjusted_rand_score(*labels_of(near)))
    assert three.neighbours_fm == pytest.approx(fowlkes_mallows_score(*labels_of(near)))
    assert (two.n_restarts, three.n_restarts) == (2, 0)
    assert math.isnan(three.restarts)


def test_degenerate_and_dropped_restarts_have_no_say():
    sound = mixture_near(X, "full", 2)
    flat = replace(sound, weights=np.array([[1.0, 0.0]]))
    fits = [
        ended(flat, 9.0, index=0),
        ended(sound, -3.0, Outcome.MAX_ITER, index=1),
        ended(sound, 5.0, Outcome.DROPPED, index=2),
        ended(sound, -1.0, index=4),
        ended(sound, -2.0, index=3),
        ended(sound, 9.0, Outcome.DEGENERATE, index=5),
    ]
    (found,) = labellings(fits)
    wanted = (fits[3], fits[1], fits[4])  # the best, then by number
    assert [id(m) for m in found.mixtures] == [id(fit.template) for fit in wanted]
    ((best, summaries),) = best_restarts(fits)
    assert best is fits[3]  # a dropped one may have the likelihood of a sample
    assert [s.number for s in summaries] == [4, 3, 1, 2, 0, 5]


def test_counts_of_real_fits_agree_with_labels():
    grid = Grid((1, 2, 4), ("full", "diag"), n_init=3, init_params="random_from_data", max_iter=9)
    engine, source = LocalEngine(1), ArraySource(X)
    frame, _ = find_frame(engine, source)
    fits = drive(restarts(grid, Ground(frame, X)), engine, source).fits
    groups = labellings(fits)
    compared = comparisons(groups)
    counts = engine.fold(Confusion(compared.mixtures, compared.pairs), source)
    found = agreements(compared, counts)
    labels = [
        [posterior(m.prepare(), X)[1].argmax(axis=1) for m in group.mixtures] for group in groups
    ]
    assert [(g.covariance_type, g.n_components) for g in groups] == [
        (kind, K) for kind in ("full", "diag") for K in (1, 2, 4)
    ]
    for i in (1, 2, 4, 5):
        best, *others = labels[i]
        own = [adjusted_rand_score(best, other) for other in others]
        assert found[i].restarts == pytest.approx(np.mean(own), abs=1e-12)
        neighbour = labels[{1: 2, 2: 1, 4: 5, 5: 4}[i]][0]
        assert found[i].neighbours == pytest.approx(adjusted_rand_score(best, neighbour), abs=1e-12)
    assert math.isnan(found[0].restarts)
    assert math.isnan(found[0].neighbours)


def stable(restarts: float, bic: float, **values):
    return replace(faked(bic=bic, **values), agreement=Agreement(restarts))


def test_the_most_stable_is_chosen():
    candidates = [stable(0.5, 1.0), stable(0.9, 9.0), stable(math.nan, 0.0), stable(0.7, 2.0)]
    assert choose(candidates, "stability") == 1
    assert choose([stable(0.99, 9.0, problems=("flat",)), stable(0.3, 9.0)], "stability") == 1


def test_of_equally_stable_ones_bic_chooses():
    """Restarts that agree by accident on too many components lose against the right number."""
    few, right, accident = stable(1.0, 900.0), stable(1 - SAME / 2, 500.0), stable(1.0, 520.0)
    assert choose([few, right, accident], "stability") == 1
    assert choose([accident, few, right], "stability") == 2
    assert choose([few, stable(1 - 2 * SAME, 1.0)], "stability") == 0


def test_nothing_to_compare_is_an_error():
    with pytest.raises(DataError, match=r"no candidate has a stability.*Raise n_init"):
        choose([stable(math.nan, 1.0)], "stability")
    assert most_stable([math.nan, 0.2]) == [1]
    with pytest.raises(ConfigError, match="no standard error"):
        choose([stable(1.0, 1.0)], "stability", "one_standard_error")
