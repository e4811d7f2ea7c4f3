"""Droplet digital PCR in a run: the concentrations of wells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gmm_dask import Engine, RowShare, concentrations_of
from pipeline.config import Config
from pipeline.report.parts import RowFact
from pipeline.run.layouts import layout_after
from pipeline.sources import GroupedTable

if TYPE_CHECKING:
    from pipeline.run.fitting import Fitted


def concentration_rows(config: Config, fitted: Fitted, engine: Engine) -> list[dict[str, Any]]:
    """Return a row for each well and target, and pooled ones; none where it was not asked for."""
    section, table = config.diagnose, fitted.table
    if section is False or section.concentration is None:
        return []
    wells = table.groups.names if isinstance(table, GroupedTable) else ("all",)
    found = concentrations_of(
        engine,
        fitted.source,
        fitted.candidate.mixture,
        RowShare.all_rows(layout_after(config, fitted.layout)),
        (tuple(wells), tuple(config.source.columns or ())),
        partition_volume=section.concentration.partition_volume,
        dilution=section.concentration.dilution,
        threshold=section.ambiguous,
    )
    return found.rows()


def well_facts(rows: Sequence[dict[str, Any]]) -> tuple[RowFact, ...]:
    """Return what the report tells of each well and target, in QuantaSoft's form."""
    return tuple(
        RowFact(
            word=f"{row['well']}, {row['target']}",
            value=_figure(row),
            note=_note(row),
        )
        for row in rows
    )


def _figure(row: dict[str, Any]) -> str:
    low, high = _said(row["low"]), _said(row["high"])
    return f"{row['concentration']:.4g} copies/uL ({low} to {high})"


def _said(limit: float | None) -> str:
    return "unknown" if limit is None else f"{limit:.4g}"


def _note(row: dict[str, Any]) -> str:
    accepted, positives = row["accepted"], row["positives"]
    if row["between_wells"] is not None:
        spread = f"wells as replicates, {row['between_wells']:.3g} copies per droplet between them"
        return f"{spread}; accepted {accepted:,.0f}, positives {positives:,.0f}"
    note = (
        f"95 % Poisson limits; accepted {accepted:,.0f}, positives {positives:,.0f}, negatives "
        f"{accepted - positives:,.0f}, ambiguous {row['ambiguous']:,.0f}"
    )
    if "double_positives" not in row:
        return note
    return (
        f"{note}; double positives {row['double_positives']:,.0f}, "
        f"{row['expected_if_independent']:,.0f} if independent (likelihood ratio "
        f"{row['likelihood_ratio']:,.1f}, p {row['p_independent']:.2g})"
    )
