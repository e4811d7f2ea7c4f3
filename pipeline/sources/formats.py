"""Which opener reads which format. A new format is one file and one line in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.sources.anndata_rows import open_anndata
from pipeline.sources.builtin_rows import PREFIX, open_builtin
from pipeline.sources.csv_rows import SUFFIXES as CSV
from pipeline.sources.csv_rows import open_csv
from pipeline.sources.files import find_files, redacted
from pipeline.sources.npy_rows import SUFFIXES as NPY
from pipeline.sources.npy_rows import open_npy
from pipeline.sources.parquet_rows import SUFFIXES as PARQUET
from pipeline.sources.parquet_rows import open_parquet
from pipeline.sources.spec import SourceSpec
from pipeline.sources.store import Store, store_file
from pipeline.sources.table import Table
from pipeline.sources.trouble import ConfigError, listed, nearest
from pipeline.sources.zarr_rows import open_zarr_array

FORMATS: dict[str, Callable[[SourceSpec, Path], Table]] = {
    "parquet": open_parquet,
    "csv": open_csv,
    "npy": open_npy,
    "zarr": open_zarr_array,
    "anndata": open_anndata,
    "builtin": open_builtin,
}

_ENDINGS = {
    **dict.fromkeys(PARQUET, "parquet"),
    **dict.fromkeys(CSV, "csv"),
    **dict.fromkeys(NPY, "npy"),
    ".h5ad": "anndata",
}
_ZARR = (".zarr", ".zarr.zip")
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")


def open_table(spec: SourceSpec, scratch: Path) -> Table:
    """Open the rows that a configuration asks for; no row is read, but to find identifiers.

    Parameters
    ----------
    spec : SourceSpec
    scratch : Path
        Folder that every worker can read, for rows that have to be rewritten (`Table.ingest`).
        It is made when it is needed.

    Returns
    -------
    Table

    Raises
    ------
    ConfigError
        If a setting cannot be read or does not fit the format.
    DataError
        If the data are not there, are damaged, or lack a column.
    ResourceError
        If the storage fails.
    """
    kind = guess(spec) if spec.format == "auto" else spec.format
    if kind not in FORMATS:
        raise ConfigError(
            f"source.format: {kind} is not known; known are auto, {listed(list(FORMATS))}."
            + nearest(kind, list(FORMATS))
        )
    if spec.missing_words and kind != "csv":
        raise ConfigError(
            f"source.missing_values: {spec.missing_words[0]!r} is a word; in {kind} only numbers "
            "can mean missing"
        )
    if spec.key is not None and kind not in ("zarr", "anndata"):
        raise ConfigError(f"source.key: {kind} has no arrays to choose from; remove the key")
    return FORMATS[kind](spec, scratch)


def guess(spec: SourceSpec) -> str:
    """Return the format that the path tells: by its ending, or by what the folder holds.

    Raises
    ------
    ConfigError
        If it tells none, or several.
    """
    if not spec.paths:
        raise ConfigError("source.path: an empty list came; name at least one file")
    found = {_guess_one(path, spec) for path in spec.paths}
    if len(found) > 1:
        raise ConfigError(f"source.path: {listed(sorted(found))} came together; give one format")
    return found.pop()


def _guess_one(path: str, spec: SourceSpec) -> str:
    if path.startswith(PREFIX):
        return "builtin"
    name = redacted(path).rstrip("/").lower()
    if name.endswith(_ZARR) or _is_zarr_folder(path):
        return _zarr_or_anndata(path, spec)
    ending = _ending(name)
    if ending:
        return ending
    files = find_files([path], spec.storage_options, ("",), "data")
    kinds = {_ending(file.shown.lower()) for file in files} - {""}
    if len(kinds) == 1:
        return kinds.pop()
    why = f"it holds {listed(sorted(kinds))}" if kinds else "its name does not tell"
    raise ConfigError(
        f"source.format: the format of {redacted(path)} is unclear ({why}); "
        f"set it to one of {listed(list(FORMATS))}"
    )


def _ending(name: str) -> str:
    return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), "")


def _is_zarr_folder(path: str) -> bool:
    return any((Path(path).expanduser() / mark).is_file() for mark in _ZARR_MARKS)


def _zarr_or_anndata(path: str, spec: SourceSpec) -> str:
    with Store(store_file(path, spec.storage_options), is_hdf5=False).root() as root:
        attributes = dict(root.attrs) if isinstance(root.metadata.attributes, dict) else {}
        return "anndata" if attributes.get("encoding-type") == "anndata" else "zarr"
