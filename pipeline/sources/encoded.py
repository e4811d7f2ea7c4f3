"""How AnnData writes columns and matrices into HDF5 and zarr groups, read by row.

References
----------
The on-disk format of AnnData: https://anndata.readthedocs.io/en/stable/fileformat-prose.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from pipeline.sources.trouble import DataError

Rows = npt.NDArray[Any]

CODED = "categorical"
NULLABLE = ("nullable-integer", "nullable-boolean", "nullable-string-array")


def encoding(node: Any) -> str:
    """Return AnnData's word for what a node is."""
    word = node.attrs.get("encoding-type", "")
    return str(word) or ("array" if hasattr(node, "dtype") else "")


def is_matrix(node: Any) -> bool:
    """Return whether rows of numbers can be read from a node."""
    kind = encoding(node)
    if kind in ("csr_matrix", "csc_matrix", "dataframe"):
        return True
    return getattr(node, "ndim", len(getattr(node, "shape", ()))) == 2


def is_cube(node: Any) -> bool:
    """Return whether a node holds one square matrix of numbers for each row."""
    shape: tuple[int, ...] = tuple(getattr(node, "shape", ()))
    return len(shape) == 3 and shape[1] == shape[2]


def shape_of(node: Any) -> tuple[int, int]:
    """Return rows and columns of a matrix node."""
    kind = encoding(node)
    if kind == "dataframe":
        return int(node[index_name(node)].shape[0]), len(column_order(node))
    shape = node.attrs["shape"] if kind in ("csr_matrix", "csc_matrix") else node.shape
    return int(shape[0]), int(math.prod(shape[1:]))


def index_name(frame: Any) -> str:
    """Return the name of the node that holds the row names of a data frame."""
    return str(frame.attrs["_index"])


def column_order(frame: Any) -> tuple[str, ...]:
    """Return the column names of a data frame."""
    return tuple(str(name) for name in frame.attrs["column-order"])


def csr_rows(node: Any, lo: int, hi: int) -> sp.csr_matrix:
    """Return rows lo to hi of a matrix that is stored by compressed rows."""
    ends = np.asarray(node["indptr"][lo : hi + 1]).astype(np.int64)
    first, last = int(ends[0]), int(ends[-1])
    data, indices = (np.asarray(node[name][first:last]) for name in ("data", "indices"))
    shape = (hi - lo, shape_of(node)[1])
    return sp.csr_matrix((data, indices, ends - first), shape=shape)


def column(where: str, parent: Any, name: str, lo: int, hi: int) -> pa.Array:
    """Return rows lo to hi of one column of a data frame.

    Parameters
    ----------
    where : str
        The file, for messages.
    parent : group
    name : str
    lo, hi : int

    Raises
    ------
    DataError
        If the column is of a kind that is not known.
    """
    node = parent[name]
    kind = encoding(node)
    if kind == CODED:
        return _decoded(_array(node["categories"][:]), np.asarray(node["codes"][lo:hi]))
    if "categories" in node.attrs:
        # AnnData before 0.8: the codes point to categories elsewhere in the file
        categories = node.file[node.attrs["categories"]]
        return _decoded(_array(categories[:]), np.asarray(node[lo:hi]))
    if kind in NULLABLE:
        mask = pa.array(np.asarray(node["mask"][lo:hi], np.bool_))
        values = _array(node["values"][lo:hi])
        return pc.if_else(mask, pa.scalar(None, values.type), values)
    if hasattr(node, "dtype") and len(node.shape) == 1:
        return _array(node[lo:hi])
    raise DataError(f"{where}: column {name} is encoded as {kind or 'something unknown'}")


def _decoded(categories: pa.Array, codes: Rows) -> pa.Array:
    missing = codes < 0
    taken: pa.Array = categories.take(pa.array(codes.astype(np.int64), mask=missing))
    return taken


def _array(values: Any) -> pa.Array:
    """Return values as an arrow array of plain numbers, truths or text."""
    values = np.asarray(values)
    if values.dtype.kind in "iufb":
        return pa.array(values.astype(values.dtype.newbyteorder("="), copy=False))
    return pa.array([_text(item) for item in values], pa.string())


def _text(item: Any) -> str | None:
    if item is None:
        return None
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def table(where: str, frame: Any, names: Sequence[str], lo: int, hi: int) -> pa.Table:
    """Return rows lo to hi of some columns of a data frame; the index goes by its own name."""
    return pa.table({name: column(where, frame, name, lo, hi) for name in names})
