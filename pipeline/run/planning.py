"""`plan`: what a run would do, from footers and settings alone; nothing is started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import psutil

from gmm_dask import (
    COST_MODEL,
    Grid,
    PlanError,
    Projection,
    human_bytes,
    machine_factor,
    pass_fold,
    pass_seconds,
    plan_for,
    project,
)
from pipeline.config import Config, names_after
from pipeline.run.asked import grid_of, spec_of
from pipeline.run.begun_with import earlier_model
from pipeline.run.beside import beside_lines
from pipeline.run.layouts import layout_after, layout_of
from pipeline.sources import Table, open_table

Cache = Literal["memory", "stream"]
# Passes that a run makes besides those of EM: first pass, sample, score, figures, labels.
START_PASSES, END_PASSES = 4, 3  # and one to diagnose


def plan(config: Config) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Return the plan of a configuration in words, line by line, and as plain values.

    Raises
    ------
    ConfigError, DataError
        What a run would raise before its first pass.
    PlanError
        A worker's memory cannot hold what a pass needs.
    """
    scratch = Path(config.run.dir) / "scratch"
    table = open_table(spec_of(config), scratch)
    earlier_model(config)
    facts = _facts(config, table)
    return _lines(config, table, facts), facts


def _facts(config: Config, table: Table) -> dict[str, Any]:
    grid = _grid(config, table)
    cut = plan_for(table)
    workers, threads, limit = workers_of(config)
    n_columns = columns_after(config, len(table.value_columns))
    needs = needs_of(config, table, workers, threads)
    fits = len(grid.n_components) * len(grid.covariance_type) * grid.n_init
    seconds = machine_factor() * pass_seconds(cut, grid, n_columns, workers * threads)
    return {
        "config": config.resolved(),
        "source": table.described,
        "rows": table.n_rows,
        "fits": fits,
        "n_components": list(grid.n_components),
        "covariance_type": list(grid.covariance_type),
        "blocks": cut.n_blocks,
        "block_rows": cut.block_rows,
        "tasks_per_pass": cut.n_blocks + sum(len(level) for level in cut.tree) + 1,
        "workers": workers,
        "threads_per_worker": threads,
        "worker_bytes": needs.total,
        "worker_limit": limit,
        "checkpoint_bytes": pass_fold(grid, n_columns).stats_bytes,
        "fits_in_memory": refuse_too_large(needs, limit),
        "seconds_per_pass": float(f"{seconds:.2g}"),
    }


def needs_of(config: Config, table: Table, workers: int, threads: int) -> Projection:
    """Return the bytes that one of so many workers needs for a pass of all fits.

    Parameters
    ----------
    config : Config
    table : Table
        Source units.
    workers, threads : int
        Number of workers, and threads of each.
    """
    n_columns = columns_after(config, len(table.value_columns))
    cache: Cache = "memory" if config.cluster.cache == "memory" else "stream"
    fold = pass_fold(_grid(config, table), n_columns)
    return project(plan_for(table), table, fold, threads, cache, workers)


def _grid(config: Config, table: Table) -> Grid:
    names = names_after(config, table.value_columns)
    return grid_of(config, layout_after(config, layout_of(config, table)), names)


def refuse_too_large(needs: Projection, limit: int) -> bool:
    """Return True, or raise PlanError if a worker needs more than its limit (bytes)."""
    if needs.total <= limit:
        return True
    raise PlanError(
        f"a worker needs {human_bytes(needs.total)} of memory, its limit is {human_bytes(limit)}: "
        f"program {human_bytes(needs.process)}, rows {human_bytes(needs.reading + needs.held)}, "
        f"working {human_bytes(needs.working)}, statistics {human_bytes(needs.merging)}. Raise "
        "cluster.memory_limit, set cluster.threads_per_worker: 1, or fit fewer models at once"
    )


