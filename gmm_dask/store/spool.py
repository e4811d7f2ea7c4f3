"""Scratch zarr stores: rows cut again into equal chunks, once, to be read in every pass.

Uncompressed, so that reading runs at the speed of memory, and with a checksum on each chunk. A
spool is written aside and takes its name when `seal` has found all its chunks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec
from zarr.storage import LocalStore

from gmm_dask.blocks import FLOAT_DTYPES, Block, Source, default_columns
from gmm_dask.errors import DataError, StoreError
from gmm_dask.store.files import LOCAL, Files, aside, delete_tree, explain, make_folders
from gmm_dask.store.zarr_source import SPOOL, ZarrSource

CRC_BYTES = 4
FREE = "Free space there, or choose another spool folder."


def create_spool(
    path: str | Path,
    n_rows: int,
    n_columns: int,
    dtype: np.dtype[Any] | type | str,
    rows_per_chunk: int,
    columns: Sequence[str] = (),
    fingerprint: str = "",
    *,
    files: Files = LOCAL,
) -> None:
    """Make an empty spool into which `write_rows` may write from many processes.

    An unfinished one of the same path is deleted; a sealed one stays in place until `seal`.

    Parameters
    ----------
    path : str or Path
        The name that the spool has once it is sealed.
    n_rows, n_columns : int
    dtype : float32 or float64
    rows_per_chunk : int
    columns : sequence of D names, optional
    fingerprint : str, optional
        Of the rows' own source: a checkpoint then does not depend on when the spool was written.

    Raises
    ------
    DataError
        If the shape or type cannot be spooled.
    StoreError
        If the file system refuses.
    """
    kind = np.dtype(dtype)
    _refuse_other(Path(path), files)
    if kind not in FLOAT_DTYPES or min(n_rows, n_columns, rows_per_chunk) < 1:
        raise DataError(
            f"a spool of {n_rows} x {n_columns} {kind} in chunks of {rows_per_chunk} rows; needed: "
            "float32 or float64, at least one of each"
        )
    draft, names = _draft(path), list(columns or default_columns(n_columns))
    try:
        delete_tree(files, draft)
        make_folders(files, draft.parent)
        zarr.create_array(
            store=LocalStore(draft),
            shape=(n_rows, n_columns),
            dtype=kind,
            chunks=(rows_per_chunk, n_columns),
            filters=None,
            compressors=[Crc32cCodec()],
            fill_value=math.nan,
            attributes={SPOOL: {"sealed": False, "columns": names, "source": fingerprint}},
            config={"write_empty_chunks": True},
        )
    except OSError as error:
        raise explain(error, f"cannot make the spool {path}", FREE) from error


def write_rows(path: str | Path, block: Block) -> None:
    """Write whole chunks into a spool that is not sealed yet.

    Writing the same rows twice gives the same file: a task may be repeated, also at the same time.

    Parameters
    ----------
    path : str or Path
    block : Block
        Begins where a chunk begins, and ends where one ends or with the last row.

    Raises
    ------
    StoreError
        If there is no open spool, or the file system refuses.
    DataError
        If the block does not consist of whole chunks of the spool's type.
    """
    array = _open_draft(path)
    rows, (n_rows, n_columns) = array.chunks[0], array.shape
    end = block.start + len(block)
    whole = block.start % rows == 0 and (end % rows == 0 or end == n_rows) and end <= n_rows
    if not whole or not len(block) or block.values.shape[1:] != (n_columns,):
        raise DataError(
            f"spool {path}: rows {block.start} to {end} x {block.values.shape[1:]} are not whole "
            f"chunks of {rows} rows x {n_columns} columns out of {n_rows}"
        )
    if block.values.dtype != array.dtype:
        raise DataError(f"spool {path} holds {array.dtype}; {block.values.dtype} came")
    try:
        array[block.start : end] = block.values
    except OSError as error:
        doing = f"cannot write rows {block.start} to {end} to the spool {path}"
        raise explain(error, doing, FREE) from error


def seal(path: str | Path, *, files: Files = LOCAL) -> ZarrSource:
    """Declare a spool complete, give it its name, and return its source.

    Sealing a sealed spool again changes nothing.

    Raises
    ------
    StoreError
        If rows were not written, there is no spool, or the file system refuses.
    """
    target, draft = Path(path), _draft(path)
    if not files.is_folder(draft) and files.is_folder(target):
        return ZarrSource(target)
    array = _open_draft(path)
    if lost := _incomplete(array, draft):
        raise StoreError(f"spool {path}: rows from {lost[0]} on were not written; write them first")
    try:
        array.update_attributes({SPOOL: {**_attributes(array), "sealed": True}})
        delete_tree(files, target)
        files.replace(draft, target)
        files.sync_folder(target.parent)
    except OSError as error:
        raise explain(error, f"cannot seal the spool {path}", FREE) from error
    return ZarrSource(target)


def spool(source: Source, path: str | Path, rows_per_chunk: int) -> ZarrSource:
    """Copy a source into a spool, or take the one that is there if it is of the same source.

    Parameters
    ----------
    source : Source
    path : str or Path
    rows_per_chunk : int
        One chunk at a time is held in memory.

    Raises
    ------
    StoreError
        If the file system refuses.
    """
    mark = source.fingerprint
    if (ready := _reusable(source, mark, Path(path), rows_per_chunk)) is not None:
        return ready
    shape = (source.n_rows, len(source.columns))
    create_spool(path, *shape, source.dtype, rows_per_chunk, source.columns, mark)
    for lo in range(0, source.n_rows, rows_per_chunk):
        write_rows(path, source.read(lo, min(lo + rows_per_chunk, source.n_rows)))
    return seal(path)


def _reusable(source: Source, mark: str, path: Path, rows_per_chunk: int) -> ZarrSource | None:
    """Return the sealed spool at `path` if it holds the rows of the source, whole."""
    try:
        ready = ZarrSource(path)
        array = zarr.open_array(store=LocalStore(path, read_only=True), mode="r")
    except DataError:
        return None
    wanted = {"sealed": True, "columns": list(source.columns), "source": mark}
    same = _attributes(array) == wanted and array.chunks[0] == rows_per_chunk
    whole = same and array.shape[0] == source.n_rows and not _incomplete(array, path)
    return ready if whole and ready.dtype == source.dtype else None


def _refuse_other(target: Path, files: Files) -> None:
    """Raise StoreError rather than delete, when sealing, a folder that is not a spool."""
    if not files.names(target):
        return
    try:
        owned = bool(_attributes(zarr.open_array(store=LocalStore(target), mode="r")))
    except (ValueError, OSError):
        owned = False
    if not owned:
        raise StoreError(f"{target} exists and is not a spool; choose another path or delete it")


def _incomplete(array: zarr.Array[Any], folder: Path) -> list[int]:
    """Return the first rows of chunks that are not there in full; their size is known exactly."""
    rows, n_columns = array.chunks
    size = rows * n_columns * array.dtype.itemsize + CRC_BYTES
    starts = range(0, array.shape[0], rows)
    sizes = (_size(folder / array.metadata.encode_chunk_key((s // rows, 0))) for s in starts)
    return [start for start, found in zip(starts, sizes, strict=True) if found != size]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _attributes(array: zarr.Array[Any]) -> dict[str, Any]:
    found = array.attrs.get(SPOOL)
    return found if isinstance(found, dict) else {}


def _draft(path: str | Path) -> Path:
    return aside(Path(path), "spool")


def _open_draft(path: str | Path) -> zarr.Array[Any]:
    try:
        return zarr.open_array(store=LocalStore(_draft(path)), mode="r+")
    except FileNotFoundError as error:
        raise StoreError(f"there is no open spool at {path}: create it first") from error
