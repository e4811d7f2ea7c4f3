"""`predict`: label new rows with the model of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gmm_dask import ConfigError, DaskEngine, DataError, GaussianMixture, check_workers
from pipeline.clusters import open_client
from pipeline.config import Config, from_resolved
from pipeline.manifest import find_run, now, read_manifest
from pipeline.run.fitting import spec_of
from pipeline.run.settings import cluster_settings
from pipeline.run.writing import write_assignments
from pipeline.sinks import write_json_atomic
from pipeline.sources import Table, open_table
from pipeline.stages.transform import Transform


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
    config = _config(read_manifest(folder / "run.json"), overrides)
    path = folder / "model.zarr"
    if not path.is_dir():
        raise ConfigError(f"{folder} has no model yet: gmm-dask status {folder}")
    model = GaussianMixture.load(path)
    transform = Transform.from_dict(model.extra_["transform"])
    table = _open(config, data, tuple(model.extra_["columns"]), out)
    output = config.output or type(config).model_fields["output"].default
    with open_client(cluster_settings(config)) as client:
        section = config.cluster
        check_workers(client, table, section.timeout, section.wait_for_workers)
        with DaskEngine(client, "stream", timeout=section.timeout) as engine:
            record, result = write_assignments(
                table, model.mixture_, transform, engine, output.format, out, output.columns
            )
    facts = {"rows": result.n_rows, "written": now(), "command": command, "model": str(path)}
    facts |= {"label_counts": list(result.label_counts), "ambiguous": result.ambiguous}
    facts |= {"output": {"path": record.path, "sha256": record.sha256}}
    write_json_atomic(out.with_name(f"{out.name}.json"), facts)
    columns = " ".join(record.columns)
    head = f"model of {path} ({len(table.columns)} columns, {' '.join(table.columns[:8])})"
    text = f"{head}\n{result.n_rows:,} rows written {out} ({record.format}: {columns})"
    return 0, text, facts


def _config(manifest: dict[str, Any], overrides: Sequence[str]) -> Config:
    stored = {**manifest["config"]}
    for override in overrides:
        key, found, value = override.partition("=")
        section, _, word = key.partition(".")
        if not found or not word or section not in stored:
            raise ConfigError(f"--set {override}: section.key=value is needed")
        stored[section] = {**(stored[section] or {}), word: value}
    return from_resolved(stored)


def _open(config: Config, data: Sequence[str], columns: tuple[str, ...], out: Path) -> Table:
    spec = spec_of(config)
    wanted = replace(
        spec, path=tuple(data), format="auto", columns=columns, carry=config.source.carry
    )
    table = open_table(wanted, out.with_name(f".{out.name}-scratch")).ingest()
    if table.columns != columns:
        raise DataError(f"columns {list(table.columns)} came; {list(columns)} are needed")
    return table
