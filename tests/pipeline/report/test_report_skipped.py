"""The report says what passes over many components may leave out of a row's log density."""

from __future__ import annotations

from dataclasses import replace

from gmm_dask import skipped_bound
from pipeline.report import Results
from pipeline.report.provenance import glance


def facts(results: Results) -> dict[str, str]:
    return {fact.word: fact.value for fact in glance(results)}


def test_many_components_come_with_their_bound(digits: Results) -> None:
    D = len(digits.components[0].mean)
    assert 9e-11 < skipped_bound(1000, D) < 1e-10
    many = replace(digits.choice, n_components=1000, covariance_type="full")
    assert facts(with_choice(digits, many))["Left out"] == "at most 9.4e-11"


def test_few_components_leave_nothing_out(digits: Results) -> None:
    assert "Left out" not in facts(digits)
    diag = replace(digits.choice, n_components=1000, covariance_type="diag")
    assert "Left out" not in facts(with_choice(digits, diag))


def with_choice(results: Results, choice) -> Results:
    rows = tuple(choice if row is results.choice else row for row in results.candidates)
    return replace(results, candidates=rows)
