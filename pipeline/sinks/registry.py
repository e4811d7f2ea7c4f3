"""The formats of row outputs, and how one is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from gmm_dask import ConfigError
from pipeline.sinks.base import ADVICE, Format, Sink
from pipeline.sinks.csv_format import CsvFormat
from pipeline.sinks.disk import LOCAL, Disk, explain, hidden
from pipeline.sinks.install import DRAFT, recover
from pipeline.sinks.layout import Layout
from pipeline.sinks.parquet_format import ParquetFormat
from pipeline.sinks.records import OutputRecord
from pipeline.sinks.zarr_format import ZarrFormat

FORMATS: dict[str, Format] = {f.name: f for f in (ParquetFormat(), ZarrFormat(), CsvFormat())}


def open_sink(format: str, path: str | Path, layout: Layout, disk: Disk = LOCAL) -> Sink:  # noqa: A002
    """Start writing an output aside; see `Sink` for how it goes on.

    What a killed writer of the same path left is cleaned up first, so a path has one writer at a
    time: hold the lock of the run.

    Parameters
    ----------
    format : {"parquet", "zarr", "csv"}
    path : str or Path
        Folder that the output will be, on a file system that every worker sees.
    layout : Layout
    disk : Disk, optional

    Raises
    ------
    ConfigError
        If the format is not known, or something is at `path` that is not an output.
    DataError
        If a column cannot be written in this format.
    ResourceError
        If the folder cannot be written.
    """
    check_target(path)
    chosen = _format(format)
    chosen.check(layout)
    place = _resolved(path)
    try:
        recover(disk, place)
    except OSError as error:
        raise explain(error, f"{place} cannot be prepared", ADVICE) from error
    return Sink(chosen, place, hidden(place, DRAFT), layout, disk).start()


def check_target(path: str | Path) -> None:
    """Raise ConfigError if an output at `path` would replace something that is none.

    Parameters
    ----------
    path : str or Path
    """
    place = _resolved(path)
    if not place.exists():
        return
    known = place.is_dir() and (
        not any(place.iterdir()) or any(f.recognises(place) for f in FORMATS.values())
    )
    if not known:
        raise ConfigError(
            f"output.path: {place} holds something that this program did not write, and would be "
            "replaced. Move it away, or choose another path"
        )


def read_output(record: OutputRecord, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of a complete output in the order of the rows, in pieces of bounded size.

    Parameters
    ----------
    record : OutputRecord
    columns : sequence of str
        Output columns (label, probability, ...), not identities.
    """
    return _format(record.format).read(Path(record.path), columns)


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise ConfigError(f"output.format: {name} came; {', '.join(FORMATS)} are known")
    return FORMATS[name]


def _resolved(path: str | Path) -> Path:
    """Return the real folder: a link must not be replaced by a folder on another disk."""
    if "://" in str(path):
        raise ConfigError(
            f"output.path: {str(path).partition('?')[0].rpartition('@')[2]} is a URL; outputs are "
            "written to a folder that every worker sees"
        )
    return Path(path).expanduser().resolve()
