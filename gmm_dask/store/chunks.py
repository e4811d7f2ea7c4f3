"""The chunks of a zarr array as files: which should be there, which are, which rows they hold."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import fsspec
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore

from gmm_dask.store.manifest import canonical

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


def keys(array: zarr.Array[Any]) -> Iterator[str]:
    """Yield the keys, relative to the array, of all objects it should consist of."""
    for position in itertools.product(*(range(n) for n in grid(array))):
        yield array.metadata.encode_chunk_key(position)


def rows_of(array: zarr.Array[Any], key: str) -> tuple[int, int]:
    """Return the rows ``lo <= row < hi`` that an object holds, from its key."""
    index = int(re.findall(r"\d+", key)[-array.ndim])
    step = (array.shards or array.chunks)[0]
    return index * step, min((index + 1) * step, array.shape[0])


def listing(array: zarr.Array[Any]) -> dict[str, str] | None:
    """Return what is stored below an array: relative key -> token of its contents.

    The token is the size and what the file system knows about the last change (for a store in
    memory: a digest). None where a file system cannot list (plain HTTP).
    """
    store = _inner(array)
    if isinstance(store, LocalStore):
        return _from_fsspec(fsspec.filesystem("file"), str(store.root / array.path)) or None
    if isinstance(store, FsspecStore):
        sync_fs = getattr(store.fs, "sync_fs", store.fs)
        return _from_fsspec(sync_fs, "/".join(p for p in (store.path, array.path) if p)) or None
    return sync(_from_store(store, array.path))


def _inner(array: zarr.Array[Any]) -> Any:
    """Return the user's own store inside the strict one."""
    return getattr(array.store, "_store", array.store)


def _from_fsspec(fs: Any, root: str) -> dict[str, str]:
    """Return tokens of all files below `root`."""
    root = fs._strip_protocol(root)
    fs.invalidate_cache()
    found = fs.find(root, detail=True)
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


def sampled(array: zarr.Array[Any]) -> dict[str, str]:
    """Return the sizes of some objects, evenly spaced, for stores that cannot list."""
    every = max(1, math.ceil(math.prod(grid(array)) / SAMPLES))
    chosen = list(itertools.islice(keys(array), 0, every * SAMPLES, every))
    return sync(_sizes(array, chosen))


async def _sizes(array: zarr.Array[Any], chosen: list[str]) -> dict[str, str]:
    store, prefix = _inner(array), f"{array.path}/" if array.path else ""
    return {key: str(await store.getsize(prefix + key)) for key in chosen}


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