def workers_of(config: Config) -> tuple[int, int, int]:
    """Return workers, threads of each and bytes of each as a local cluster would have them."""
    section = config.cluster
    workers = section.n_workers or os.cpu_count() or 1
    total = psutil.virtual_memory().total
    limit = section.memory_limit if isinstance(section.memory_limit, int) else total // workers
    return workers, section.threads_per_worker or 1, limit


def columns_after(config: Config, n_columns: int) -> int:
    """Return the number of columns that the mixture will see."""
    for step in config.transform:
        n_columns = step.n_components or n_columns
    return n_columns


def _lines(config: Config, table: Table, facts: dict[str, Any]) -> list[tuple[str, str]]:
    source = facts["source"]
    rows = (
        f"{table.n_rows:,} rows"
        if source.get("rows_exact", True)
        else f"up to {table.n_rows:,} rows"
    )
    size = f"{len(table.value_columns)} columns, {human_bytes(source.get('bytes') or 0)}"
    lines = [
        ("source", f"{source.get('path')}   {rows}, {size}"),
        ("columns", _listed(table.value_columns)),
    ]
    lines += [("note", note) for note in source.get("notes", [])]
    lines += beside_lines(config, table)
    if config.transform:
        steps = ", ".join(step.name for step in config.transform)
        lines.append(
            ("transform", f"{steps}   -> {columns_after(config, len(table.value_columns))} columns")
        )
    lines += _shape_lines(config)
    kinds = ", ".join(facts["covariance_type"])
    lines += [
        (
            "grid",
            (
                f"{len(facts['n_components'])} K x {kinds} x {config.model.n_init} starts = "
                f"{facts['fits']} fits, in the same passes"
            ),
        ),
        (
            "blocks",
            (
                f"{facts['blocks']} of {facts['block_rows']:,} rows   "
                f"tasks per pass {facts['tasks_per_pass']}   passes: {START_PASSES} to start, "
                f"at most {config.model.max_iter:,} of EM, {_ending(config)}"
            ),
        ),
        (
            "memory",
            (
                f"{human_bytes(facts['worker_bytes'])} per worker of "
                f"{human_bytes(facts['worker_limit'])}       checkpoint about "
                f"{human_bytes(facts['checkpoint_bytes'])} {every(config)}"
            ),
        ),
        (
            "workers",
            f"{facts['workers']} of {facts['threads_per_worker']} threads ({config.cluster.type})",
        ),
        ("time", _time(facts["seconds_per_pass"], facts["workers"] * facts["threads_per_worker"])),
        ("output", str(Path(config.run.dir).absolute())),
    ]
    return lines


def _ending(config: Config) -> str:
    """Return the last passes in words."""
    if config.diagnose is False:
        return f"{END_PASSES} to score and write"
    return f"{END_PASSES + 1} to score, diagnose and write"


def _shape_lines(config: Config) -> list[tuple[str, str]]:
    """Return what components are beside Gaussians, in words."""
    model, lines = config.model, []
    if model.circular:
        turns = ", ".join(f"{name} (period {period:g})" for name, period in model.circular.items())
        lines.append(("angles", f"{turns}; von Mises, independent within a component"))
    if model.background != "none":
        box = model.background
        sides = box.items() if isinstance(box, dict) else ()
        given = ", ".join(f"{name} from {low:g} to {high:g}" for name, (low, high) in sides)
        words = f"{given}; others over the range of the data" if given else "the range of the data"
        lines.append(("background", f"one uniform component more, over {words}"))
    return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


def _time(seconds: float, threads: int) -> str:
    """Return the time of a pass in words, and what it rests on."""
    return (
        f"about {seconds:g} s per pass of all fits on {threads} threads, less as fits end and "
        f"where components lie apart   (cost model of {COST_MODEL}; this machine's speed)"
    )


def every(config: Config) -> str:
    """Return the cadence of checkpoints in words."""
    cadence = config.checkpoint.every
    if cadence.passes:
        return f"every {cadence.passes} passes"
    return f"every {cadence.seconds or 60:g} s"
