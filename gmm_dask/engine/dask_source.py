"""`LazySource`: rows of a Dask array or dataframe that a user hands in."""

# mypy: allow-untyped-calls
from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from dask.base import tokenize
from distributed import futures_of

from gmm_dask import tree
from gmm_dask.blocks import FLOAT_DTYPES, ArraySource, Block, default_columns
from gmm_dask.draws import CELL
from gmm_dask.errors import DataError, DataWarning

EXACT_INTEGER = 2**53  # the largest integer below which float64 holds every integer
DENSE_BYTES = 2**30  # the most that one cell of rows may take when sparse rows become dense


@dataclass(frozen=True)
class LazySource:
    """Rows of a Dask array, computed when they are read.

    Integers, float16 and foreign byte orders become float64 or float32, sparse chunks dense and
    masked entries NaN, all lazily; float chunks stay as they are.

    Parameters
    ----------
    array : dask array (N, D)
        Unknown row chunks are computed (one pass, with a warning), several column chunks joined.
    columns : tuple of D names, optional
        Default x0, x1, ...

    Raises
    ------
    DataError
        If the array has not two dimensions, or holds anything but real numbers.
    """

    array: Any
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        array = _numeric(_known_chunks(_table(self.array)))
        names = tuple(self.columns) or default_columns(array.shape[1])
        if len(names) != array.shape[1]:
            raise DataError(f"{len(names)} column names came for {array.shape[1]} columns")
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "columns", names)

    @classmethod
    def of(cls, data: Any, columns: Sequence[str] = ()) -> Self:
        """Return the source for a Dask array or dataframe.

        Parameters
        ----------
        data : dask array (N, D) or dask dataframe
            The lengths of a dataframe's partitions are counted first.
        columns : sequence of str, optional
            Default: the dataframe's names, or x0, x1, ...
        """
        if not hasattr(data, "to_dask_array"):
            return cls(data, tuple(columns))
        names = tuple(columns) or tuple(str(name) for name in data.columns)
        return cls(_frame_values(data), names)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.array.shape[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values, float32 or float64."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def chunk_rows(self) -> int:
        """Rows that are computed together."""
        return int(max(self.array.chunks[0], default=1))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of names, shape, type and the Dask token of the graph."""
        token = tokenize(self.array)
        return tree.fingerprint((self.columns, self.array.shape, self.dtype.str, token))

    @cached_property
    def is_persisted(self) -> bool:
        """Whether (some of) the rows are held by a cluster already."""
        return bool(futures_of(self.array))

    def read(self, lo: int, hi: int) -> Block:
        """Compute rows ``lo <= row < hi`` in the calling thread.

        Raises
        ------
        DataError
            If the rows live on a cluster, where the calling thread cannot compute them.
        """
        if self.is_persisted:
            raise DataError(
                "the Dask array is persisted on a cluster and cannot be streamed: use its client "
                "with cache memory, or give the array before persist()"
            )
        values = self.array[lo:hi].compute(scheduler="synchronous")
        return Block(np.ascontiguousarray(values), lo)

    def materialise(self) -> ArraySource:
        """Return the rows computed once and held in this process."""
        # on threads, whatever a closed client may have left as Dask's default scheduler
        values = self.array.compute(scheduler="threads")
        return ArraySource(np.ascontiguousarray(values), self.columns)


def _table(array: Any) -> Any:
    """Return an array of two dimensions with one column chunk."""
    if array.ndim != 2:
        raise DataError(
            f"a Dask array of {array.ndim} dimensions came; needed: 2, one row per observation"
        )
    if len(array.chunks[1]) == 1:
        return array
    message = f"the array has {len(array.chunks[1])} column chunks; they are joined for every row"
    warnings.warn(message, DataWarning, stacklevel=5)
    return array.rechunk({1: -1})


def _known_chunks(array: Any) -> Any:
    """Return an array of known chunk sizes, computing them if needed."""
    if not np.isnan(array.shape[0]):
        return array
    message = "chunk sizes are unknown; one pass over the data computes them"
    warnings.warn(message, DataWarning, stacklevel=5)
    return array.compute_chunk_sizes()


def _numeric(array: Any) -> Any:
    """Return an array of native float32 or float64 in plain NumPy chunks."""
    plain = type(array._meta) is np.ndarray
    if array.dtype.kind not in "iuf":
        raise DataError(
            f"an array of dtype {array.dtype} came; needed: real numbers (float32, float64, or "
            "integers)"
        )
    if plain and array.dtype in FLOAT_DTYPES and array.dtype.isnative:
        return array
    if not plain and CELL * array.shape[1] * 8 > DENSE_BYTES:
        raise DataError(
            f"sparse chunks of {array.shape[1]} columns would take "
            f"{CELL * array.shape[1] * 8 / 2**30:.1f} GiB for {CELL} dense rows; reduce the "
            "columns first"
        )
    dtype = _float_type(array.dtype)
    meta = np.empty((0, 0), dtype)
    return array.map_blocks(_plain_chunk, dtype=dtype, meta=meta)


def _float_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return float32 for floats of up to 4 bytes, float64 for all else."""
    small = dtype.kind == "f" and dtype.itemsize <= 4
    return np.dtype(np.float32 if small else np.float64)


def _plain_chunk(chunk: Any, block_info: Any = None) -> npt.NDArray[Any]:
    """Return a chunk as a dense native float array; masked entries become NaN."""
    dtype = _float_type(chunk.dtype)
    dense = chunk.toarray() if hasattr(chunk, "toarray") else chunk
    dense = dense.todense() if hasattr(dense, "todense") else dense
    start = block_info[0]["array-location"][0][0] if block_info else 0
    _check_integers(np.ma.filled(dense, 0), start)
    if np.ma.isMaskedArray(dense):
        dense = np.ma.filled(dense.astype(dtype), np.nan)
    return np.ascontiguousarray(dense, dtype=dtype)


def _check_integers(values: npt.NDArray[Any], start: int) -> None:
    """Raise DataError if an integer is too large for float64 to hold it."""
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8 or values.size == 0:
        return
    large = (values > EXACT_INTEGER) | (values < -EXACT_INTEGER)
    if large.any():
        row, column = (int(i[0]) for i in np.nonzero(large))
        raise DataError(
            f"row {start + row}, column {column}: the integer {values[row, column]} is beyond "
            "2**53 and float64 cannot hold it; is the column an identifier?"
        )


def _frame_values(frame: Any) -> Any:
    """Return the values of a Dask dataframe as an array of known chunks."""
    kinds = {str(name): getattr(kind, "kind", "O") for name, kind in frame.dtypes.items()}
    refused = {name: str(frame.dtypes[name]) for name, kind in kinds.items() if kind not in "iuf"}
    if refused:
        raise DataError(f"columns {refused} are not real numbers; leave them out or convert them")
    single = all(np.dtype(np.float32) == kind for kind in frame.dtypes)
    dtype = np.dtype(np.float32 if single else np.float64)
    meta = frame._meta.astype(dtype)
    plain = frame.map_partitions(_plain_part, dtype, meta=meta)
    return plain.to_dask_array(lengths=True)


def _plain_part(part: Any, dtype: np.dtype[Any]) -> Any:
    """Return a pandas partition as floats, NaN where a nullable type holds nothing."""
    for name in part.columns:
        column = part[name]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
            _check_integers(column.to_numpy()[:, None], 0)
    return part.astype(dtype)
