"""Rows with their weights, noise and groups, of whatever kind users hand in, as one collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import tree
from gmm_dask.blocks import ArraySource, Block, RowLayout, Source
from gmm_dask.errors import DataError
from gmm_dask.estimator.row_parts import Join, extra_columns, noise_type
from gmm_dask.inputs import as_numbers, is_dask, is_lazy, is_source, open_source


@dataclass(frozen=True)
class Given:
    """Weights and noise as they were handed in, and how rows are to be taken.

    Parameters
    ----------
    layout : RowLayout
    sample_weight, noise : array-like, Dask collection, or (noise) `Source`; or None
    group : (N,) numbers of groups, NumPy or Dask; or None
    """

    layout: RowLayout
    sample_weight: Any = None
    noise: Any = None
    group: Any = None

    def with_groups(self, group: Any, n_groups: int) -> Given:
        """Return the same rows with the numbers (N,) of their groups, n_groups in all."""
        return replace(self, layout=self.layout._replace(n_groups=n_groups), group=group)

    @property
    def has_parts(self) -> bool:
        """Whether rows are more than their values."""
        return any(part is not None for part in (self.sample_weight, self.noise, self.group))


def given(
    n_columns: int,
    missing: str,
    sample_weight: Any = None,
    noise: Any = None,
    compute_dtype: str = "float64",
) -> Given:
    """Return weights and noise with the layout that their shapes ask for.

    Raises
    ------
    DataError
        They are no numbers, or of other shapes.
    """
    weight = None if sample_weight is None else _numbers("sample_weight", sample_weight)
    if weight is not None and len(weight.shape) != 1:
        raise DataError(
            f"sample_weight has shape {tuple(weight.shape)}; one number for each row, of shape "
            "(N,), is needed"
        )
    noise = None if noise is None else _numbers("noise", noise)
    kind = noise_type(noise, n_columns)
    holes = missing == "marginalize"
    layout = RowLayout(n_columns, weight is not None, kind, holes, compute_dtype)
    return Given(layout, weight, noise)


def _numbers(name: str, part: Any) -> Any:
    """Return what is lazy as it is, all else as a float array."""
    if is_dask(part):
        return part
    if is_lazy(part):
        if name == "noise":
            return open_source(part)
        raise DataError(
            f"{name} of type {type(part).__name__} came; a NumPy array, or a Dask array beside "
            "Dask data, is needed"
        )
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
    if is_dask(data):
        from gmm_dask.engine.dask_source import LazySource

        lazy = LazySource.of(data, tuple(names))
        return LazySource(joined(lazy.array, parts), (*lazy.columns, *extra))
    if isinstance(data, np.ndarray):
        source = open_source(data, names)
        return ArraySource(joined(data, parts), (*source.columns, *extra))
    return _stored(open_source(data, names), parts)


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
            if parts.group is not None:
                raise DataError(
                    "groups came for a Dask dataframe; give both as Dask arrays "
                    "(frame.to_dask_array(lengths=True))"
                )
            names = tuple(str(name) for name in data.columns)
            return join_frames(data, parts.noise, join, (*names, *extra_columns(layout)))
        weight, noise = (_beside_dask(part) for part in (parts.sample_weight, parts.noise))
        return join_arrays(data, weight, noise, join, layout.width, parts.group)
    if isinstance(data, np.ndarray):
        _check_length(parts, len(data))
        weight, noise, group = map(_in_memory, (parts.sample_weight, parts.noise, parts.group))
        return join(data, weight, noise, group=group)
    return _stored(open_source(data), parts)


def _beside_dask(part: Any) -> Any:
    if is_source(part):
        raise DataError(
            "stored noise came for Dask data; give both as Dask arrays (dask.array.from_zarr), or "
            "both as zarr arrays"
        )
    return part


def _in_memory(part: Any) -> Any:
    """Return weights or noise as an array, for values that are one."""
    if is_source(part):
        return part.read(0, part.n_rows).values
    return part.compute(scheduler="threads") if is_dask(part) else part


def _check_length(parts: Given, n_rows: int) -> None:
    of_rows = {"sample_weight": parts.sample_weight, "noise": parts.noise, "groups": parts.group}
    for name, part in of_rows.items():
        found = n_rows if part is None or is_dask(part) else _length(part)
        if found != n_rows:
            raise DataError(
                f"{name} has {found} rows, the values have {n_rows}: one for each row is needed"
            )


def _length(part: Any) -> int:
    return int(part.n_rows if is_source(part) else len(part))


def _stored(source: Source, parts: Given) -> Source:
    if any(map(is_dask, (parts.sample_weight, parts.noise, parts.group))):
        raise DataError(
            "weights, noise or groups came as a Dask collection, the values did not; give all as "
            "Dask arrays (dask.array.from_zarr), or none"
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
        return (*self.source.columns, *extra_columns(self.parts.layout))

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
        found = (self.source.fingerprint, self._of_noise, self._of_weight)
        return tree.fingerprint(found if self.parts.group is None else (*found, self._of_group))

    def read(self, lo: int, hi: int) -> Block:
        """Return rows lo to hi."""
        block = self.source.read(lo, hi)
        weight = None if self.parts.sample_weight is None else self.parts.sample_weight[lo:hi]
        noise = self.parts.noise
        if noise is not None:
            noise = noise.read(lo, hi).values if is_source(noise) else noise[lo:hi]
        group = None if self.parts.group is None else self.parts.group[lo:hi]
        rows: npt.NDArray[Any] = Join(self.parts.layout)(block.values, weight, noise, lo, group)
        return Block(np.ascontiguousarray(rows), lo)

    @cached_property
    def _of_weight(self) -> str:
        return tree.fingerprint(self.parts.sample_weight)

    @cached_property
    def _of_group(self) -> str:
        return tree.fingerprint(self.parts.group)

    @property
    def _of_noise(self) -> str:
        noise = self.parts.noise
        return str(noise.fingerprint) if is_source(noise) else self._of_array

    @cached_property
    def _of_array(self) -> str:
        return tree.fingerprint(self.parts.noise)
