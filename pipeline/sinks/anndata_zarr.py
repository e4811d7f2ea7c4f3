"""An AnnData zarr store (format 2 or 3) in a folder that is being changed."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from gmm_dask import DataError
from pipeline.sinks.anndata_box import ARRAY, encoding_attributes
from pipeline.sinks.disk import LOCAL, Disk, delete_tree, write_atomic

CHUNK_ROWS = 65_536
CONSOLIDATED = "consolidated_metadata"


class ZarrBox:
    """A `Box` over a zarr folder.

    Arrays are written by zarr; renames and attributes are single steps of the file system.

    Parameters
    ----------
    path : Path
    disk : Disk
    """

    def __init__(self, path: Path, disk: Disk = LOCAL) -> None:
        self.path = path
        self.disk = disk
        try:
            # a consolidated copy of the metadata is written anew at the end
            self.group = zarr.open_group(path, mode="r+", use_consolidated=False)
        except (FileNotFoundError, ValueError) as error:
            raise DataError(f"output.write_back: {path} is not a zarr group: {error}") from error
        self.format = self.group.metadata.zarr_format
        self.consolidated = self._is_consolidated()

    def has(self, key: str) -> bool:
        """Return whether the key is there."""
        return (self.path / key).is_dir()

    def keys(self, key: str) -> list[str]:
        """Return the names inside a group."""
        return sorted(item.name for item in (self.path / key).iterdir() if item.is_dir())

    def is_group(self, key: str) -> bool:
        """Return whether the key is there and a group."""
        return self.has(key) and isinstance(self.group[key], zarr.Group)

    def length(self, key: str) -> int:
        """Return the first dimension of an array."""
        return int(self._array(key).shape[0])

    def attributes(self, key: str) -> dict[str, Any]:
        """Return the attributes of a key."""
        return dict(self.group[key].attrs)

    def set_attribute(self, key: str, name: str, value: Any) -> None:
        """Set one attribute of a group: a bool, a text or a list of texts."""
        file = self.path / key / ("zarr.json" if self.format == 3 else ".zattrs")
        document = json.loads(file.read_bytes()) if file.exists() else {}
        holder = document.setdefault("attributes", {}) if self.format == 3 else document
        holder[name] = value
        write_atomic(self.disk, file, json.dumps(document, indent=2).encode())

    def make_group(self, key: str, encoding: tuple[str, str] | None) -> None:
        """Make a group."""
        self.group.create_group(key, attributes=encoding_attributes(encoding))

    def make_rows(self, key: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Make an array of numbers that `write_rows` fills."""
        chunks = (min(CHUNK_ROWS, shape[0]), *shape[1:])
        # a chunk that is not there means a fault to a strict reader, so all are written
        self.group.create_array(
            key,
            shape=shape,
            dtype=np.dtype(dtype),
            chunks=chunks,
            attributes=encoding_attributes(ARRAY),
            config={"write_empty_chunks": True},
        )

    def write_rows(self, key: str, lo: int, rows: npt.NDArray[Any]) -> None:
        """Write rows from `lo` on."""
        self._array(key)[lo : lo + len(rows)] = rows

    def put(self, key: str, value: Any, encoding: tuple[str, str]) -> None:
        """Write a small array, list of texts, text or number."""
        texts = isinstance(value, str | list)
        data = np.array(value, dtype=object if texts else None)
        array = self.group.create_array(
            key,
            shape=data.shape,
            dtype=str if texts else data.dtype,
            attributes=encoding_attributes(encoding),
        )
        array[...] = data

    def move(self, key: str, to: str) -> None:
        """Rename a key."""
        self.disk.rename(self.path / key, self.path / to)

    def delete(self, key: str) -> None:
        """Delete a key with all it holds."""
        delete_tree(self.disk, self.path / key)

    def begin_replacing(self) -> None:
        """Drop the consolidated metadata: they describe the arrays that are about to go."""
        if not self.consolidated:
            return
        if self.format == 2:
            self.disk.delete(self.path / ".zmetadata")
            return
        file = self.path / "zarr.json"
        document = json.loads(file.read_bytes())
        del document[CONSOLIDATED]
        write_atomic(self.disk, file, json.dumps(document, indent=2).encode())

    def settle(self, key: str) -> None:
        """Wait until a key and all it holds are on the disk."""
        for path in sorted((self.path / key).rglob("*")):
            (self.disk.sync_folder if path.is_dir() else self.disk.sync)(path)
        self.disk.sync_folder(self.path / key)

    def finish(self) -> None:
        """Write the consolidated metadata anew, if there were any, and wait for the disk."""
        if self.consolidated:
            with warnings.catch_warnings():
                # zarr says that format 3 has no standard for it; anndata writes and reads it
                warnings.simplefilter("ignore")
                zarr.consolidate_metadata(self.group.store)
        for key in ("obs", "obsm", "uns", ""):
            if self.has(key):
                self.disk.sync_folder(self.path / key)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _array(self, key: str) -> zarr.Array[Any]:
        found = self.group[key]
        assert isinstance(found, zarr.Array)
        return found

    def _is_consolidated(self) -> bool:
        if self.format == 2:
            return (self.path / ".zmetadata").is_file()
        return json.loads((self.path / "zarr.json").read_bytes()).get(CONSOLIDATED) is not None
