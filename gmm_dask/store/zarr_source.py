"""Rows of a two-dimensional zarr array, format 2 or 3, in a folder, a zip file or behind a URL."""

from __future__ import annotations

import threading
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import FsspecStore, LocalStore

from gmm_dask import tree
from gmm_dask.blocks import Block, default_columns
from gmm_dask.errors import DataError, SourceChangedError
from gmm_dask.store import chunks
from gmm_dask.store.redact import Label, is_url
from gmm_dask.store.zarr_open import make_store, open_array, result_dtype
from gmm_dask.store.zarr_read import read_rows, survey

HANDLES = 32
# Attribute by which a scratch store tells whether it is complete, and what it was made from.
SPOOL = "gmm-dask-spool"
_handles: OrderedDict[str, zarr.Array[Any]] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, repr=False)
class ZarrSource:
    """Rows of a zarr array. Pickles as a recipe; each process opens the array once, when needed.

    Parameters
    ----------
    path : str or Path
        A folder, a ``.zip`` file, or an fsspec URL (``s3://bucket/x.zarr``).
    key : str, optional
        Path of the array inside the store, such as ``obsm/X_pca``.
    columns : sequence of D names, optional
        Default x0, x1, ...
    storage_options : mapping, optional
        For the file system behind a URL. Never shown in messages, nor part of the fingerprint.
    allow_missing_chunks : bool
        Take a chunk that is not stored as one full of the array's fill value. Zarr does not store
        such chunks unless told to, and a lost chunk looks the same: so the default is an error.
    vector : bool
        The array has one dimension, a number for each row, and is read as one column.

    Raises
    ------
    DataError
        If there is no such array, or it does not hold real numbers in two dimensions.
    """

    path: str | Path
    key: str | None = None
    columns: tuple[str, ...] = ()
    storage_options: Mapping[str, Any] | None = field(default=None, hash=False)
    allow_missing_chunks: bool = False
    vector: bool = False
    _store: Any = field(default=None, kw_only=True)
    _token: str = field(default_factory=lambda: uuid.uuid4().hex, init=False, compare=False)
    _shape: tuple[int, ...] = field(default=(), init=False, compare=False)
    _stored: str = field(default="", init=False, compare=False)
    _known: str = field(default="", init=False, compare=False)

    def __post_init__(self) -> None:
        self._set("path", str(self.path))
        if self._store is None and not is_url(str(self.path)):
            # Workers may have been started in another folder
            self._set("path", str(Path(self.path).expanduser().absolute()))
        array = self._array()
        self._set("_shape", tuple(array.shape))
        self._set("_stored", array.dtype.str)
        spool = _spool_attributes(array, self.label)
        self._set("_known", str(spool.get("source", "")))
        width = (*array.shape, 1)[1]
        names = tuple(self.columns or spool.get("columns", ())) or default_columns(width)
        if len(names) != width:
            raise DataError(
                f"{self.label} has {width} columns, but {len(names)} names came: {names}"
            )
        self._set("columns", names)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"ZarrSource({self.label}, shape {self._shape}, {self._stored})"

    @property
    def label(self) -> Label:
        """What the array is called in messages: ``str`` of it holds no user, password or query."""
        return Label(str(self.path), self.key or "", self.storage_options or {})

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self._shape[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 where it holds all values of the stored type, else float64."""
        return result_dtype(np.dtype(self._stored))

    @property
    def fingerprint(self) -> str:
        """Digest of columns, shape, type, chunk grid, and size and last change of every chunk.

        Found anew each time by listing the store, so that two equal ones say that nobody wrote to
        it in between. For a sealed spool: the fingerprint of what it was made from.

        Raises
        ------
        DataError
            If a chunk is missing: noticed here, it costs no pass.
        """
        array = self._array()
        found = survey(array, self.label, self.allow_missing_chunks)
        return self._known or tree.fingerprint((self.columns, chunks.digest(array, found)))

    def read(self, lo: int, hi: int) -> Block:
        """Return rows lo to hi.

        Raises
        ------
        DataError
            If a chunk is missing or damaged (naming it and its rows), or the rows do not exist.
        StoreError
            If the store cannot be reached, after several attempts.
        SourceChangedError
            If the array no longer has the shape and type it had.
        """
        if not 0 <= lo < hi <= self.n_rows:
            raise DataError(f"{self.label}: rows {lo} to {hi} asked for; it has {self.n_rows}")
        array, allow = self._array(), self.allow_missing_chunks
        return Block(read_rows(array, lo, hi, self.label, allow), lo)

    def _array(self) -> zarr.Array[Any]:
        """Return this process's handle, opened when first asked for."""
        with _lock:
            array = _handles.get(self._token)
            if array is None:
                array = self._open()
                _handles[self._token] = array
                if self._store is not None:
                    # The store may hold the data themselves: let them go with this source
                    weakref.finalize(self, _handles.pop, self._token, None)
            _handles.move_to_end(self._token)
            while len(_handles) > HANDLES:
                _handles.popitem(last=False)
            return array

    def _open(self) -> zarr.Array[Any]:
        store = self._store if self._store is not None else make_store(self.label)
        array = open_array(store, self.label, self.allow_missing_chunks, vector=self.vector)
        found = (tuple(array.shape), array.dtype.str)
        if self._shape and found != (self._shape, self._stored):
            raise SourceChangedError(
                f"{self.label} had shape {self._shape} and type {self._stored} when the run "
                f"began, now {found[0]} and {found[1]}: it was written to meanwhile"
            )
        return array


def from_array(
    array: zarr.Array[Any], columns: tuple[str, ...] = (), *, vector: bool = False
) -> ZarrSource:
    """Return the source of a zarr array that the user opened.

    A local or remote store travels to workers as its path; one in memory with its contents.

    Raises
    ------
    DataError
        If it does not hold real numbers in two dimensions.
    """
    store = array.store
    return ZarrSource(_place(store), array.path or None, columns, vector=vector, _store=store)


def _place(store: Any) -> str:
    """Return what a store is called: its path where it has one."""
    if isinstance(store, LocalStore):
        return str(store.root)
    if isinstance(store, FsspecStore):
        return str(store.fs.unstrip_protocol(store.path))
    return f"{type(store).__name__} array"


def _spool_attributes(array: zarr.Array[Any], label: Label) -> dict[str, Any]:
    """Return what a spool says about itself, nothing for other arrays."""
    spool = array.attrs.get(SPOOL)
    if not isinstance(spool, dict):
        return {}
    if spool.get("sealed") is not True:
        raise DataError(
            f"{label} is a spool that is not sealed: it is being written, or its "
            "writer ended before it was complete. Write it again"
        )
    return spool
