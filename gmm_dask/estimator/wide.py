"""Rows with their weights, noise and groups, of whatever kind users hand in, as one collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import tree
from gmm_dask.blocks import ArraySource, Block, RowLayout, Source, default_columns
from gmm_dask.errors import DataError
from gmm_dask.estimator.row_parts import Join, extra_columns, noise_type, projected_columns
from gmm_dask.inputs import as_numbers, is_dask, is_lazy, is_source, open_source, open_weight


@dataclass(frozen=True)
class Given:
    """Weights and noise as they were handed in, and how rows are to be taken.

    Parameters
    ----------
    layout : RowLayout
    sample_weight, noise, projection : array-like, Dask collection or `Source`; or None
    group : (N,) numbers of groups, NumPy or Dask; or None
    """

    layout: RowLayout
    sample_weight: Any = None
    noise: Any = None
    projection: Any = None
    group: Any = None

    def with_groups(self, group: Any, n_groups: int) -> Given:
        """Return the same rows with the numbers (N,) of their groups, n_groups in all."""
        return replace(self, layout=self.layout._replace(n_groups=n_groups), group=group)

    @property
    def has_parts(self) -> bool:
        """Whether rows are more than their values."""
        return any(part is not None for part in self.named.values())

    @property
    def named(self) -> dict[str, Any]:
        """The parts by name, in the order in which rows hold them."""
        return {
            "sample_weight": self.sample_weight,
            "noise": self.noise,
            "groups": self.group,
            "projection": self.projection,
        }


def given(
    n_columns: int,
    missing: str,
    sample_weight: Any = None,
    noise: Any = None,
    compute_dtype: str = "float64",
    projection: Any = None,
) -> Given:
    """Return weights, noise and projections with the layout that their shapes ask for.

    Parameters
    ----------
    n_columns : int
        Of the rows: with projections the measurements.
    missing : {"error", "marginalize"}
    sample_weight, noise, projection : see `GaussianMixture.fit`
    compute_dtype : str

    Raises
    ------
    DataError
        They are no numbers, or of other shapes.
    """
    weight = None if sample_weight is None else _numbers("sample_weight", sample_weight)
    if weight is not None and not is_source(weight) and len(weight.shape) != 1:
        raise DataError(
            f"sample_weight has shape {tuple(weight.shape)}; one number for each row, of shape "
            "(N,), is needed"
        )
    noise = None if noise is None else _numbers("noise", noise)
    kind = noise_type(noise, n_columns)
    holes = missing == "marginalize"
    if projection is None:
        layout = RowLayout(n_columns, weight is not None, kind, holes, compute_dtype)
        return Given(layout, weight, noise)
    projection = _numbers("projection", projection)
    D = projected_columns(projection, n_columns)
    layout = RowLayout(D, weight is not None, kind, holes, compute_dtype, measured=n_columns)
    return Given(layout, weight, noise, projection)


def _numbers(name: str, part: Any) -> Any:
    """Return what is lazy as it is, all else as a float array."""
    if is_dask(part):
        return part
    if is_lazy(part):
        return open_weight(part) if name == "sample_weight" else open_source(part)
    try:
        return np.asarray(as_numbers(part), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: {error}") from error


def joined_source(data: Any, parts: Given, names: Sequence[str] = ()) -> Source:
    """Return the source of rows with their weights and noise.

    Parameters
    ----------
    data : ndarray, Dask collection, zarr array or Source
        Of D columns.
    parts : Given
    names : sequence of D str, optional
    """
    if not parts.has_parts:
        return open_source(data, names)
    extra = extra_columns(parts.layout)
    if parts.layout.measured:  # measurements have names, the columns that they combine have none
        names = default_columns(parts.layout.n_columns)
    if is_dask(data):
        from gmm_dask.engine.dask_source import LazySource

        lazy = LazySource.of(data, () if parts.layout.measured else tuple(names))
        of_values = tuple(names) if parts.layout.measured else lazy.columns
        return LazySource(joined(lazy.array, parts), (*of_values, *extra))
    if isinstance(data, np.ndarray):
        of_values = tuple(names) or open_source(data).columns
        return ArraySource(joined(data, parts), (*of_values, *extra))
    return _stored(open_source(data), parts)


def joined(data: Any, parts: Given) -> Any:
    """Return rows of (D +) weights and noise: an array, a Dask collection, or a source.

    Parameters
    ----------
    data : ndarray, Dask collection, zarr array or Source
    parts : Given
    """
    if not parts.has_parts:
        return data
    join, layout = Join(parts.layout), parts.layout
    if is_dask(data):
        from gmm_dask.engine.dask_join import join_arrays, join_frames

        if hasattr(data, "map_partitions"):
            for name in ("groups", "projection"):
                if parts.named[name] is not None:
                    raise DataError(
                        f"{name} came for a Dask dataframe; give both as Dask arrays "
                        "(frame.to_dask_array(lengths=True))"
                    )
            names = tuple(str(name) for name in data.columns)
            return join_frames(data, parts.noise, join, (*names, *extra_columns(layout)))
        beside = {name: _beside_dask(name, part) for name, part in parts.named.items()}
        return join_arrays(data, beside, join, layout.width)
    if isinstance(data, np.ndarray):
        _check_length(parts, len(data))
        return join(data, **{name: _in_memory(name, part) for name, part in parts.named.items()})
    return _stored(open_source(data), parts)


def _beside_dask(name: str, part: Any) -> Any:
    if is_source(part):
        raise DataError(
            f"stored {name} came for Dask data; give both as Dask arrays (dask.array.from_zarr), "
            "or both as zarr arrays"
        )
    return part


def _in_memory(name: str, part: Any) -> Any:
    """Return weights, noise or projections as an array, for values that are one."""
    if is_source(part):
        return _rows(name, part, 0, part.n_rows)
    return part.compute(scheduler="threads") if is_dask(part) else part


def _rows(name: str, part: Any, lo: int, hi: int) -> Any:
    """Return rows lo to hi of an array or a source, None of None."""
    if part is None or not is_source(part):
        return None if part is None else part[lo:hi]
    found = part.read(lo, hi).values
    return found[:, 0] if name == "sample_weight" else found


def _check_length(parts: Given, n_rows: int) -> None:
    for name, part in parts.named.items():
        found = n_rows if part is None or is_dask(part) else _length(part)
        if found != n_rows:
            raise DataError(
                f"{name} has {found} rows, the values have {n_rows}: one for each row is needed"
            )


def _length(part: Any) -> int:
    return int(part.n_rows if is_source(part) else len(part))


def _stored(source: Source, parts: Given) -> Source:
    for name, part in parts.named.items():
        if is_dask(part):
            raise DataError(
                f"{name} came as a Dask collection, the values did not; give all as Dask arrays "
                "(dask.array.from_zarr), or none"
            )
    _check_length(parts, source.n_rows)
    return JoinedSource(source, parts)


@dataclass(frozen=True)
class JoinedSource:
    """Rows of a source joined, as they are read, with weights and noise.

    Parameters
    ----------
    source : Source
        Of the values.
    parts : Given
        Arrays in memory, or sources with as many rows.
    """

    source: Source
    parts: Given

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values, then of what stands behind them."""
        layout = self.parts.layout
        of_values = default_columns(layout.n_columns) if layout.measured else self.source.columns
        return (*of_values, *extra_columns(layout))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.source.dtype

    @property
    def chunk_rows(self) -> int:
        """Rows that are decoded together."""
        return int(getattr(self.source, "chunk_rows", 1))

    @property
    def fingerprint(self) -> str:
        """Digest of values, weights and noise."""
        of_parts = [
            str(part.fingerprint) if is_source(part) else self._of_arrays[name]
            for name, part in self.parts.named.items()
        ]
        return tree.fingerprint((self.source.fingerprint, *of_parts))

    def read(self, lo: int, hi: int) -> Block:
        """Return rows lo to hi."""
        block = self.source.read(lo, hi)
        beside = {name: _rows(name, part, lo, hi) for name, part in self.parts.named.items()}
        rows: npt.NDArray[Any] = Join(self.parts.layout)(block.values, **beside, start=lo)
        return Block(np.ascontiguousarray(rows), lo)

    @cached_property
    def _of_arrays(self) -> dict[str, str]:
        named = self.parts.named.items()
        return {name: tree.fingerprint(part) for name, part in named if not is_source(part)}
