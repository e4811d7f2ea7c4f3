"""What was written, file by file: sizes and hashes against which everything is verified."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gmm_dask.errors import FormatError
from gmm_dask.store.layout import Limits
from gmm_dask.store.names import is_safe_key


class Entry(NamedTuple):
    """One file of a stored tree: its size in bytes and its SHA-256 (hex)."""

    size: int
    sha256: str


Manifest = dict[str, Entry]


def canonical(value: Any) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parse_json(raw: bytes, what: str) -> Any:
    """Return parsed JSON; FormatError, with `what` it was, if it is not JSON."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is damaged: {error}") from error


def describe_files(files: Mapping[str, bytes]) -> Manifest:
    """Return key -> (size, sha256) of files held in memory."""
    return {k: Entry(len(v), hashlib.sha256(v).hexdigest()) for k, v in sorted(files.items())}


def parse_manifest(content: Any, limits: Limits) -> Manifest:
    """Return a manifest read from JSON.

    Raises
    ------
    FormatError
        If it is not one, a key leaves the store, or the sizes exceed the limits.
    """
    manifest: Manifest = {}
    for key, entry in content.items() if isinstance(content, dict) else [("", None)]:
        match entry:
            case [int(size), str(digest)] if size >= 0 and is_safe_key(key):
                manifest[key] = Entry(size, digest)
            case _:
                raise FormatError(f"damaged: {key!r:.80} does not describe a stored file")
    if sum(entry.size for entry in manifest.values()) > limits.array_bytes + limits.json_bytes:
        raise FormatError(f"stored files claim more than the {limits.array_bytes} bytes accepted")
    return manifest


def check_file(key: str, data: bytes | None, entry: Entry) -> None:
    """Raise FormatError unless a file has the size and hash of its entry."""
    if data is None:
        raise FormatError(f"{key} is missing")
    if len(data) != entry.size:
        raise FormatError(f"{key} has {len(data)} bytes, {entry.size} were written")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise FormatError(f"{key} is damaged: its SHA-256 is not the one that was written")
