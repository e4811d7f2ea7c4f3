"""Labels, probabilities and parameters written into an AnnData file, or into a copy of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gmm_dask import ConfigError, DataError
from pipeline.sinks.anndata_box import ARRAY, CATEGORICAL, DICT, STRINGS, Box, decoded, put_value
from pipeline.sinks.anndata_rows import IntArray, Wanted, windows
from pipeline.sinks.disk import LOCAL, Disk, delete_tree, explain, hidden, make_folders
from pipeline.sinks.install import DRAFT, install, recover

STAGE = "__gmm_dask_"
PROBABILITY = "_probability"
SUFFIX = "_gmm"

Rows = Iterable[tuple[IntArray, pa.Table]]


@dataclass(frozen=True)
class WriteBack:
    """What is written into an AnnData file.

    Parameters
    ----------
    n_components : int
        K.
    obs : str, optional
        Adds ``obs[obs]``, a categorical "0", "1", ... (0 the largest; missing for cells that were
        filtered out), and ``obs[obs + "_probability"]`` (float64, NaN for these).
    obsm : str, optional
        Adds ``obsm[obsm]``, the responsibilities (n_obs, K) float32.
    parameters : mapping
        Goes to ``uns[obs or obsm]``: arrays, texts, numbers and mappings of these.

    Raises
    ------
    ConfigError
        If neither name is given, or one cannot be a key.
    """

    n_components: int
    obs: str | None
    obsm: str | None
    parameters: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.obs is None and self.obsm is None:
            raise ConfigError("output.write_back: needs a name, as in write_back: {obs: gmm}")
        for key, name in (("obs", self.obs), ("obsm", self.obsm)):
            if name is not None and (not name or "/" in name or name[0] in "._"):
                raise ConfigError(
                    f"output.write_back.{key}: {name!r} cannot be a key of AnnData; use letters, "
                    "digits and _, beginning with a letter"
                )

    @property
    def name(self) -> str:
        """Key in ``uns``."""
        return self.obs or self.obsm or ""

    @property
    def wanted(self) -> Wanted:
        """What the assignments must hold."""
        return Wanted(self.n_components, self.obs is not None, self.obsm is not None)

    @property
    def obs_columns(self) -> tuple[str, ...]:
        """The columns that ``obs`` gets."""
        return () if self.obs is None else (self.obs, f"{self.obs}{PROBABILITY}")


@dataclass(frozen=True)
class WrittenBack:
    """What was written.

    Parameters
    ----------
    path : str
        The changed file, or the copy.
    keys : tuple of str
        Such as ``obs/gmm``.
    n_obs : int
        Cells of the file.
    """

    path: str
    keys: tuple[str, ...]
    n_obs: int


def needed_outputs(obs: str | None, obsm: str | None) -> tuple[str, ...]:
    """Return the words of ``output.columns`` that a write-back takes from the assignments."""
    label = ("label", "probability") if obs is not None else ()
    return label + (("responsibilities",) if obsm is not None else ())


def write_copy(
    source: str | Path, folder: str | Path, what: WriteBack, rows: Rows, disk: Disk = LOCAL
) -> WrittenBack:
    """Copy an AnnData file to ``<folder>/<stem>_gmm<suffix>`` and write into the copy.

    The copy appears when it is complete; an older one is replaced then.

    Parameters
    ----------
    source : str or Path
        An h5ad file, or the folder of a zarr store of format 2 or 3.
    folder : str or Path
    what : WriteBack
    rows : iterable of (positions, pyarrow.Table)
        See `pipeline.sinks.with_origin`.
    disk : Disk, optional

    Raises
    ------
    DataError
        If the file is not AnnData, or not the one that was labelled.
    ResourceError
        If it cannot be copied.
    """
    origin = local_source(source)
    target = Path(folder).expanduser().resolve() / f"{origin.stem}{SUFFIX}{origin.suffix}"
    draft = hidden(target, DRAFT)
    try:
        make_folders(disk, target.parent)
        recover(disk, target)
        disk.copy(origin, draft)
        n_obs = _change(draft, what, rows, disk)
        install(disk, draft, target)
    except OSError as error:
        advice = "Check space and permissions, then run again"
        raise explain(error, f"{target} cannot be written", advice) from error
    finally:
        _drop(disk, draft)
    return WrittenBack(str(target), _keys(what), n_obs)


def write_in_place(
    source: str | Path, what: WriteBack, rows: Rows, disk: Disk = LOCAL
) -> WrittenBack:
    """Write into an AnnData file itself, without rewriting it.

    Everything is written under a key that readers do not look at, then renamed; the list of
    columns comes last. Killed on the way, the file is readable, with the old keys, without them, or
    with the new ones. For h5ad this rests on HDF5, which does not promise it: a copy is safer.
    All handles on the file in this process must be closed.

    Parameters
    ----------
    source, what, rows, disk
        See `write_copy`.

    Raises
    ------
    DataError
        If the file is not AnnData, or not the one that was labelled.
    ResourceError
        If it cannot be opened for writing.
    """
    path = local_source(source)
    try:
        n_obs = _change(path, what, rows, disk)
    except OSError as error:
        advice = "The file is readable; run again to complete it"
        raise explain(error, f"{path} cannot be changed", advice) from error
    return WrittenBack(str(path), _keys(what), n_obs)


def local_source(source: str | Path) -> Path:
    """Return the absolute path of a source that can be written back to.

    Raises
    ------
    ConfigError
        If it is a URL or a pattern of many files.
    DataError
        If nothing is there.
    """
    text = str(source)
    if "://" in text:
        raise ConfigError(
            "output.write_back: the source is a URL; write-back needs a file or folder on this "
            "machine. Leave it out and join the assignments by source.id"
        )
    path = Path(text).expanduser().resolve()
    if not path.exists():
        many = any(mark in text for mark in "*?[")
        hint = "; it takes one file, not a pattern" if many else ""
        raise DataError(f"output.write_back: {path} is not there{hint}")
    return path
