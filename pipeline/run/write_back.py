"""Labels written back into the AnnData source, or into a copy of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmm_dask import ConfigError, DaskEngine, __version__
from pipeline.config import Config
from pipeline.run.fitting import Fitted
from pipeline.sinks import (
    OutputRecord,
    WriteBack,
    local_source,
    needed_outputs,
    read_output,
    sha256_of,
    with_origin,
    write_copy,
    write_in_place,
)
from pipeline.sources import release


def output_columns(config: Config) -> tuple[str, ...]:
    """Return the columns of the assignments: those asked for, and those a write-back takes."""
    assert config.output
    wanted: tuple[str, ...] = tuple(config.output.columns)
    section = config.output.write_back
    if section is None:
        return wanted
    return tuple(dict.fromkeys((*wanted, *needed_outputs(section.obs, section.obsm))))


def write_back(
    config: Config, fitted: Fitted, record: OutputRecord, folder: Path, engine: DaskEngine
) -> dict[str, Any]:
    """Write labels and parameters into the source or a copy; return the manifest's entry.

    Raises
    ------
    ConfigError
        The source is not one AnnData file.
    """
    assert config.output
    section = config.output.write_back
    assert section is not None
    source = source_of(config, fitted.table.described)
    mixture = fitted.candidate.mixture
    what = WriteBack(mixture.n_components, section.obs, section.obsm, _parameters(fitted, config))
    rows = with_origin(read_output(record, what.wanted.columns), fitted.table.origin_rows)
    if section.in_place:
        rows = iter(list(rows))  # the table's handle must be closed before the file is opened
        release()
        engine.client.run(release)
        written = write_in_place(source, what, rows)
    else:
        written = write_copy(source, folder, what, rows)
    entry = {"path": written.path, "note": f"{', '.join(written.keys)} for {written.n_obs:,} cells"}
    return entry | {"sha256": sha256_of(Path(written.path))}


def source_of(config: Config, described: Mapping[str, Any]) -> Path:
    """Return the file into which, or into a copy of which, labels can be written back.

    Raises
    ------
    ConfigError
        The source is not one AnnData file of this machine.
    """
    if described.get("format") != "anndata" or len(config.source.path) != 1:
        raise ConfigError(
            "output.write_back: the source is not one AnnData file; leave it out and join the "
            "assignments by source.id"
        )
    return local_source(config.source.path[0])


def _parameters(fitted: Fitted, config: Config) -> dict[str, Any]:
    mixture = fitted.candidate.mixture
    return {
        "weights": mixture.pooled,
        "means": mixture.means,
        "covariances": mixture.covariances,
        "covariance_type": mixture.family.covariance_type,
        "columns": list(fitted.transform.after),
        "criterion": config.select.criterion,
        "gmm_dask_version": __version__,
    }
