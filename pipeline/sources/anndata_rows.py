"""AnnData, h5ad or zarr: a matrix of cells, with obs beside it for identity and filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.sources.beside import array_columns, array_names
from pipeline.sources.cells import OBS_NAMES, Cells, bare, check_width, open_cells
from pipeline.sources.columns import SAMPLE_ROWS, check_names, check_unique, choose
from pipeline.sources.describe import facts
from pipeline.sources.files import File, find_files
from pipeline.sources.filters import parse
from pipeline.sources.joined import JoinedReader
from pipeline.sources.masks import Verdict, decide
from pipeline.sources.numeric import table_values
from pipeline.sources.spec import NoiseSpec, SourceSpec
from pipeline.sources.store import Store, store_file
from pipeline.sources.table import (
    IntArray,
    Reader,
    Table,
    counting,
    digest,
    row_table,
    values_digest,
)
from pipeline.sources.trouble import DataError, has_no
from pipeline.sources.wide import Wide

SUFFIXES = (".h5ad", ".h5")
ZARR = (".zarr", ".zarr.zip")
GATHER_BYTES = 32 * 2**20
"""Filtered rows are read in runs of source rows of at most so many bytes."""


@dataclass(frozen=True)
class Beside:
    """A matrix whose rows belong to the same cells, under names of its own.

    Parameters
    ----------
    cells : Cells
    names : tuple of str
        For its columns, in order.
    """

    cells: Cells
    names: tuple[str, ...]

    def values(
        self, names: Sequence[str], dtype: np.dtype[Any], lo: int, hi: int
    ) -> npt.NDArray[Any]:
        """Return columns of rows lo to hi as floats."""
        own = [self.cells.names[self.names.index(name)] for name in names]
        return self.cells.values(own, dtype, lo, hi)


@dataclass(frozen=True)
class AnndataReader:
    """A `Reader` over the cells that a filter keeps.

    The positions of kept cells are found from obs, once in each process: they are not pickled.

    Parameters
    ----------
    cells : Cells
    dtype : float32 or float64
    label_names : tuple of str
        obs columns that identify or are carried.
    condition : str, optional
        The filter.
    sentinels : tuple of float
    wide : Wide
        The columns, with those of weight and errors.
    beside : Beside, optional
        The matrix of errors.
    """

    cells: Cells
    dtype: np.dtype[Any]
    label_names: tuple[str, ...]
    condition: str | None
    sentinels: tuple[float, ...]
    wide: Wide
    beside: Beside | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the values."""
        return self.wide.columns

    @property
    def n_rows(self) -> int:
        """Cells kept."""
        verdict = self.verdict
        return self.cells.n_rows if verdict is None else len(verdict.kept)

    @property
    def n_origin(self) -> int:
        """Cells of the file."""
        return self.cells.n_rows

    @property
    def verdict(self) -> Verdict | None:
        """What the filter says, if there is one."""
        if self.condition is None:
            return None
        return _verdict(self.cells, self.condition, self.sentinels)

    def values(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return the values of cells lo to hi of those kept."""
        if self.verdict is None:
            return self._read(lo, hi)
        rows = np.empty((hi - lo, len(self.wide.read)), self.dtype)
        for a, b, first, last in self._runs(lo, hi):
            part = self._read(first, last)
            rows[a:b] = part[self.origin(lo + a, lo + b) - first]
        return rows

    def _read(self, lo: int, hi: int) -> npt.NDArray[Any]:
        """Return the columns that are read of cells lo to hi of the file."""
        weight, names = self.wide.sample_weight, self.wide.read
        apart = self.beside.names if self.beside is not None else ()
        own = [name for name in names if name not in apart and name != weight]
        parts = [self.cells.values(own, self.dtype, lo, hi)]
        if weight is not None:
            table = self.cells.obs([weight], lo, hi)
            parts.append(table_values(self.cells.where, table, [weight], self.dtype, range(lo, hi)))
        if self.beside is not None:
            picked = [name for name in names if name in apart]
            parts.append(self.beside.values(picked, self.dtype, lo, hi))
            own += [weight, *picked] if weight is not None else picked
        elif weight is not None:
            own.append(weight)
        rows = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        return rows if tuple(own) == names else rows[:, [own.index(name) for name in names]]

    def labels(self, lo: int, hi: int) -> pa.Table:
        """Return the id and carried columns of cells lo to hi of those kept."""
        if self.verdict is None:
            return self.cells.obs(self.label_names, lo, hi)
        parts = [
            self.cells.obs(self.label_names, first, last).take(self.origin(lo + a, lo + b) - first)
            for a, b, first, last in self._runs(lo, hi)
        ]
        return pa.concat_tables(parts)

    def origin(self, lo: int, hi: int) -> IntArray:
        """Return the positions in the file of cells lo to hi of those kept."""
        verdict = self.verdict
        return counting(lo, hi) if verdict is None else verdict.kept[lo:hi]

    def _runs(self, lo: int, hi: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (a, b, first, last): kept cells a to b lie among the file's first to last."""
        kept = self.origin(lo, hi)
        slab = kept // max(1, GATHER_BYTES // (8 * len(self.cells.names)))
        starts = np.flatnonzero(np.diff(slab, prepend=-1))
        for a, b in zip(starts, [*starts[1:], len(kept)], strict=True):
            yield int(a), int(b), int(kept[a]), int(kept[b - 1]) + 1


@lru_cache(maxsize=16)
def _verdict(cells: Cells, text: str, sentinels: tuple[float, ...]) -> Verdict:
    condition = parse(text)
    known = cells.obs_columns()
    for name in condition.columns:
        if bare(name) not in known:
            raise has_no("source.filter", cells.store.name, name, [f"obs.{k}" for k in known])
    return decide(condition, cells.obs(condition.columns, 0, cells.n_rows), sentinels)


def open_anndata(spec: SourceSpec, scratch: Path) -> Table:  # noqa: ARG001
    """Open AnnData files; a filter reads its obs columns, nothing else is read.

    Parameters
    ----------
    spec : SourceSpec
        `id`, `carry` and `filter` name obs columns: ``obs.x``, ``obs/x`` or ``x``.
    scratch : Path
        Not used: rows can be read by position, filtered ones too.

    Raises
    ------
    ConfigError
        If h5py is missing, or the filter cannot be read.
    DataError
        If a file is damaged, or has no such matrix or column.
    """
    stores = _stores(spec)
    parts = [_reader(spec, store) for store in stores]
    first = parts[0]
    for part in parts[1:]:
        if part.columns != first.columns or part.dtype != first.dtype:
            raise DataError(
                f"source.path: {part.cells.where} has other columns or another type than "
                f"{first.cells.where}; files of one source need the same"
            )
    reader: Reader = first if len(parts) == 1 else JoinedReader(tuple(parts))
    files = [store.file for store in stores]
    verdicts = [part.verdict for part in parts if part.verdict is not None]
    drops = _total(verdicts)
    if verdicts and not reader.n_rows:
        raise DataError(
            f"source.filter: {spec.filter!r} keeps none of {reader.n_origin} cells ({drops})"
        )
    inputs = [part.cells.stamp for part in parts]
    inputs += [part.beside.cells.stamp for part in parts if part.beside is not None]
    kept = [digest(verdict.kept.tobytes().hex()) for verdict in verdicts]
    mark = values_digest(spec, first.columns, [inputs, kept])
    about = facts(spec, "anndata", files, reader.n_origin) | {
        "key": first.cells.key,
        "id": list(spec.id or (OBS_NAMES,)),
    }
    named = replace(spec, id=spec.id or (OBS_NAMES,))
    return row_table(named, reader, first.wide, first.dtype, mark, about, drops)


def _stores(spec: SourceSpec) -> list[Store]:
    zarrs = [path for path in spec.paths if path.rstrip("/").endswith(ZARR)]
    stores = [Store(store_file(path, spec.storage_options), is_hdf5=False) for path in zarrs]
    others = [path for path in spec.paths if path not in zarrs]
    files: tuple[File, ...] = ()
    if others:
        files = find_files(others, spec.storage_options, SUFFIXES, "h5ad")
    return [*stores, *(Store(file, is_hdf5=True) for file in files)]


def _reader(spec: SourceSpec, store: Store) -> AnndataReader:
    cells = open_cells(spec, store)
    known = cells.obs_columns()
    check_names("source.id", store.name, [bare(name) for name in spec.id], known)
    check_names("source.carry", store.name, [bare(name) for name in spec.carry], known)
    check_unique(cells.where, list(cells.names))
    types = dict(zip(cells.names, cells.types, strict=True))
    end = min(SAMPLE_ROWS, cells.n_rows)

    def sample(names: Any) -> pa.Table:
        return cells.obs(names, 0, end) if cells.key == "obs" else pa.table({})

    beside = _beside(spec, store, cells)
    if beside is not None:
        types |= dict(zip(beside.names, beside.cells.types, strict=True))
    if spec.sample_weight is not None:
        check_names("source.sample_weight", store.name, [bare(spec.sample_weight)], known)
        types[spec.sample_weight] = cells.obs([spec.sample_weight], 0, 1).schema.types[0]
    # identity comes from obs, values from the matrix: their names do not meet
    asked = replace(spec, id=(), carry=(), noise=_noise(spec, cells))
    choice = choose(asked, cells.where, types, sample, cells.n_rows)
    check_width(cells, choice.columns)
    labels = tuple(dict.fromkeys(bare(name) for name in (*(spec.id or (OBS_NAMES,)), *spec.carry)))
    condition, sentinels = spec.filter, spec.sentinels
    return AnndataReader(cells, choice.dtype, labels, condition, sentinels, choice.wide, beside)


def _noise(spec: SourceSpec, cells: Cells) -> NoiseSpec | None:
    """Return where errors stand, an array's as a map of columns."""
    noise = spec.noise
    return array_columns(noise, cells.names) if noise is not None and noise.array else noise


def _beside(spec: SourceSpec, store: Store, cells: Cells) -> Beside | None:
    """Return the matrix of errors, where it is one.

    Raises
    ------
    DataError
        If it has not one column (of a covariance: D) for each column of the values.
    """
    noise = spec.noise
    if noise is None or noise.array is None:
        return None
    errors = open_cells(replace(spec, key=noise.array), store, f"source.noise.{noise.form}")
    names = array_names(noise, cells.names)
    if len(errors.names) != len(names) or errors.n_rows != cells.n_rows:
        raise DataError(
            f"source.noise.{noise.form}: {errors.where} has {errors.n_rows} rows of "
            f"{len(errors.names)} numbers, {cells.where} needs {cells.n_rows} of {len(names)}"
        )
    return Beside(errors, names)


def _total(verdicts: list[Verdict]) -> dict[str, int]:
    total: dict[str, int] = {}
    for verdict in verdicts:
        for reason, count in verdict.dropped.items():
            total[reason] = total.get(reason, 0) + count
    return total
