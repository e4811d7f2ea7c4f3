"""Labels, probabilities and parameters written into an AnnData file, or into a copy of it."""

from __future__ import annotations

from pathlib import Path

from gmm_dask import ConfigError, DataError
from pipeline.sinks.anndata_edit import Rows, change, opened
from pipeline.sinks.anndata_what import WriteBack, WrittenBack
from pipeline.sinks.disk import LOCAL, Disk, discard, explain, hidden, make_folders
from pipeline.sinks.install import DRAFT, install, recover

SUFFIX = "_gmm"


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
        with opened(draft, disk) as box:
            n_obs = change(box, what, rows)
        install(disk, draft, target)
    except OSError as error:
        advice = "Check space and permissions, then run again"
        raise explain(error, f"{target} cannot be written", advice) from error
    finally:
        discard(disk, draft)
    return WrittenBack(str(target), what.keys, n_obs)


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
        with opened(path, disk) as box:
            n_obs = change(box, what, rows)
    except OSError as error:
        advice = "The file is readable; run again to complete it"
        raise explain(error, f"{path} cannot be changed", advice) from error
    return WrittenBack(str(path), what.keys, n_obs)


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
