"""Arrays as zarr v3 files in memory: one chunk each, bytes + zstd + crc32c, nothing implied.

Written and read by zarr-python, but between zarr and the disk stands a plain mapping from key to
bytes: so every file passes through `Files`, is hashed, and is judged before zarr allocates for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore

from gmm_dask.errors import FormatError
from gmm_dask.store.layout import DTYPES, Limits
from gmm_dask.store.zstd_frame import content_size

CODECS = ["bytes", "zstd", "crc32c"]
CRC_BYTES = 4


@dataclass(frozen=True)
class Stored:
    """What the metadata of a stored array say, after they were found acceptable.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    chunk : str
        Key of its only chunk, relative to the array; empty if the array has no elements.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: str

    @property
    def nbytes(self) -> int:
        """Bytes of the array in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


def write_array(name: str, array: npt.NDArray[Any], level: int = 1) -> dict[str, bytes]:
    """Return the zarr files of an array: key to contents."""
    store: dict[str, Any] = {}
    target = zarr.create_array(
        store=MemoryStore(store),
        name=name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=tuple(max(1, n) for n in array.shape),
        filters=None,
        compressors=[ZstdCodec(level=level), Crc32cCodec()],
        # A lost chunk must never look like data, nor data like a chunk not worth writing.
        fill_value=math.nan if array.dtype.kind == "f" else 0,
        config={"write_empty_chunks": True},
    )
    target[...] = array
    return {k: v.to_bytes() for k, v in store.items() if k.startswith(f"{name}/")}


def read_array(name: str, files: Mapping[str, bytes]) -> npt.NDArray[Any]:
    """Return an array from its zarr files, after `describe` has accepted them.

    Raises
    ------
    FormatError
        If a checksum is wrong or anything does not decode.
    """
    held: dict[str, Any] = {
        k: Buffer.from_bytes(v) for k, v in files.items() if k.startswith(f"{name}/")
    }
    try:
        source = zarr.open_array(store=MemoryStore(held, read_only=True), path=name, mode="r")
        return np.array(source[...])
    except Exception as error:
        # zarr raises many types on damage; all of them mean that the bytes are not the array's
        raise FormatError(f"array {name!r} is damaged: {error}") from error


def describe(name: str, files: Mapping[str, bytes], limits: Limits) -> Stored:
    """Return what an array's files claim, without allocating for it.

    Raises
    ------
    FormatError
        If the metadata are not exactly of the kind that `write_array` writes, the chunk is
        missing, or it would unfold to another size than the shape says.
    """
    stored = _parse(name, files.get(f"{name}/zarr.json", b""), limits)
    if stored.nbytes > limits.array_bytes:
        raise FormatError(
            f"array {name!r} claims shape {stored.shape}, {stored.nbytes} bytes; "
            f"at most {limits.array_bytes} are accepted"
        )
    if stored.chunk:
        _check_chunk(name, files.get(f"{name}/{stored.chunk}"), stored)
    return stored


def _parse(name: str, raw: bytes, limits: Limits) -> Stored:
    """Return the shape, type and chunk key from metadata of the one accepted form."""
    try:
        meta = json.loads(raw)
        shape = tuple(meta["shape"])
        grid = tuple(meta["chunk_grid"]["configuration"]["chunk_shape"])
        accepted = (
            (meta["zarr_format"], meta["node_type"]) == (3, "array")
            and all(type(n) is int and n >= 0 for n in shape)
            and len(shape) <= limits.dimensions
            and grid == tuple(max(1, n) for n in shape)
            and meta["data_type"] in DTYPES
            and [codec["name"] for codec in meta["codecs"]] == CODECS
            and meta["chunk_key_encoding"]["name"] == "default"
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FormatError(f"array {name!r}: metadata are damaged: {error!r}") from error
    if not accepted:
        raise FormatError(f"array {name!r}: metadata are not those of a stored model or checkpoint")
    chunk = "/".join(["c", *("0" for _ in shape)]) if math.prod(shape) else ""
    return Stored(shape, np.dtype(meta["data_type"]), chunk)


def _check_chunk(name: str, data: bytes | None, stored: Stored) -> None:
    """Raise FormatError unless the chunk is there and unfolds to the bytes of the array."""
    if data is None:
        raise FormatError(f"array {name!r}: chunk {stored.chunk} is missing")
    try:
        size = content_size(data[:-CRC_BYTES])
    except ValueError as error:
        raise FormatError(f"array {name!r}: chunk {stored.chunk} is damaged: {error}") from error
    if size != stored.nbytes:
        raise FormatError(
            f"array {name!r}: chunk {stored.chunk} unfolds to {size} bytes, "
            f"shape {stored.shape} needs {stored.nbytes}"
        )
