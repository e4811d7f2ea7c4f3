"""Values on disk as zarr v3 groups: written durably, read only if every byte is as written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmm_dask.errors import FormatError
from gmm_dask.store.codec import Codec
from gmm_dask.store.files import LOCAL, Files, explain, make_folders, write_durable
from gmm_dask.store.group import ROOT, from_files, parse_attributes, to_files
from gmm_dask.store.manifest import Manifest, check_file, describe_files, parse_manifest


def put_files(folder: Path, contents: Mapping[str, bytes], files: Files = LOCAL) -> None:
    """Write files into a new folder; contents and names are on the disk when this returns."""
    folders = {folder}
    for key, data in sorted(contents.items()):
        path = folder / key
        make_folders(files, path.parent)
        write_durable(files, path, data)
        folders |= {parent for parent in path.parents if parent.is_relative_to(folder)}
    for each in sorted(folders, reverse=True):
        files.sync_folder(each)


def get_files(folder: Path, manifest: Manifest, files: Files = LOCAL) -> dict[str, bytes]:
    """Return the files of a manifest, each verified.

    Raises
    ------
    FormatError
        If one is missing or not what was written.
    StoreError
        If the file system refuses.
    """
    contents: dict[str, bytes] = {}
    for key, entry in manifest.items():
        contents[key] = read_file(folder / key, entry.size, files)
        check_file(key, contents[key], entry)
    return contents


def read_file(path: Path, limit: int, files: Files = LOCAL) -> bytes:
    """Return a file's contents; FormatError if it is missing, StoreError if it cannot be read."""
    try:
        return files.read(path, limit)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise FormatError(f"{path} is missing") from error
    except OSError as error:
        raise explain(error, f"cannot read {path}", "Check permissions and the disk.") from error


def write_tree(
    path: str | Path,
    value: Any,
    codec: Codec,
    attributes: Mapping[str, Any],
    *,
    packed: bool = False,
    files: Files = LOCAL,
) -> Manifest:
    """Write a value as a zarr v3 group into a new folder.

    Returns
    -------
    dict
        Key -> (size, sha256) of every file written.

    Raises
    ------
    StoreError
        If the file system refuses (disk full, no permission).
    """
    contents = to_files(value, codec, attributes, packed)
    try:
        put_files(Path(path), contents, files)
    except OSError as error:
        raise explain(
            error, f"cannot write {path}", "Free space or choose another path."
        ) from error
    return describe_files(contents)


def read_tree(
    path: str | Path, codec: Codec, manifest: Manifest | None = None, *, files: Files = LOCAL
) -> tuple[Any, dict[str, Any]]:
    """Return the value and attributes of a group that `write_tree` wrote.

    Parameters
    ----------
    manifest : dict, optional
        What `write_tree` returned; with it the group's own ``zarr.json`` is verified as well.

    Raises
    ------
    FormatError
        If a file is missing, damaged, hostile or of a newer version; never a value of zeros.
    StoreError
        If a file cannot be read.
    """
    folder = Path(path)
    try:
        root = read_file(folder / ROOT, codec.limits.json_bytes, files)
        if manifest is None:
            content = parse_attributes(root, ROOT)
            manifest = parse_manifest(content.get("files"), codec.limits)
        return from_files({ROOT: root, **get_files(folder, manifest, files)}, codec)
    except FormatError as error:
        raise FormatError(f"{folder}: {error}") from error
