"""Assignments as a zarr group, one array per column and one chunk per part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import zarr
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from gmm_dask import DataError
from pipeline.sinks.disk import Disk, delete_tree
from pipeline.sinks.layout import Layout
from pipeline.sinks.records import PartRecord, total_nulls

MARK, OUTPUT = "gmm_dask", "assignments"
MISSING = "_missing"
"""End of the name of the array that says where a column has no value."""


@dataclass(frozen=True)
class ZarrFormat:
    """A zarr group (format 3) of one-dimensional arrays that share their chunks.

    Numbers and booleans keep their type; anything else becomes text. A column with missing values
    has a boolean array ``<name>_missing`` beside it, and 0, NaN or "" in those places. A ``/`` in a
    column's name is written ``%2F``; the group's attribute ``columns`` lists the names in order.
    """

    name: str = "zarr"

    def check(self, layout: Layout) -> None:
        """Raise DataError for a column that is neither number, boolean nor text."""
        for field in layout.schema:
            if not field.name or _holds_no_text(field.type):
                raise DataError(
                    f"output.format: zarr cannot hold {field.name!r} ({field.type}); "
                    "use parquet, or leave the column out of source.carry"
                )
        names = [array for field in layout.schema for array in _arrays(field)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"output: {twice[0]} names two arrays; rename the column")

    def head(self, layout: Layout) -> Mapping[str, bytes]:
        """Return the metadata of the group and its arrays."""
        documents: dict[str, Buffer] = {}
        store = MemoryStore(documents)
        facts = {MARK: OUTPUT, "rows": layout.n_rows, "columns": layout.schema.names}
        zarr.create_group(store, zarr_format=3, attributes=facts)
        for field in layout.schema:
            for name, kind in _arrays(field).items():
                _create(store, layout, name, kind)
        return {name: data.to_bytes() for name, data in documents.items()}

    def folders(self, layout: Layout) -> Sequence[str]:
        """Return the folders of the chunks of each array."""
        return [f"{name}/c" for field in layout.schema for name in _arrays(field)]

    def part(self, layout: Layout, index: int, table: pa.Table) -> Mapping[str, bytes]:
        """Return one chunk of every array."""
        files: dict[str, bytes] = {}
        for field, column in zip(layout.schema, table.columns, strict=True):
            values = (_values(column, field), pc.is_null(column).to_numpy())
            for (name, kind), rows in zip(_arrays(field).items(), values, strict=False):
                files[f"{name}/c/{index}"] = _chunk(layout, index, name, kind, rows)
        return files

    def finish(self, disk: Disk, folder: Path, layout: Layout, parts: Sequence[PartRecord]) -> None:
        """Delete the arrays of missing values of columns that lack none."""
        lacking = dict(total_nulls(parts))
        for field in layout.schema:
            if field.nullable and field.name not in lacking:
                delete_tree(disk, folder / (quoted(field.name) + MISSING))

    def recognises(self, folder: Path) -> bool:
        """Return whether the group's attributes say so."""
        try:
            found = json.loads((folder / "zarr.json").read_bytes())["attributes"][MARK]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return bool(found == OUTPUT)

    def read(self, folder: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows in order."""
        arrays = [_array(zarr.open_array(folder / quoted(n), mode="r")) for n in columns]
        n_rows = int(json.loads((folder / "zarr.json").read_bytes())["attributes"]["rows"])
        step = arrays[0].chunks[0]  # no chunk is decoded twice
        for lo in range(0, n_rows, step):
            values = [array[lo : min(lo + step, n_rows)] for array in arrays]
            yield pa.table([pa.array(item) for item in values], names=list(columns))


def _holds_no_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(kind) for test in tests) or pa.types.is_fixed_size_binary(kind)


def quoted(name: str) -> str:
    """Return a column's name as that of an array: without ``/``, and never a hidden file."""
    plain = name.replace("%", "%25").replace("/", "%2F")
    return f"%2E{plain[1:]}" if plain.startswith(".") else plain.replace("zarr.json", "zarr%2Ejson")


def _arrays(field: pa.Field) -> dict[str, Any]:
    """Return the names and types of the arrays of a column."""
    name = quoted(field.name)
    return {name: _kind(field.type)} | ({name + MISSING: np.dtype(bool)} if field.nullable else {})


def _kind(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype())
    return str


def _create(store: MemoryStore, layout: Layout, name: str, kind: Any) -> zarr.Array[Any]:
    return zarr.create_array(
        store,
        name=name,
        shape=(layout.n_rows,),
        chunks=(layout.part_rows,),
        dtype=kind,
        zarr_format=3,
        dimension_names=("row",),
        # a chunk that is not there means a fault, never zeros
        config={"write_empty_chunks": True},
    )


def _chunk(layout: Layout, index: int, name: str, kind: Any, rows: npt.NDArray[Any]) -> bytes:
    """Return the encoded chunk of an array."""
    documents: dict[str, Buffer] = {}
    lo, hi = layout.span(index)
    _create(MemoryStore(documents), layout, name, kind)[lo:hi] = rows
    return documents[f"{name}/c/{index}"].to_bytes()


def _values(column: pa.ChunkedArray, field: pa.Field) -> npt.NDArray[Any]:
    """Return the values of a column, with 0, NaN or "" where there is none."""
    kind = _kind(field.type)
    if kind is str:
        return np.asarray(column.cast(pa.string()).fill_null("").to_numpy(), dtype=object)
    filled = column.fill_null(float("nan") if kind.kind == "f" else kind.type(0).item())
    return np.ascontiguousarray(filled.to_numpy().astype(kind, copy=False))


def _array(found: Any) -> zarr.Array[Any]:
    assert isinstance(found, zarr.Array)
    return found
