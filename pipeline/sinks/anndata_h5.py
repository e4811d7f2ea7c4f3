"""An h5ad file that is being changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from gmm_dask import DataError, ResourceError
from pipeline.sinks.anndata_box import ARRAY, encoding_attributes


class H5Box:
    """A `Box` over h5py.

    HDF5 keeps changes of its structure in memory until it is flushed, so between two calls of
    `settle` the file on the disk is that of the first as a rule; HDF5 promises it to nobody.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not h5py.is_hdf5(path):
            raise DataError(f"output.write_back: {path} is not an HDF5 file, so not an h5ad")
        try:
            self.file = h5py.File(path, "r+", locking="best-effort")
        except OSError as error:
            reason = str(error).splitlines()[0][:200]
            raise ResourceError(
                f"{path} cannot be opened for writing ({reason}). Close it in other programs "
                "and notebooks, or leave out output.write_back.in_place"
            ) from error

    def has(self, key: str) -> bool:
        """Return whether the key is there."""
        return key in self.file

    def keys(self, key: str) -> list[str]:
        """Return the names inside a group."""
        return list(self.file[key])

    def is_group(self, key: str) -> bool:
        """Return whether the key is there and a group."""
        return isinstance(self.file.get(key), h5py.Group)

    def length(self, key: str) -> int:
        """Return the first dimension of an array."""
        return int(self.file[key].shape[0])

    def attributes(self, key: str) -> dict[str, Any]:
        """Return the attributes of a key."""
        return dict(self.file[key].attrs)

    def set_attribute(self, key: str, name: str, value: Any) -> None:
        """Set one attribute: a bool, a text or a list of texts."""
        texts = isinstance(value, list)
        stored = np.array(value, dtype=h5py.string_dtype()) if texts else value
        self.file[key].attrs[name] = stored

    def make_group(self, key: str, encoding: tuple[str, str] | None) -> None:
        """Make a group."""
        self.file.create_group(key).attrs.update(encoding_attributes(encoding))

    def make_rows(self, key: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Make an array of numbers that `write_rows` fills."""
        made = self.file.create_dataset(key, shape=shape, dtype=dtype)
        made.attrs.update(encoding_attributes(ARRAY))

    def write_rows(self, key: str, lo: int, rows: npt.NDArray[Any]) -> None:
        """Write rows from `lo` on."""
        self.file[key][lo : lo + len(rows)] = rows

    def put(self, key: str, value: Any, encoding: tuple[str, str]) -> None:
        """Write a small array, list of texts, text or number."""
        texts = isinstance(value, str | list)
        dtype = h5py.string_dtype() if texts else None
        data = np.array(value, dtype=dtype) if isinstance(value, list) else value
        made = self.file.create_dataset(key, data=data, dtype=dtype)
        made.attrs.update(encoding_attributes(encoding))

    def move(self, key: str, to: str) -> None:
        """Rename a key."""
        self.file.move(key, to)

    def delete(self, key: str) -> None:
        """Delete a key; HDF5 keeps the space for later."""
        del self.file[key]

    def begin_replacing(self) -> None:
        """Do nothing: there is no other description of the keys."""

    def settle(self, key: str) -> None:  # noqa: ARG002
        """Wait until everything is on the disk."""
        self.file.flush()
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        """Wait until everything is on the disk."""
        self.settle("")

    def close(self) -> None:
        """Close the file."""
        self.file.close()
