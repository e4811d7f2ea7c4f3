"""The chunks of a zarr array as files: which should be there, which are, which rows they hold."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import zarr
from fsspec.implementations.local import LocalFileSystem
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from gmm_dask.store.manifest import canonical
from gmm_dask.store.strict_store import MissingChunkError

# What file systems call the token that changes with the contents, the surest first.
TOKENS = (
    *("ETag", "etag", "e_tag", "md5", "md5Hash", "CRC"),
    *("mtime", "LastModified", "last_modified", "updated", "modified", "created"),
)
METADATA = ("zarr.json", ".zarray", ".zattrs")
SAMPLES = 64


def grid(array: zarr.Array[Any]) -> tuple[int, ...]:
    """Return how many stored objects (shards, where there are shards) lie along each axis."""
    step = array.shards or array.chunks
    return tuple(math.ceil(n / size) for n, size in zip(array.shape, step, strict=True))


def keys(array: zarr.Array[Any], every: int = 1) -> Iterator[str]:
    """Yield the keys, relative to the array, of all (or evenly spaced) objects it consists of.

    One by one: a hostile shape may claim more than can be listed.
    """
    down, across = (*grid(array), 1)[:2]
    for index in range(0, down * across, every):
        yield array.metadata.encode_chunk_key(divmod(index, across)[: array.ndim])


def rows_of(array: zarr.Array[Any], key: str) -> tuple[int, int]:
    """Return the rows ``lo <= row < hi`` that an object holds, from its key."""
    index = int(re.findall(r"\d+", key)[-array.ndim])
    step = (array.shards or array.chunks)[0]
    return index * step, min((index + 1) * step, array.shape[0])


def listing(array: zarr.Array[Any]) -> dict[str, str] | None:
    """Return what is stored below an array: relative key -> token of its contents.

    The token is the size and what the file system knows about the last change (for a store in
    memory: a digest). None where a file system cannot list (plain HTTP, or no right to).

    Raises
    ------
    Exception
        Of the file system's own library.
    """
    store = _inner(array)
    if isinstance(store, LocalStore):
        return dict(_from_folder(str(store.root / array.path), ""))
    if isinstance(store, FsspecStore):
        root = "/".join(part for part in (store.path, array.path) if part)
        if isinstance(getattr(store.fs, "sync_fs", store.fs), LocalFileSystem):
            return dict(_from_folder(root, ""))
        return sync(_from_fsspec(store.fs, root)) or None
    return sync(_from_store(store, array.path))


def _inner(array: zarr.Array[Any]) -> Any:
    """Return the user's own store inside the strict one."""
    return getattr(array.store, "_store", array.store)


def _from_folder(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield keys and tokens of all files below a folder; links are followed."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _from_folder(entry.path, f"{prefix}{entry.name}/")
            else:
                found = entry.stat()
                yield prefix + entry.name, f"{found.st_size} {found.st_mtime_ns}"


async def _from_fsspec(fs: Any, root: str) -> dict[str, str]:
    """Return tokens of all files below `root`."""
    fs.invalidate_cache()
    root = fs._strip_protocol(root)
    try:
        found = await fs._find(root, detail=True) if fs.async_impl else fs.find(root, detail=True)
    except (PermissionError, NotImplementedError):
        return {}
    return {name[len(root) :].lstrip("/"): _token(info) for name, info in found.items()}


def _token(info: Mapping[str, Any]) -> str:
    change = next((str(info[name]) for name in TOKENS if info.get(name) is not None), "")
    return f"{info.get('size')} {change}"


async def _from_store(store: Any, path: str) -> dict[str, str]:
    """Return tokens by asking the zarr store itself."""
    prefix = f"{path}/" if path else ""
    tokens = {}
    async for key in store.list_prefix(prefix):
        token = str(await store.getsize(key))
        if isinstance(store, MemoryStore):
            token = hashlib.sha256(store._store_dict[key].to_bytes()).hexdigest()
        tokens[key[len(prefix) :]] = token
    return tokens


def first_missing(array: zarr.Array[Any], found: Mapping[str, str]) -> str | None:
    """Return the key of the first object that should be there and is not.

    Stops at the first, so that a shape of petabytes costs no more than what is really stored.
    """
    return next((key for key in keys(array) if key not in found), None)


def sampled(array: zarr.Array[Any], allow_missing: bool) -> dict[str, str]:
    """Return the sizes of some objects, evenly spaced, for stores that cannot list.

    Raises
    ------
    MissingChunkError
        If one is not there.
    """
    every = max(1, math.ceil(math.prod(grid(array)) / SAMPLES))
    return sync(_sizes(array, list(keys(array, every)), allow_missing))


async def _sizes(array: zarr.Array[Any], chosen: list[str], allow_missing: bool) -> dict[str, str]:
    store, prefix = _inner(array), f"{array.path}/" if array.path else ""
    tokens = {}
    for key in chosen:
        try:
            tokens[key] = str(await store.getsize(prefix + key))
        except FileNotFoundError:
            if not allow_missing:
                raise MissingChunkError(key) from None
    return tokens


def digest(array: zarr.Array[Any], found: Mapping[str, str]) -> str:
    """Return the SHA-256 (hex) of an array's metadata and of the tokens of its chunks.

    Attributes do not count: a note added to a store does not change its rows.
    """
    name = "zarr.json" if array.metadata.zarr_format == 3 else ".zarray"
    key = f"{array.path}/{name}" if array.path else name
    raw = sync(_inner(array).get(key, default_buffer_prototype()))
    document = {k: v for k, v in json.loads(raw.to_bytes()).items() if k != "attributes"}
    tokens = sorted((k, v) for k, v in found.items() if not k.endswith(METADATA))
    return hashlib.sha256(canonical([document, tokens])).hexdigest()
