"""`predict`: label new rows with the model of a finished run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gmm_dask import (
    ConfigError,
    DaskEngine,
    DataError,
    GroupNames,
    RunLock,
    check_workers,
)
from pipeline.clusters import open_client
from pipeline.config import Config, OutputSection
from pipeline.manifest import find_run, now, read_manifest
from pipeline.run.asked import spec_of
from pipeline.run.layouts import layout_of
from pipeline.run.settings import cluster_settings, stored_config
from pipeline.run.stored import stored_model
from pipeline.run.writing import losses, write_assignments
from pipeline.schedulers import steadily
from pipeline.sinks import OutputRecord, check_target, write_json_atomic
from pipeline.sources import GroupedTable, Table, open_table
from pipeline.stages.label import AMBIGUOUS


def predict(
    target: str, data: Sequence[str], out: Path, overrides: Sequence[str], command: str
) -> tuple[int, str, dict[str, Any]]:
    """Write labels of new rows; return exit code, text and facts.

    Parameters
    ----------
    target : str
        Folder of a finished run.
    data : sequence of str
        Files, folders or globs, in the format of the run's source.
    out : Path
        Folder of the new assignments.
    overrides : sequence of str
        ``key=value`` on the run's configuration, such as ``source.id=name``.
    command : str

    Raises
    ------
    ConfigError
        The run has no model.
    DataError
        The new rows lack columns of the model.
    """
    folder = find_run(target)
    config = stored_config(target, overrides)
    path = folder / "model.zarr"
    if not path.is_dir():
        raise ConfigError(f"{folder} has no model yet: gmm-dask status {folder}")
    _check_place(folder, out)
    model, transform, columns = stored_model(path)
    output = config.output or OutputSection()
    with (
        opened_rows(without_limit(config, overrides), data, columns, out) as table,
        open_client(cluster_settings(config)) as client,
    ):
        section = config.cluster
        wait_for, timeout = section.wait_for_workers, section.timeout
        steadily(client, lambda: check_workers(client, table, timeout, wait_for), timeout)
        rows = table
        if config.source.group and config.model.weights_by == "group":
            names = GroupNames(tuple(getattr(model, "groups_", np.empty(0)).tolist()))
            rows = GroupedTable(table, config.source.group, names)
        with DaskEngine(client, "stream", timeout=timeout) as engine:
            record, result = write_assignments(
                rows,
                model.mixture_,
                transform,
                layout_of(config, rows),
                engine,
                output.format,
                out,
                output.columns,
                config.diagnose.ambiguous if config.diagnose else AMBIGUOUS,
            )
    facts = {"rows": result.n_rows, "written": now(), "command": command, "model": str(path)}
    facts |= losses(engine)
    facts |= {"label_counts": list(result.label_counts), "ambiguous": result.ambiguous}
    facts |= {"output": {"path": record.path, "sha256": record.sha256}}
    write_json_atomic(out.with_name(f"{out.name}.json"), facts)
    facts |= {"dropped": table.dropped}
    return 0, _text(path, table, record, out), facts


def _text(path: Path, table: Table, record: OutputRecord, out: Path) -> str:
    """Return what is said at the end."""
    named = " ".join(table.value_columns[:8]) + (" ..." if len(table.value_columns) > 8 else "")
    lines = [f"model of {path} ({len(table.value_columns)} columns, {named})"]
    lines += [f"left out {count:,} rows: {reason}" for reason, count in table.dropped.items()]
    written = f"{record.format}: {' '.join(record.columns)}"
    return "\n".join([*lines, f"{record.rows:,} rows written {out} ({written})"])


def without_limit(config: Config, overrides: Sequence[str]) -> Config:
    """Return a configuration that reads all rows, unless a limit is asked for here."""
    if any(override.startswith("source.limit=") for override in overrides):
        return config
    return config.model_copy(update={"source": config.source.model_copy(update={"limit": None})})


def _check_place(folder: Path, out: Path) -> None:
    """Raise ConfigError if the new labels would replace something of the run, or anything else."""
    check_target(out)
    outputs = read_manifest(folder / "run.json").get("outputs", {})
    for name, item in outputs.items():
        if Path(item["path"]).resolve() == out.resolve():
            raise ConfigError(f"--out {out}: these are the {name} of the run; name another folder")


def _group(config: Config) -> tuple[str, ...]:
    """Return the column of groups, where each has weights of its own and it is not carried."""
    group = config.source.group
    needed = group and config.model.weights_by == "group" and group not in config.source.carry
    return (group,) if group and needed else ()


@contextmanager
def opened_rows(
    config: Config, data: Sequence[str], columns: tuple[str, ...], out: Path
) -> Iterator[Table]:
    """Yield the new rows, while no other driver writes to `out`; delete what reading needed."""
    wanted = replace(
        spec_of(config),
        path=tuple(data),
        format="auto",
        columns=columns,
        carry=(*config.source.carry, *_group(config)),
    )
    scratch = out.with_name(f".{out.name}-scratch")
    with RunLock(scratch / "run.lock") as lock:
        try:
            table = open_table(wanted, scratch).ingest()
            if table.value_columns != columns:
                raise DataError(
                    f"columns {list(table.value_columns)} came; {list(columns)} are needed"
                )
            yield table
        finally:
            lock.release()  # its heartbeat lies in the folder too
            shutil.rmtree(scratch, ignore_errors=True)
