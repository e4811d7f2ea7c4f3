"""HDF5 files and zarr stores as trees of arrays, opened once in each process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.sources.files import File, is_url, local_path, redacted, resolved
from pipeline.sources.handles import borrowed
from pipeline.sources.trouble import ConfigError, DataError, translated, untrusted

EXTRA = "pip install 'gmm-dask[anndata]'"


@dataclass(frozen=True)
class Store:
    """A tree of arrays; pickles as a recipe.

    Parameters
    ----------
    file : File
        The HDF5 file, or the folder, zip file or URL of a zarr store.
    is_hdf5 : bool
    """

    file: File
    is_hdf5: bool

    @property
    def name(self) -> str:
        """The file's own name, for messages."""
        return Path(self.file.shown).name

    @contextmanager
    def root(self) -> Iterator[Any]:
        """Lend the top group, to one thread at a time: HDF5 allows no more."""
        with (
            translated(self.file.shown, self._what, self.file.secrets),
            borrowed(("store", self.file), self._open) as root,
        ):
            yield root

    @property
    def _what(self) -> str:
        return "an HDF5 file" if self.is_hdf5 else "a zarr store"

    def _open(self) -> Any:
        with untrusted(self.file.shown, self._what, self.file.secrets):
            return self._open_hdf5() if self.is_hdf5 else self._open_zarr()

    def _open_hdf5(self) -> Any:
        try:
            import h5py
        except ImportError:
            raise ConfigError(f"{self.file.shown}: reading it needs h5py: {EXTRA}") from None
        self.file.verify()
        if not self.file.is_local:
            return h5py.File(self.file.open(), "r")
        # without a lock: many cluster file systems have none (errno 37, 11), and a reader of a
        # finished file needs none
        return h5py.File(self.file.url, "r", locking=False)

    def _open_zarr(self) -> Any:
        return open_zarr(self.file.url, self.file.options)


def open_zarr(url: str, options: Mapping[str, Any]) -> Any:
    """Open the array or group at the top of a zarr store.

    Raises
    ------
    DataError
        If there is none.
    """
    import zarr

    if url.endswith(".zip") and not is_url(url):
        return zarr.open(zarr.storage.ZipStore(url, mode="r", read_only=True), mode="r")
    try:
        return zarr.open(url, mode="r", storage_options=resolved(options) or None)
    except FileNotFoundError:
        raise DataError(f"{redacted(url)}: there is no zarr array or group here") from None


def store_file(path: str, options: Mapping[str, Any]) -> File:
    """Return the recipe of a zarr store.

    Chunks have time stamps, the store as a whole has none: each opening is a thing of its own, so
    that nothing remembered of an earlier state is taken for this one.
    """
    return File(local_path(path), 0, uuid.uuid4().hex, options)


def two_dimensional(store: Store) -> dict[str, int]:
    """Return the 2-D arrays of a plain zarr store with their widths; the top array is ""."""
    with store.root() as top:
        if hasattr(top, "ndim"):
            return {"": 0}
        found = sorted(top.members(max_depth=3), key=lambda item: str(item[0]))
        return {n: int(node.shape[1]) for n, node in found if getattr(node, "ndim", 0) == 2}
