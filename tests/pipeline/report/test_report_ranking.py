from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.report import ComponentRow, Results, leading_columns, leading_pairs
from pipeline.report.ranking import separation, standardized_means


def components(means: list[list[float]], stds: list[list[float]]) -> list[ComponentRow]:
    return [
        ComponentRow(number=k, weight=1 / len(means), rows=1, mean=np.array(m), std=np.array(s))
        for k, (m, s) in enumerate(zip(means, stds, strict=True))
    ]


def test_separation_is_the_share_of_variance_between() -> None:
    # Two equal components at -a and a with standard deviation s: a^2 / (a^2 + s^2).
    rows = components([[-1.0, -3.0, 5.0], [1.0, 3.0, 5.0]], [[1.0, 1.0, 0.0]] * 2)
    np.testing.assert_allclose(separation(rows), [0.5, 0.9, 0.0], rtol=1e-12)
    assert leading_columns(rows, 2) == [1, 0]
    assert leading_columns(rows, 3) == [0, 1, 2]


def test_standardized_means_agree_with_rows(digits: Results) -> None:
    rng = np.random.default_rng(3)
    rows = components([[0.0, 10.0], [4.0, 10.0]], [[1.0, 2.0], [3.0, 1.0]])
    draws = np.concatenate([rng.normal(c.mean, c.std, (200_000, 2)) for c in rows])
    expected = [(c.mean - draws.mean(axis=0)) / draws.std(axis=0) for c in rows]
    # The standard error of a mean of 400,000 rows is 0.0016 of a standard deviation.
    np.testing.assert_allclose(standardized_means(rows), expected, atol=0.01)


def test_missing_and_huge_numbers_tell_nothing() -> None:
    rows = components([[np.nan, 1e200, 0.0], [1.0, -1e200, 4.0]], [[1.0, 1.0, 1.0]] * 2)
    assert leading_columns(rows, 1) == [2]
    assert np.isfinite(standardized_means(rows)).all()


def test_two_columns_that_say_the_same_are_no_leading_pair() -> None:
    # Columns 0 and 1 carry the same contrast, column 2 another one, weaker.
    corners = np.array([[3.0, 3.0, 2.5], [3.0, 3.0, -2.5], [-3.0, -3.0, 2.5], [-3.0, -3.0, -2.5]])
    rows = components(corners.tolist(), [[1.0, 1.0, 1.0]] * 4)
    assert leading_pairs(rows, 1) in ([(0, 2)], [(1, 2)])
    assert leading_pairs(rows, 9)[-1] == (0, 1)


def test_pairs_of_very_many_columns_are_found_quickly(samples: dict[str, Results]) -> None:
    pairs = leading_pairs(samples["wide"].components, 6)
    assert len(set(pairs)) == 6
    assert all(a < b for a, b in pairs)


@pytest.mark.parametrize("criterion", ["bic", "held_out"])
def test_best_candidates_hold_the_choice(samples: dict[str, Results], criterion: str) -> None:
    from pipeline.report.ranking import best_candidates

    results = dataclasses.replace(samples["huge"], criterion=criterion, chosen=3)
    assert best_candidates(results, 5) == [3, 96, 97, 98, 99]
    assert best_candidates(results, 200) == list(range(100))
