"""One AnnData file: which matrices it has, and the rows of the one that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.sources import encoded
from pipeline.sources.content import identities
from pipeline.sources.files import resolved
from pipeline.sources.numeric import array_type, table_values, to_float
from pipeline.sources.spec import SourceSpec
from pipeline.sources.store import Store
from pipeline.sources.table import digest
from pipeline.sources.trouble import DataError, has_no
from pipeline.sources.zarr_rows import ZarrMatrix, zarr_matrix

OBS_NAMES = "obs_names"
MAX_DENSE = 4096
"""Columns up to which a sparse matrix is made dense."""


@dataclass(frozen=True)
class Cells:
    """The rows of one matrix of an AnnData file; pickles as a recipe.

    Parameters
    ----------
    store : Store
    key : str
        Path of the matrix.
    encoding : str
        AnnData's word for how it is stored.
    n_rows : int
        Number of cells.
    names : tuple of str
        Names of all columns of the matrix.
    types : tuple of pyarrow.DataType
        Their types: floats, unless the matrix is a data frame.
    zarr : ZarrMatrix, optional
        Through which a dense matrix in a zarr store is read.
    """

    store: Store
    key: str
    encoding: str
    n_rows: int
    names: tuple[str, ...]
    types: tuple[pa.DataType, ...]
    zarr: ZarrMatrix | None = None

    @property
    def where(self) -> str:
        """The matrix, for messages."""
        return f"{self.store.name}/{self.key}"

    @property
    def stamp(self) -> Any:
        """What the fingerprint is made of: what changes when the matrix is written."""
        if self.store.is_hdf5:
            return identities([self.store.file])[0]
        if self.zarr is not None:
            return self.zarr.fingerprint
        system, root = fsspec.core.url_to_fs(self.store.file.url, **resolved(self.options))
        found = system.find(f"{root}/{self.key}", detail=True)
        return digest(sorted((name, _change(info)) for name, info in found.items()))

    @property
    def options(self) -> Any:
        """Storage options."""
        return self.store.file.options

    def values(
        self, names: Sequence[str], dtype: np.dtype[Any], lo: int, hi: int
    ) -> npt.NDArray[Any]:
        """Return columns of rows lo to hi as floats."""
        if self.encoding == "dataframe":
            with self.store.root() as root:
                rows = encoded.table(self.where, root[self.key], names, lo, hi)
            return table_values(self.where, rows, names, dtype, range(lo, hi))
        return to_float(self.where, names, lo, self._stored(names, lo, hi), dtype)

    def _stored(self, names: Sequence[str], lo: int, hi: int) -> npt.NDArray[Any]:
        picks = None if tuple(names) == self.names else [self._index(name) for name in names]
        if self.encoding == "csr_matrix":
            with self.store.root() as root:
                sparse = encoded.csr_rows(root[self.key], lo, hi)
            dense: npt.NDArray[Any] = (sparse if picks is None else sparse[:, picks]).toarray()
            return dense
        if self.zarr is not None:
            rows = self.zarr.rows(lo, hi)
        else:
            with self.store.root() as root:
                rows = np.asarray(root[self.key][lo:hi]).reshape(hi - lo, -1)
        return rows if picks is None else rows[:, picks]

    def _index(self, name: str) -> int:
        return self.names.index(name)

    def obs(self, names: Sequence[str], lo: int, hi: int) -> pa.Table:
        """Return obs columns of rows lo to hi, under the names that were asked for."""
        with self.store.root() as root:
            frame = root["obs"]
            index = encoded.index_name(frame)
            stored = [index if bare(name) == OBS_NAMES else bare(name) for name in names]
            pairs = zip(names, stored, strict=True)
            where = f"{self.store.name}/obs"
            return pa.table({n: encoded.column(where, frame, s, lo, hi) for n, s in pairs})

    def obs_columns(self) -> tuple[str, ...]:
        """Return the names of the obs columns, the row names first."""
        with self.store.root() as root:
            return (OBS_NAMES, *encoded.column_order(root["obs"]))


def bare(name: str) -> str:
    """Return an obs column's own name: ``obs.x``, ``obs/x`` and ``x`` are the same."""
    return name[4:] if name.startswith(("obs.", "obs/")) else name


def _change(info: Any) -> str:
    stamps = ("ETag", "etag", "mtime", "LastModified", "last_modified")
    return f"{info.get('size')} {next((info[s] for s in stamps if info.get(s)), '')}"


