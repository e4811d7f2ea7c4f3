"""The tables of the page, as strings ready to be set."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.report.csv_links import Link, csv_link, file_name
from pipeline.report.palette import color
from pipeline.report.ranking import best_candidates, leading_columns
from pipeline.report.results import CandidateRow, ComponentRow, Composition, Results
from pipeline.report.shape import component_link
from pipeline.report.words import (
    CRITERIA,
    NOTHING,
    agreement,
    count,
    fixed,
    name,
    number,
    plural,
    score,
    share,
    with_spreads,
)

STABILITY_NOTE = (
    "Stability: mean adjusted Rand index (1: the same labels) of the best start with the other "
    "starts, and with the best of the next smaller and larger K."
)
_BESIDE = ("aic", "icl_map")  # with a column of their own where they decide
MAX_COLUMNS, MAX_ROWS, MAX_CATEGORIES, MAX_CSV_ROWS = 8, 40, 16, 2000


@dataclass(frozen=True)
class Mark:
    """A component's number in its colour."""

    number: int
    color: str


def mark(component: int) -> Mark:
    """Return the mark of a component."""
    return Mark(component, color(component))


@dataclass(frozen=True)
class ComponentLine:
    """One line of the component table."""

    mark: Mark
    weight: str
    bar: float
    rows: str
    cells: tuple[tuple[str, str], ...]
    certainty: str
    partner: Mark | None
    overlap: str


@dataclass(frozen=True)
class ComponentTable:
    """The component table: heads are (name, unit)."""

    heads: tuple[tuple[str, str], ...]
    lines: tuple[ComponentLine, ...]
    note: str
    link: Link


def component_table(results: Results) -> ComponentTable:
    """Return means and standard deviations in source units, per component."""
    columns = leading_columns(results.components, MAX_COLUMNS)
    facts = [results.source.columns[column] for column in columns]
    heads = tuple((name(fact.name, 40), name(fact.unit, 16)) for fact in facts)
    shown = results.components[:MAX_ROWS]
    top = max([component.weight for component in shown if component.weight > 0], default=1.0)
    cells = [_column_cells(shown, column) for column in columns]
    rows = zip(*cells, strict=True)
    lines = tuple(_component_line(c, row, top) for c, row in zip(shown, rows, strict=True))
    return ComponentTable(heads, lines, _component_note(results, columns), component_link(results))


def _column_cells(components: tuple[ComponentRow, ...], column: int) -> list[tuple[str, str]]:
    means = [float(component.mean[column]) for component in components]
    return with_spreads(means, [float(component.std[column]) for component in components])


def _component_line(
    component: ComponentRow, cells: tuple[tuple[str, str], ...], top: float
) -> ComponentLine:
    bar = component.weight / top if math.isfinite(component.weight) else 0.0
    partner = None if component.partner is None else mark(component.partner)
    return ComponentLine(
        mark(component.number),
        share(component.weight),
        round(100 * min(max(bar, 0.0), 1.0), 1),
        count(component.rows),
        cells,
        fixed(component.probability, 2),
        partner,
        NOTHING if partner is None else fixed(component.overlap, 2),
    )


def _component_note(results: Results, columns: list[int]) -> str:
    K, D = len(results.components), len(results.source.columns)
    words = "Mean of each column, in the units of the source; in brackets its standard deviation. "
    if len(columns) < D:
        words += f"{len(columns)} of {D:,} columns, the best separating first. "
    if K > MAX_ROWS:
        words += f"The {MAX_ROWS} first of {K:,} components. "
    if K > 1:
        words += "Certainty: mean probability of the label among the rows that carry it. "
        words += "Overlap: Bhattacharyya coefficient with the nearest other component. "
    for component in results.components:
        if component.name == "background":
            words += (
                f"Component {component.number} is the uniform background: its mean and standard "
                "deviation are those of its box. "
            )
    return words + "Numbers are the labels of the assignments."


@dataclass(frozen=True)
class CandidateTable:
    """The candidate table: each line is (chosen, cells)."""

    heads: tuple[str, ...]
    lines: tuple[tuple[bool, tuple[str, ...]], ...]
    note: str
    link: Link


def candidate_table(results: Results) -> CandidateTable:
    """Return all candidates, or the best of very many, with every criterion."""
    heads = ["K", "type", "starts agree", "log-lik. per row", "parameters", "BIC", "ICL"]
    heads += [CRITERIA[results.criterion]] if results.criterion in _BESIDE else []
    held_out = any(math.isfinite(row.held_out) for row in results.candidates)
    heads += ["held-out (s.e.)"] if held_out else []
    stable = any(_agreement(row) != NOTHING for row in results.candidates)
    heads += ["stability"] if stable else []
    shown = best_candidates(results, MAX_ROWS)
    lines = tuple(
        (i == results.chosen, _candidate_cells(results, results.candidates[i], held_out, stable))
        for i in shown
    )
    total = len(results.candidates)
    note = "" if len(shown) == total else f"{len(shown)} of {total:,}, the best by the criterion."
    note = " ".join(filter(None, [note, STABILITY_NOTE if stable else ""]))
    return CandidateTable((*heads, "passes", "note"), lines, note, _candidate_link(results))


