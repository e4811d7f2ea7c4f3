"""A value as the files of one zarr v3 group: arrays by name, the skeleton in the attributes.

The attributes also hold the size and SHA-256 of every other file and a checksum of themselves, so
that a lost, cut, changed or mixed-up file is always noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gmm_dask.errors import FormatError
from gmm_dask.store.codec import Codec
from gmm_dask.store.manifest import (
    canonical,
    check_file,
    describe_files,
    parse_json,
    parse_manifest,
)
from gmm_dask.store.packing import pack, unpack
from gmm_dask.store.zarr_bytes import describe, read_array, write_array

ROOT = "zarr.json"
RESERVED = ("tree", "packing", "files", "sha256")


def to_files(
    value: Any, codec: Codec, attributes: Mapping[str, Any], packed: bool = False
) -> dict[str, bytes]:
    """Return the files of a zarr group that holds a value: key to contents.

    Parameters
    ----------
    value : tree
        Made of what `codec` knows.
    codec : Codec
    attributes : mapping
        Plain JSON, put beside the skeleton; the names in ``RESERVED`` are taken.
    packed : bool
        Put all arrays of one type into one flat array: fewer files, less readable by hand.
    """
    skeleton, arrays = codec.encode(value)
    content: dict[str, Any] = {**attributes, "tree": skeleton}
    if packed:
        arrays, content["packing"] = pack(arrays)
    files: dict[str, bytes] = {}
    for name, array in arrays.items():
        files |= write_array(name, array)
    content["files"] = describe_files(files)
    content["sha256"] = _digest(content)
    group = {"zarr_format": 3, "node_type": "group", "attributes": content}
    return {**files, ROOT: _render(group)}


def _render(group: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(group, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"attributes are not plain JSON with finite numbers: {error}") from error


def _digest(content: Mapping[str, Any]) -> str:
    rest = {key: item for key, item in content.items() if key != "sha256"}
    try:
        return hashlib.sha256(canonical(rest)).hexdigest()
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"attributes are not plain JSON with finite numbers: {error}") from error


def parse_attributes(raw: bytes, where: str) -> dict[str, Any]:
    """Return the attributes of a group's ``zarr.json``, not verified yet."""
    group = parse_json(raw, where)
    attributes = group.get("attributes") if isinstance(group, dict) else None
    if not isinstance(attributes, dict) or group.get("node_type") != "group":
        raise FormatError(f"{where} does not describe a zarr group")
    return attributes


def from_files(files: Mapping[str, bytes], codec: Codec) -> tuple[Any, dict[str, Any]]:
    """Return the value and the attributes from the files of a group.

    Raises
    ------
    FormatError
        On damage, hostile sizes, or a newer version.
    """
    content = parse_attributes(files[ROOT], ROOT)
    if content.get("sha256") != _digest(content) or "tree" not in content:
        raise FormatError(f"{ROOT} is damaged: its checksum does not match")
    manifest = parse_manifest(content.get("files"), codec.limits)
    for key, entry in manifest.items():
        check_file(key, files.get(key), entry)
    names = [key.removesuffix(f"/{ROOT}") for key in manifest if key.endswith(f"/{ROOT}")]
    claimed = sum(describe(name, files, codec.limits).nbytes for name in names)
    if claimed > codec.limits.array_bytes:
        raise FormatError(f"arrays claim {claimed} bytes; {codec.limits.array_bytes} are accepted")
    arrays = {name: read_array(name, files) for name in names}
    if "packing" in content:
        arrays = unpack(arrays, content["packing"])
    value = codec.decode(content["tree"], arrays)
    return value, {key: item for key, item in content.items() if key not in RESERVED}
