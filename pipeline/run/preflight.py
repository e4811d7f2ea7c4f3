"""What would only fail after the fits, asked before them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmm_dask import ConfigError, ResourceError
from pipeline.config import Config
from pipeline.run.asked import components_of
from pipeline.run.begun_with import earlier_model
from pipeline.run.planning import columns_after, needs_of, refuse_too_large
from pipeline.run.sampling import decoder_of
from pipeline.run.write_back import output_columns, source_of
from pipeline.sinks import FORMATS, Layout, check_target
from pipeline.sources import Table
from pipeline.stages.label import label_schema


def check_outputs(config: Config, table: Table) -> None:
    """Raise if a run of this table could not write what it is asked for.

    Parameters
    ----------
    config : Config
    table : Table
        Ready to be read.

    Raises
    ------
    ConfigError
        An output would replace something else, has two columns of one name, or cannot be written
        back; or the report is to show columns that its figures do not have.
    DataError
        A column that the format cannot hold.
    """
    _check_features(config, table)
    earlier_model(config)
    decoder_of(config)
    if not config.output:
        return
    check_target(config.output.path)
    if config.output.write_back:
        source_of(config, table.described)
    identity = table.identity(0, 1).schema
    names = table.value_columns
    most = max(components_of(config)) + (config.model.background != "none")
    schema = label_schema(identity, output_columns(config), most, names)
    FORMATS[config.output.format].check(Layout(schema, table.n_rows, table.n_rows))


def check_memory(config: Config, table: Table, workers: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if a worker's memory cannot hold what a pass of all fits needs.

    The engine refuses each pass that does not fit; here it is told before the first one, and
    before the starts are computed.

    Parameters
    ----------
    config : Config
    table : Table
        Source units.
    workers : mapping
        What the scheduler knows of each worker, by address.

    Raises
    ------
    PlanError
        With the parts in numbers and the setting to change.
    """
    limits = [int(worker["memory_limit"]) for worker in workers.values() if worker["memory_limit"]]
    if limits:
        threads = max(int(worker["nthreads"]) for worker in workers.values())
        refuse_too_large(needs_of(config, table, len(workers), threads), min(limits))


def _check_features(config: Config, table: Table) -> None:
    wanted = config.report.features if config.report else None
    if not wanted:
        return
    width = len(table.value_columns)
    if columns_after(config, width) < width:
        raise ConfigError(
            "report.features: after pca the figures show principal components; take it out"
        )
    unknown = [name for pair in wanted for name in pair if name not in table.value_columns]
    if unknown:
        raise ConfigError(
            f"report.features: {unknown[0]} is not among the columns "
            f"({', '.join(table.value_columns)})"
        )


def writable(path: Path) -> None:
    """Make the folder of a run.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ConfigError
        There is a file of this name.
    ResourceError
        The file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ConfigError(
            f"run.dir: {error.filename} is a file; name a folder for the run"
        ) from None
    except OSError as error:
        raise ResourceError(
            f"run.dir: {path} cannot be made: {error.strerror} ({error.filename})"
        ) from error
