"""Model files: a zarr v3 group with a format name and version, complete or not there at all."""

from __future__ import annotations

import contextlib
import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gmm_dask.errors import FormatError
from gmm_dask.store.codec import Codec
from gmm_dask.store.files import (
    LOCAL,
    Files,
    aside,
    delete_tree,
    explain,
    make_folders,
    sweep_drafts,
)
from gmm_dask.store.group import ROOT, from_files, parse_attributes, to_files
from gmm_dask.store.layout import NEWER
from gmm_dask.store.manifest import Manifest, describe_files, parse_manifest
from gmm_dask.store.trees import get_files, put_files, read_file

FORMAT = "gmm-dask-model"
VERSION = 1


def save_model(
    path: str | Path,
    value: Any,
    codec: Codec,
    metadata: Mapping[str, Any],
    *,
    files: Files = LOCAL,
) -> Manifest:
    """Write a model; until it is whole and on the disk, `path` holds what it held before.

    Parameters
    ----------
    path : str or Path
        A folder, usually ``model.zarr``; a model already there is replaced, anything else is not.
    value : tree
        Arrays are stored under readable names such as ``params.means``.
    codec : Codec
    metadata : mapping
        Plain JSON with finite numbers.

    Returns
    -------
    dict
        Key -> (size, sha256) of every file.

    Raises
    ------
    StoreError
        If the file system refuses.
    FormatError
        If `path` is something else than a model, or the metadata are not JSON.
    """
    target = Path(path)
    attributes = {"format": FORMAT, "version": VERSION, "metadata": dict(metadata)}
    contents = to_files(value, codec, attributes)
    draft = aside(target)
    try:
        make_folders(files, target.parent)
        _recover(target, files)
        _refuse_other(target, codec, files)
        put_files(draft, contents, files)
        _swap(draft, target, files)
    except OSError as error:
        with contextlib.suppress(OSError):
            delete_tree(files, draft)
        raise explain(
            error, f"cannot write model {target}", "Free space or choose another path."
        ) from error
    return describe_files(contents)


def load_model(
    path: str | Path, codec: Codec, *, files: Files = LOCAL
) -> tuple[Any, dict[str, Any]]:
    """Return a stored value and its metadata.

    Raises
    ------
    FormatError
        If there is no model, or it is damaged, hostile or of a newer version.
    StoreError
        If it cannot be read.
    """
    folder = Path(path)
    if not files.is_folder(folder) and files.is_folder(_previous(folder)):
        # A kill between the two renames of `save_model`: the model before is whole
        folder = _previous(folder)
        message = f"{path} was being replaced when its writer ended; reading the model before it"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    try:
        root = read_file(folder / ROOT, codec.limits.json_bytes, files)
        content = parse_attributes(root, ROOT)
        _check_version(content)
        manifest = parse_manifest(content.get("files"), codec.limits)
        value, attributes = from_files({**get_files(folder, manifest, files), ROOT: root}, codec)
    except FormatError as error:
        raise FormatError(f"model {path}: {error}") from error
    return value, attributes["metadata"]


def _check_version(content: Mapping[str, Any]) -> None:
    if content.get("format") != FORMAT or not isinstance(content.get("metadata"), dict):
        raise FormatError(f"it is not a {FORMAT}; its format is {content.get('format')!r:.60}")
    version = content.get("version")
    if type(version) is not int or version < 1:
        raise FormatError(f"damaged: version {version!r:.60}")
    if version > VERSION:
        raise FormatError(f"it has version {version}, this is version {VERSION}: {NEWER}")


def _previous(target: Path) -> Path:
    """Return the name under which the model before waits while the new one takes its place."""
    return aside(target, "previous")


def _recover(target: Path, files: Files) -> None:
    """Finish a replacement that a kill interrupted, and clear up older ones."""
    _restore(target, files)
    sweep_drafts(files, target.parent, [target.name], time.time())


def _restore(target: Path, files: Files) -> None:
    if not files.is_folder(_previous(target)):
        return
    if files.is_folder(target):
        delete_tree(files, _previous(target))
    else:
        files.replace(_previous(target), target)
        files.sync_folder(target.parent)


def _refuse_other(target: Path, codec: Codec, files: Files) -> None:
    """Raise FormatError rather than delete a folder that is not a model."""
    names = files.names(target) if files.is_folder(target) else []
    if not names:
        return
    raw = read_file(target / ROOT, codec.limits.json_bytes, files) if ROOT in names else b"{}"
    try:
        group = json.loads(raw)
        owned = group["attributes"]["format"] == FORMAT
    except (ValueError, TypeError, KeyError, RecursionError):
        owned = False
    if not owned:
        raise FormatError(
            f"{target} exists and is not a {FORMAT}; choose another path or delete it first"
        )


def _swap(draft: Path, target: Path, files: Files) -> None:
    """Put the draft in the place of the target."""
    replaced = files.is_folder(target)
    if replaced:
        files.replace(target, _previous(target))
    files.replace(draft, target)
    files.sync_folder(target.parent)
    if replaced:
        delete_tree(files, _previous(target))
