"""Groups of rows with weights of their own: found in the source, and told of after the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gmm_dask import Engine, GroupNames, law_word
from pipeline.config import Config
from pipeline.report.parts import RowFact
from pipeline.sources import GroupedTable, LabelsOf, Table

if TYPE_CHECKING:
    from pipeline.run.fitting import Fitted


def in_groups(config: Config, table: Table, engine: Engine) -> Table:
    """Return the table with the group of each row, if groups have weights of their own.

    By a pass that reads their labels.
    """
    column = config.source.group
    if config.model.weights_by != "group" or column is None:
        return table
    parts = engine.map(LabelsOf(table.identity, column), table)
    found = dict.fromkeys(label for part in parts for label in part)
    labels = np.empty(len(found), dtype=object)
    labels[:] = list(found)
    return GroupedTable(table, column, GroupNames.of(labels))


def weight_rows(fitted: Fitted) -> list[dict[str, Any]]:
    """Return the weights of each group, with the law's own parameters, as rows of a table.

    One row for all where there are no groups; none where, besides, weights are free.
    """
    mixture, table = fitted.candidate.mixture, fitted.table
    names = table.groups.names if isinstance(table, GroupedTable) else ("all",)
    if len(names) == 1 and law_word(mixture.law) == "free":
        return []
    found = _flat(mixture.law.parameters(mixture.weights))
    share = np.atleast_1d(mixture.shares)
    return [
        {
            "group": name,
            "share_of_rows": float(share[g]),
            **{word: float(numbers[g]) for word, numbers in found.items()},
            **{f"weight_{k}": float(w) for k, w in enumerate(mixture.weights[g])},
        }
        for g, name in enumerate(names)
    ]


def _flat(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters (G, ...) as columns (G,)."""
    flat: dict[str, Any] = {}
    for word, numbers in parameters.items():
        columns = numbers.reshape(len(numbers), -1).T
        if len(columns) == 1:
            flat[word] = columns[0]
        else:
            flat |= {f"{word}_{i}": column for i, column in enumerate(columns)}
    return flat


def law_facts(fitted: Fitted) -> tuple[RowFact, ...]:
    """Return what is told of the weights' law and of groups beside the rows."""
    mixture, table = fitted.candidate.mixture, fitted.table
    facts = []
    word = law_word(mixture.law)
    if word != "free":
        found = _flat(mixture.law.parameters(mixture.weights))
        few = len(mixture.weights) == 1
        note = ", ".join(f"{name} {float(values[0]):.6g}" for name, values in found.items())
        facts.append(
            RowFact(word="Law of the weights", value=_said(word), note=note if few else "")
        )
    if isinstance(table, GroupedTable):
        note = f"column {table.column}; weights of each in weights.csv, of all rows in the figures"
        facts.append(RowFact(word="Groups", value=f"{len(mixture.weights):,}", note=note))
    return tuple(facts)


def _said(word: Any) -> str:
    if isinstance(word, dict):
        return ", ".join(f"{key}: {value}" for key, value in word.items())
    return "held at " + ", ".join(f"{w:g}" for w in word) if isinstance(word, list) else str(word)
