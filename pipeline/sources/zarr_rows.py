"""zarr, formats 2 and 3: one array of shape (N, D) in a store, local or behind a URL."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import ZarrSource
from pipeline.sources.describe import facts
from pipeline.sources.files import File, redacted, resolved
from pipeline.sources.matrix import Plain, open_matrix
from pipeline.sources.spec import SourceSpec
from pipeline.sources.store import Store, store_file, two_dimensional
from pipeline.sources.table import Table
from pipeline.sources.trouble import ConfigError, DataError, has_no


@dataclass(frozen=True)
class ZarrMatrix(Plain):
    """The rows of one zarr array; pickles as a recipe, without resolved credentials.

    Parameters
    ----------
    width : int
    url : str
    key : str or None
    n_rows : int
    stored : str
        NumPy type string of the rows as they are handed out.
    fingerprint : str
    options : str
        Storage options as JSON, with ``env:NAME`` unresolved.
    """

    url: str = field(repr=False)
    key: str | None
    n_rows: int
    stored: str
    fingerprint: str
    options: str = field(repr=False)

    @property
    def where(self) -> str:
        """The array, without credentials."""
        name = Path(redacted(self.url)).name
        return f"{name}/{self.key}" if self.key else name

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return np.dtype(self.stored)

    def rows(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return rows lo to hi."""
        source = _source(self.url, self.key, self.options, self.fingerprint)
        return source.read(lo, hi).values


@lru_cache(maxsize=32)
def _source(url: str, key: str | None, options: str, fingerprint: str) -> ZarrSource:  # noqa: ARG001
    """Return this process's handle; another state of the array (`fingerprint`) is another one."""
    return ZarrSource(url, key, storage_options=resolved(json.loads(options)) or None)


def zarr_matrix(file: File, key: str | None) -> ZarrMatrix:
    """Open an array of a store; its metadata and the list of its chunks are read.

    Raises
    ------
    DataError
        If there is no such array, it holds no numbers in two dimensions, or a chunk is missing.
    """
    options = json.dumps(dict(file.options), sort_keys=True)
    source = ZarrSource(file.url, key, storage_options=resolved(file.options) or None)
    width = len(source.columns)
    mark = source.fingerprint
    return ZarrMatrix(width, file.url, key, source.n_rows, source.dtype.str, mark, options)


def open_zarr_array(spec: SourceSpec, scratch: Path) -> Table:
    """Open a zarr array; metadata are read, no row.

    Parameters
    ----------
    spec : SourceSpec
        `key` may be left out where the store has one array of two dimensions.
    scratch : Path
        For the rows that a filter leaves.

    Raises
    ------
    ConfigError
        If more than one path is given.
    DataError
        If there is no such array, or it cannot be used.
    """
    if len(spec.paths) > 1:
        raise ConfigError(f"source.path: {len(spec.paths)} zarr stores came; give one")
    file = store_file(spec.paths[0], spec.storage_options)
    matrix = zarr_matrix(file, _key(spec, file))
    size = matrix.n_rows * matrix.width * matrix.dtype.itemsize
    about = facts(spec, "zarr", [file], matrix.n_rows) | {"key": matrix.key, "bytes": size}
    identity = [redacted(file.url), matrix.fingerprint]
    return open_matrix(spec, scratch, matrix, identity, about)


def _key(spec: SourceSpec, file: File) -> str | None:
    store = Store(file, is_hdf5=False)
    known = two_dimensional(store)
    if spec.key is not None:
        key = spec.key.strip("/")
        if key not in known and "" not in known:
            shown = [f"{name} ({width})" for name, width in known.items()]
            raise has_no("source.key", store.name, key, list(known), shown)
        return key
    if len(known) == 1:
        return next(iter(known)) or None
    if not known:
        raise DataError(f"source.path: {store.name} has no array of two dimensions (N, D)")
    several = ", ".join(f"{name} ({width})" for name, width in known.items())
    raise DataError(f"source.key: {store.name} has several arrays: {several}; name one")
