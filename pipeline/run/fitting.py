"""From a configuration to candidates: open, transform, fit the grid, choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from gmm_dask import (
    Candidate,
    Engine,
    Grid,
    GridResult,
    PassDone,
    Resumed,
    RowLayout,
    RowShare,
    Source,
    as_table,
    run_grid,
    spool,
    start_of_droplets,
)
from pipeline.config import Config
from pipeline.run.asked import checkpoint_of, grid_of
from pipeline.run.begun_with import begun_with
from pipeline.run.groups import in_groups
from pipeline.run.layouts import in_source_terms, layout_after, layout_of
from pipeline.sources import Table
from pipeline.stages.fit_steps import fit_transform
from pipeline.stages.jacobian import LogJacobian
from pipeline.stages.survey import Survey, Surveyed, near_means
from pipeline.stages.transform import Transform, TransformedSource


@dataclass(frozen=True)
class Fitted:
    """A fitted grid with what it was fitted to.

    Parameters
    ----------
    table : Table
        Rows in source units, with their identities.
    transform : Transform
    source : Source
        What the mixture saw.
    grid : Grid
    result : GridResult
        Criteria in source units.
    chosen : int
    layout : RowLayout
        How rows of the table are to be taken.
    surveyed : Surveyed, optional
        What they lack and how large their errors are; None where they are complete and exact.
    """

    table: Table
    transform: Transform
    source: Source
    grid: Grid
    result: GridResult
    chosen: int
    layout: RowLayout
    surveyed: Surveyed | None = None

    @property
    def candidate(self) -> Candidate:
        """The chosen candidate."""
        return self.result.candidates[self.chosen]


class Shift(NamedTuple):
    """What is added to a log-likelihood per row to have it in source units."""

    train: float
    """Mean over the training rows."""
    held: float
    """Mean over the rows held out."""


def fit(
    config: Config,
    table: Table,
    engine: Engine,
    resume: str,
    watch: Sequence[Callable[[PassDone], None]],
    on_resume: Callable[[Resumed], None],
    scratch: Path,
    on_shift: Callable[[float], None] = lambda _: None,
    rests_on: Mapping[str, str] | None = None,
) -> Fitted:
    """Fit the transform and the whole grid, and choose a candidate.

    Parameters
    ----------
    config : Config
    table : Table
        Source units.
    engine : Engine
    resume : {"auto", "never", "require"}
    watch : sequence of callables
        Called after each pass.
    on_resume : callable
        Called with the checkpoint from which the fits go on.
    scratch : Path
        For ``cluster.cache: spool``.
    on_shift : callable
        Called once, before the first pass of the fits, with what brings their log-likelihood per
        row into source units.
    rests_on : mapping, optional
        What results rest on besides data and configuration; kept with the checkpoints.
    """
    with in_source_terms(table):
        table = in_groups(config, table, engine)
    layout = layout_of(config, table)
    with in_source_terms(table):
        surveyed = survey(layout, table, engine)
        angles = tuple(config.model.circular)
        transform = fit_transform(config.transform, table, engine, layout, angles)
        grid = grid_of(config, layout_after(config, layout), transform.after)
        shift = shift_of(transform, table, engine, grid.rows, layout)
        given = begun_with(config, transform)
    on_shift(shift.train)
    source: Source = TransformedSource(table, transform, layout) if transform.steps else table
    if config.cluster.cache == "spool":
        source = spool(source, scratch / f"spool-{source.fingerprint[:16]}.zarr", 65536)
    with in_source_terms(table):
        result = run_grid(
            source,
            grid,
            engine,
            given=start_of_droplets(engine, source, grid) if config.model.components else given,
            checkpoint=replace(checkpoint_of(config, resume), rests_on=rests_on),
            watch=watch,
            on_resume=on_resume,
            stability=bool(config.report) or config.select.criterion == "stability",
        )
    result = in_source_units(result, shift)
    chosen = result.choose(config.select.criterion, config.select.rule)
    return Fitted(table, transform, source, grid, result, chosen, layout, surveyed)


def survey(layout: RowLayout, table: Table, engine: Engine) -> Surveyed | None:
    """Return what rows lack and how large their errors are, by a pass; None if they say nothing."""
    if not (layout.missing or layout.noise):
        return None
    head = layout.split(table.read(0, min(4096, table.n_rows)).values).values
    return engine.fold(Survey(layout, near_means(head)), table)


def shift_of(
    transform: Transform,
    table: Source,
    engine: Engine,
    rows: RowShare | None,
    layout: RowLayout | None = None,
) -> Shift:
    """Return the mean log-Jacobians, by a pass where they are not the same for all rows.

    Parameters
    ----------
    transform : Transform
    table : Source
        Source units.
    engine : Engine
    rows : RowShare, optional
        Training rows.
    layout : RowLayout, optional
        How rows of the table are to be taken: of a row with holes only what is there counts.
    """
    constant = transform.constant_jacobian
    if not transform.steps or (constant is not None and not (layout and layout.missing)):
        return Shift(constant or 0.0, constant or 0.0)
    sums = engine.fold(LogJacobian(transform, rows, layout), table)
    train, held = (float(total / max(n, 1.0)) for total, n in (sums.train, sums.held))
    return Shift(train, held)


def in_source_units(result: GridResult, shift: Shift) -> GridResult:
    """Return the result with log-likelihoods of source units: the log-Jacobian added.

    All candidates of a run gain the same, so no choice changes; figures become comparable
    between transforms.
    """
    if shift == (0.0, 0.0):
        return result
    candidates = tuple(_shifted(candidate, shift) for candidate in result.candidates)
    comparison = result.comparison
    if comparison is not None:
        comparison = comparison._replace(mean=comparison.mean + shift.held)
    return replace(result, candidates=candidates, comparison=comparison)


def _shifted(candidate: Candidate, shift: Shift) -> Candidate:
    total = candidate.score.log_likelihood + shift.train * candidate.n_rows
    restarts = candidate.restarts
    return replace(
        candidate,
        score=candidate.score._replace(log_likelihood=total),
        lower_bounds=tuple(bound + shift.train for bound in candidate.lower_bounds),
        restarts=tuple(r._replace(lower_bound=r.lower_bound + shift.train) for r in restarts),
        held_out=candidate.held_out + shift.held,
    )


def candidate_row(candidate: Candidate, chosen: bool) -> dict[str, Any]:
    """Return a candidate as a row of ``candidates.csv``."""
    return {"chosen": chosen, **as_table(candidate)}


def dropped_starts(fitted: Fitted) -> list[dict[str, Any]]:
    """Return who was dropped on the way, when and why, for the manifest."""
    return [
        {
            "n_components": candidate.n_components,
            "covariance_type": candidate.covariance_type,
            "start": restart.number,
            "init": restart.init,
            "dropped": restart.fate,
        }
        for candidate in fitted.result.candidates
        for restart in candidate.restarts
        if restart.fate
    ]