def open_cells(spec: SourceSpec, store: Store, setting: str = "source.key") -> Cells:
    """Open one AnnData file at the matrix that `spec` names, or at its only one.

    Parameters
    ----------
    spec : SourceSpec
    store : Store
    setting : str
        What named the matrix, for messages.

    Raises
    ------
    DataError
        If the file is not AnnData, or has no such matrix.
    """
    with store.root() as root:
        if not hasattr(root, "keys") or "obs" not in root:
            raise DataError(f"source.path: {store.name} is not AnnData: it has no obs")
        if hasattr(root["obs"], "dtype"):
            raise DataError(
                f"source.path: {store.name} was written by anndata older than 0.7; read it with "
                "anndata.read_h5ad and write it again"
            )
        known = _matrices(root)
        if setting != "source.key":
            known |= _cubes(root)
        key = _key(spec, store, known, setting)
        node = root[key]
        kind = encoded.encoding(node)
        if kind == "csc_matrix":
            raise DataError(
                f"source.key: {store.name}: {key} is stored by columns (csc), so rows cannot be "
                "read; write it again as csr (adata.X = adata.X.tocsr())"
            )
        if kind == "csr_matrix" and not store.is_hdf5:
            _check_chunks(store, key, node)
        names = _names(root, key, node)
        n_rows = encoded.shape_of(node)[0]
        if kind == "dataframe":
            one = encoded.table(store.name, node, names, 0, min(1, n_rows))
            types = tuple(one.schema.types)
        else:
            stored = node["data"].dtype if kind == "csr_matrix" else node.dtype
            float_ = array_type(store.name, key, stored)
            types = (pa.from_numpy_dtype(float_),) * len(names)
        flat = not encoded.is_cube(node)
    dense_zarr = flat and not store.is_hdf5 and kind not in ("csr_matrix", "dataframe")
    through = zarr_matrix(store.file, key) if dense_zarr else None
    return Cells(store, key, kind, n_rows, names, types, through)


def _check_chunks(store: Store, key: str, node: Any) -> None:
    """Raise DataError if a chunk of a sparse matrix is not stored: it would read as zeros."""
    for name in ("data", "indices", "indptr"):
        missing = node[name].nchunks - node[name].nchunks_initialized
        if missing > 0:
            raise DataError(
                f"source.path: {store.name}/{key}/{name}: {missing} of {node[name].nchunks} chunks "
                "are missing; restore them"
            )


def check_width(cells: Cells, columns: Sequence[str]) -> None:
    """Raise DataError if a sparse matrix would be made dense with too many columns."""
    if cells.encoding == "csr_matrix" and len(columns) > MAX_DENSE:
        with cells.store.root() as root:
            others = [f"{k} ({w})" for k, w in _matrices(root).items() if k.startswith("obsm/")]
        raise DataError(
            f"source.key: {cells.where} is sparse with {len(columns)} columns, more than the "
            f"{MAX_DENSE} that are made dense; use a reduced representation"
            + (f": {', '.join(others)}" if others else ", or name source.columns")
        )


def _matrices(root: Any) -> dict[str, int]:
    """Return the matrices of a file with their widths."""
    keys = ["X"] if "X" in root else []
    for group in ("layers", "obsm"):
        keys += [f"{group}/{name}" for name in sorted(root.get(group, ()))]
    keys += ["raw/X"] if "raw" in root and "X" in root["raw"] else []
    found = {key: root[key] for key in keys if encoded.is_matrix(root[key])}
    return {key: width for key, node in found.items() if (width := encoded.shape_of(node)[1])}


def _cubes(root: Any) -> dict[str, int]:
    """Return the arrays of one covariance for each cell, with their numbers a cell."""
    found = {f"obsm/{name}": root[f"obsm/{name}"] for name in sorted(root.get("obsm", ()))}
    cubes = {key: node for key, node in found.items() if encoded.is_cube(node)}
    return {key: encoded.shape_of(node)[1] for key, node in cubes.items()}


def _key(spec: SourceSpec, store: Store, known: dict[str, int], setting: str) -> str:
    shown = [f"{key} ({width})" for key, width in known.items()]
    if spec.key is not None:
        key = spec.key.strip("/")
        if key not in known and key != "obs":
            raise has_no(setting, store.name, key, list(known), shown)
        return key
    if len(known) != 1:
        raise DataError(f"source.key: {store.name} has {', '.join(shown) or 'no matrix'}; name one")
    return next(iter(known))


def _names(root: Any, key: str, node: Any) -> tuple[str, ...]:
    """Return the column names: those of a data frame, the genes, or X_pca-0, X_pca-1, ..."""
    if encoded.encoding(node) == "dataframe":
        return encoded.column_order(node)
    var = "raw/var" if key == "raw/X" else "var"
    width = encoded.shape_of(node)[1]
    if not key.startswith("obsm/") and var in root:
        frame = root[var]
        index = encoded.index_name(frame)
        return tuple(encoded.column(key, frame, index, 0, width).to_pylist())
    stem = key.rpartition("/")[2]
    return tuple(f"{stem}-{j}" for j in range(width))
