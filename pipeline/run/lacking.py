"""What the report says of holes, errors and weights: facts beside the rows, and warnings."""

from __future__ import annotations

import math

import numpy as np

from pipeline.report.parts import RowFact
from pipeline.run.fitting import Fitted
from pipeline.run.results import Shown
from pipeline.stages.steps import FloatArray
from pipeline.stages.survey import Difference, Surveyed

MOST_PATTERNS, MOST_COLUMNS = 5, 12
TELLING = 0.2
"""Standard deviations by which rows with a hole differ before it is told: a small effect.

Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, section 2.2."""


def row_facts(fitted: Fitted, shown: Shown) -> tuple[RowFact, ...]:
    """Return what is told of weights, holes and errors beside the counts of rows."""
    facts = []
    if fitted.layout.sample_weight:
        column = str(fitted.table.described.get("sample_weight"))
        weight = f"{fitted.candidate.n_rows:,.6g}"
        facts.append(RowFact(word="Weight fitted", value=weight, note=f"column {column}"))
    surveyed = fitted.surveyed
    if surveyed is None:
        return tuple(facts)
    if fitted.layout.missing and surveyed.complete < surveyed.n_rows:
        facts += _holes(surveyed, shown.columns)
    if fitted.layout.noise:
        facts += _errors(surveyed, fitted, shown)
    return tuple(facts)


def _holes(surveyed: Surveyed, columns: tuple[str, ...]) -> list[RowFact]:
    rows = surveyed.n_rows - surveyed.complete
    value = f"{rows:,} of {surveyed.n_rows:,}"
    note = "values are assumed to be missing at random, given those that are there"
    facts = [RowFact(word="Rows with holes", value=value, note=note)]
    D = len(surveyed.there)
    for there, count in surveyed.patterns[:MOST_PATTERNS]:
        facts.append(
            RowFact(word="Columns there", value=f"{count:,}", note=_names(there, columns, D))
        )
    further = sum(count for _, count in surveyed.patterns[MOST_PATTERNS:]) + surveyed.others
    if further:
        n = len(surveyed.patterns) - MOST_PATTERNS
        facts.append(RowFact(word="Columns there", value=f"{further:,}", note=f"{n} more patterns"))
    if surveyed.blank:
        note = "labelled -1: they say nothing about components"
        facts.append(RowFact(word="Rows without any value", value=f"{surveyed.blank:,}", note=note))
    return facts


def _names(there: tuple[int, ...], columns: tuple[str, ...], D: int) -> str:
    if not there:
        return "none"
    if len(there) == D:
        return "all"
    missing = [columns[j] for j in range(D) if j not in there]
    if len(missing) < len(there):
        return "all but " + " ".join(missing[:MOST_COLUMNS])
    return " ".join(columns[j] for j in there[:MOST_COLUMNS])


def _errors(surveyed: Surveyed, fitted: Fitted, shown: Shown) -> list[RowFact]:
    """Return for each column the width of the values, of their errors and of the model."""
    if fitted.transform.reduces:
        return []
    width = model_width(shown)
    facts = []
    for j in np.flatnonzero(surveyed.error > 0)[:MOST_COLUMNS]:
        name = shown.columns[j]
        note = (
            f"standard deviation of the values {surveyed.deviation[j]:.4g}, of the model without "
            f"the errors {width[j]:.4g}"
        )
        facts.append(RowFact(word=f"Error of {name}", value=f"{surveyed.error[j]:.4g}", note=note))
    return facts


def model_width(shown: Shown) -> FloatArray:
    """Return the standard deviation of each column in the whole mixture, source units."""
    D = shown.means.shape[1]
    w = shown.weights / shown.weights.sum()
    mean = w @ shown.means
    spread: FloatArray = np.sqrt(w @ (shown.std**2 + (shown.means - mean) ** 2))
    assert spread.shape == (D,)
    return spread


def lacking_warnings(fitted: Fitted, shown: Shown) -> tuple[str, ...]:
    """Return what a reader must know: how rows with holes differ, and widths not resolved."""
    surveyed = fitted.surveyed
    if surveyed is None:
        return ()
    found = []
    if fitted.layout.missing and surveyed.complete < surveyed.n_rows:
        found += _not_at_random(surveyed, shown.columns)
    if fitted.layout.noise and not fitted.transform.reduces:
        found += _unresolved(surveyed, fitted, shown)
    return tuple(found)


def _not_at_random(surveyed: Surveyed, columns: tuple[str, ...]) -> list[str]:
    share = 1 - surveyed.complete / surveyed.n_rows
    words = (
        f"{share:.1%} of the rows lack a value. Values are assumed to be missing at random, given "
        "those that are there"
    )
    telling = [d for d in surveyed.differences if abs(d.deviations) >= TELLING]
    telling = sorted(telling, key=lambda d: -abs(d.deviations))[:3]
    differ = "; ".join(_difference(each, columns) for each in telling)
    return [f"{words}; {differ}." if differ else f"{words}."]


def _difference(found: Difference, columns: tuple[str, ...]) -> str:
    missing, column = columns[found.missing], columns[found.column]
    return (
        f"rows without {missing} have a mean {column} of {found.without:.4g}, those with it "
        f"{found.with_it:.4g} ({abs(found.deviations):.1f} standard deviations apart)"
    )


def _unresolved(surveyed: Surveyed, fitted: Fitted, shown: Shown) -> list[str]:
    """Tell components whose variance in a column is below two of its own standard errors.

    The variance of n values with errors has a standard error of about sqrt(2 / n) times the sum
    of both variances.
    """
    found = []
    for k, weight in enumerate(shown.weights):
        n = max(weight * fitted.candidate.n_rows, 2.0)
        for j in np.flatnonzero(surveyed.error > 0):
            own, error = float(shown.std[k, j]) ** 2, float(surveyed.error[j]) ** 2
            if own < 2 * math.sqrt(2 / n) * (own + error):
                found.append(f"{k} in {shown.columns[j]}")
    if not found:
        return []
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    words = "Components narrower than the errors of their rows resolve, so that their width is not"
    return [f"{words} known: {', '.join(found[:5])}{more}."]
