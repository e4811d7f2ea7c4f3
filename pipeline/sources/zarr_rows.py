"""zarr, formats 2 and 3: one array of shape (N, D) in a store, local or behind a URL."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gmm_dask import ZarrSource
from pipeline.sources.beside import array_columns, array_names
from pipeline.sources.describe import facts
from pipeline.sources.files import File, redacted, resolved
from pipeline.sources.matrix import Plain, open_matrix
from pipeline.sources.spec import NoiseSpec, SourceSpec
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


@dataclass(frozen=True)
class BesideMatrix:
    """Two arrays beside each other; the columns of the second have names of their own.

    Parameters
    ----------
    first, second : ZarrMatrix
        With as many rows.
    others : tuple of str
        Names of the second's columns.
    """

    first: ZarrMatrix
    second: ZarrMatrix
    others: tuple[str, ...]

    @property
    def where(self) -> str:
        """The array of values."""
        return self.first.where

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.first.n_rows

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return (*self.first.names, *self.others)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that holds both."""
        return np.promote_types(self.first.dtype, self.second.dtype)

    @property
    def extra_types(self) -> Mapping[str, pa.DataType]:
        """Return nothing: there are no further columns."""
        return {}

    def rows(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return rows lo to hi."""
        return np.concatenate([self.first.rows(lo, hi), self.second.rows(lo, hi)], axis=1)

    def extras(self, names: Sequence[str], lo: int, hi: int) -> pa.Table:
        """Return a table of no columns."""
        return self.first.extras(names, lo, hi)


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
    values = zarr_matrix(file, _key(spec, file))
    size = values.n_rows * values.width * values.dtype.itemsize
    about = facts(spec, "zarr", [file], values.n_rows) | {"key": values.key, "bytes": size}
    identity = [redacted(file.url), values.fingerprint]
    if spec.noise is None or spec.noise.array is None:
        return open_matrix(spec, scratch, values, identity, about)
    errors = _errors(spec.noise, file, values)
    both = BesideMatrix(values, errors, array_names(spec.noise, values.names))
    spec = replace(spec, noise=array_columns(spec.noise, values.names))
    return open_matrix(spec, scratch, both, [*identity, errors.fingerprint], about)


def _errors(noise: NoiseSpec, file: File, values: ZarrMatrix) -> ZarrMatrix:
    """Return the array of errors.

    Raises
    ------
    DataError
        It is not there, or has not one column (of a covariance: D) for each of the values.
    """
    setting, store = f"source.noise.{noise.form}", Store(file, is_hdf5=False)
    known = two_dimensional(store)
    if noise.array not in known:
        shown = [f"{name} ({width})" for name, width in known.items()]
        raise has_no(setting, store.name, str(noise.array), list(known), shown)
    errors = zarr_matrix(file, noise.array)
    width = len(array_names(noise, values.names))
    if errors.n_rows != values.n_rows or errors.width != width:
        raise DataError(
            f"{setting}: {errors.where} has shape ({errors.n_rows}, {errors.width}); beside "
            f"{values.where} it needs ({values.n_rows}, {width})"
        )
    return errors


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