def _candidate_cells(
    results: Results, row: CandidateRow, held_out: bool, stable: bool
) -> tuple[str, ...]:
    cells = [count(row.n_components), name(row.covariance_type, 20)]
    cells += [f"{row.starts_agree}/{row.n_init}", fixed(row.log_likelihood_per_row, 4)]
    cells += [count(row.n_parameters), score(row.bic), score(row.icl)]
    cells += [score(getattr(row, results.criterion))] if results.criterion in _BESIDE else []
    if held_out:
        cells.append(f"{fixed(row.held_out, 4)} ({number(row.held_out_error, 2)})")
    cells += [_agreement(row)] if stable else []
    problems = [] if row.converged else ["not converged"]
    problems += [] if row.ranked else ["not ranked"]
    return (*cells, count(row.n_iter), "; ".join([*problems, *filter(None, [name(row.note, 160)])]))


def _agreement(row: CandidateRow) -> str:
    return agreement(row.stability, row.stability_neighbours)


_FIELDS = (
    *("n_components", "covariance_type", "log_likelihood_per_row", "n_rows", "n_parameters"),
    *("bic", "aic", "icl", "icl_map", "held_out", "held_out_error"),
    *("stability", "stability_neighbours", "restarts_compared"),
    *("starts_agree", "n_init", "n_iter", "converged", "ranked"),
)


def _candidate_link(results: Results) -> Link:
    rows = [
        ("yes" if i == results.chosen else "", *_candidate_numbers(row), name(row.note, 160))
        for i, row in enumerate(results.candidates[:MAX_CSV_ROWS])
    ]
    filename = file_name(results.run.name, "candidates")
    return csv_link("candidates (CSV)", filename, ("chosen", *_FIELDS, "note"), rows)


def _candidate_numbers(row: CandidateRow) -> list[str | int | float]:
    values = [getattr(row, field) for field in _FIELDS]
    return [name(value, 40) if isinstance(value, str) else value for value in values]


@dataclass(frozen=True)
class CompositionTable:
    """Shares of categories within components: each cell is (text, share from 0 to 1)."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[Mark, str, tuple[tuple[str, float], ...]], ...]
    note: str
    link: Link


def composition_table(results: Results, table: Composition) -> CompositionTable:
    """Return the largest categories within each component, the rest added together."""
    order = np.argsort(-np.nan_to_num(table.counts).sum(axis=0), kind="stable")
    kept, rest = order[:MAX_CATEGORIES], order[MAX_CATEGORIES:]
    heads = [name(table.categories[i], 40) for i in kept]
    counts = np.nan_to_num(table.counts)
    shown = counts[:, kept]
    if rest.size:
        heads.append(f"{plural(len(rest), 'other')}")
        shown = np.column_stack([shown, counts[:, rest].sum(axis=1)])
    lines = tuple(
        _composition_line(component.number, row)
        for component, row in zip(results.components[:MAX_ROWS], shown, strict=False)
    )
    note = "Share of each category among the rows of a component. "
    if len(results.components) > MAX_ROWS:
        note += f"The {MAX_ROWS} first components. "
    link = _composition_link(results, table, [int(i) for i in order])
    return CompositionTable(name(table.name, 80), tuple(heads), lines, note.strip(), link)


def _composition_line(
    component: int, counts: np.ndarray
) -> tuple[Mark, str, tuple[tuple[str, float], ...]]:
    total = counts.sum()
    shares = counts / total if total > 0 else np.zeros(len(counts))
    cells = tuple(
        (share(float(part)) if part > 0 else "", round(float(part), 3)) for part in shares
    )
    return mark(component), count(float(total)), cells


def _composition_link(results: Results, table: Composition, order: list[int]) -> Link:
    most = max(1, 8000 // max(1, min(len(results.components), MAX_CSV_ROWS)))
    kept = order[:most]
    header = ("component", *(name(table.categories[i]) for i in kept))
    rows = [
        (component.number, *map(float, counts[kept]))
        for component, counts in zip(results.components[:MAX_CSV_ROWS], table.counts, strict=False)
    ]
    part = "composition-" + (file_name(table.name, "").removesuffix("-.csv"))
    return csv_link("CSV", file_name(results.run.name, part), header, rows)
