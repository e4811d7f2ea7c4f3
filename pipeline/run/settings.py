"""Sections of the configuration as the plain values that other rooms take."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from gmm_dask import ConfigError
from pipeline.clusters import ClusterSettings
from pipeline.config import Config, check_connection, loads, reveal
from pipeline.manifest import find_run, read_manifest


def cluster_settings(config: Config) -> ClusterSettings:
    """Return the cluster section in plain values, after checking that it is safe.

    Raises
    ------
    ConfigError
        The scheduler is on another machine and not encrypted.
    """
    section = config.cluster
    if section.address:
        check_connection(section.address, section)
    security = section.security.model_dump() if section.security else None
    return ClusterSettings(
        section.type,
        section.address,
        section.scheduler_file,
        section.n_workers,
        section.threads_per_worker,
        section.memory_limit,
        section.timeout,
        security,
        reveal(section.options, where="cluster.options"),
        lambda address: check_connection(address, section),
    )


def stored_config(target: str, overrides: Sequence[str] = ()) -> Config:
    """Return the configuration that a run folder keeps, with overrides on top.

    Parameters
    ----------
    target : str
        The run folder.
    overrides : sequence of str
        Such as ``model.max_iter=5000``.

    Raises
    ------
    ConfigError
        There is no run, or an override is wrong.
    FormatError
        ``run.json`` is damaged.
    """
    file = find_run(target) / "run.json"
    return loads(json.dumps(read_manifest(file).get("config")), str(file), overrides)


def go_where_it_started(target: str, config: Config) -> None:
    """Change to the folder where a run was started: its paths are relative to that.

    Parameters
    ----------
    target : str
        The run folder.
    config : Config
        Of the run.

    Raises
    ------
    ConfigError
        That folder is gone, or the run folder was moved.
    """
    folder = find_run(target).resolve()
    start = Path(read_manifest(folder / "run.json").get("cwd", Path.cwd()))
    if not start.is_dir():
        raise ConfigError(f"{target}: {start}, where the run was started, is gone: give its YAML")
    if (start / config.run.dir).resolve() != folder:
        raise ConfigError(
            f"{target} was made as {start / config.run.dir} and moved since: give its YAML file, "
            f"with --set run.dir={folder}"
        )
    os.chdir(start)
