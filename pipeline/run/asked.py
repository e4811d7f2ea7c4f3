"""What a configuration asks for: its source, its grid of fits, its checkpoints."""

from __future__ import annotations

from pathlib import Path

from gmm_dask import (
    CheckpointSettings,
    Grid,
    RowLayout,
    RowShare,
    held_of,
    law_of,
    shape_of,
)
from pipeline.config import Config
from pipeline.run.droplet_grid import droplet_grid
from pipeline.run.layouts import noise_of
from pipeline.sources import SourceSpec, Table, open_table


def spec_of(config: Config) -> SourceSpec:
    """Return what the configuration asks of the source."""
    section = config.source
    colour_by = config.report.colour_by if config.report else ()
    group = (section.group,) if section.group else ()
    carry = tuple(dict.fromkeys((*section.carry, *colour_by, *group)))
    return SourceSpec(
        path=section.path,
        format=section.format,
        key=section.key,
        columns=section.columns,
        units=section.units,
        filter=section.filter,
        id=section.id or (),
        carry=carry,
        sample_weight=section.sample_weight,
        missing_values=section.missing_values,
        noise=noise_of(config),
        limit=section.limit,
        storage_options=section.storage_options,
    )


def open_rows(config: Config, scratch: Path) -> Table:
    """Return the table of a configuration, ready to be read by row."""
    return open_table(spec_of(config), scratch).ingest()


def grid_of(config: Config, layout: RowLayout | None = None, names: tuple[str, ...] = ()) -> Grid:
    """Return the grid of fits that a configuration asks for.

    Parameters
    ----------
    config : Config
    layout : RowLayout, optional
        How rows are to be taken that the mixture sees; None: as values, complete and exact.
    names : tuple of str
        Of the columns that the mixture sees.
    """
    model, select = config.model, config.select
    rows = RowShare.all_rows(layout)
    if model.components == "ddpcr":
        return droplet_grid(config, rows)
    if select.criterion == "held_out":
        seed, share = model.random_state, select.held_out
        layout = rows.layout if rows is not None else None
        rows = RowShare(seed, "held out", share, inside=False, layout=layout)
    return Grid(
        model.n_components,
        model.covariance_type,
        model.n_init,
        model.init_params,
        model.tol,
        model.max_iter,
        model.reg_covar,
        model.random_state,
        rows,
        accelerate=model.assignment == "soft",
        race=select.criterion != "stability",
        covariance_prior=model.covariance_prior,
        law=law_of(model.weights),
        held=held_of({int(key): names for key, names in model.frozen.items()}),
        temperature=1.0 if model.assignment == "soft" else 0.0,
        shape=shape_of(model.circular, model.background, names, len(names)),
    )


def components_of(config: Config) -> tuple[int, ...]:
    """Return the numbers of components that a configuration asks for, droplets counted out."""
    ddpcr = config.model.components == "ddpcr"
    return grid_of(config).n_components if ddpcr else config.model.n_components


def checkpoint_of(config: Config, resume: str) -> CheckpointSettings:
    """Return where and how often fits are saved."""
    section = config.checkpoint
    return CheckpointSettings(
        Path(section.path),
        every_seconds=section.every.seconds or 60.0,
        every_passes=section.every.passes,
        keep=section.keep,
        resume=resume,
    )
