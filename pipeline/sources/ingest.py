"""One streaming pass that turns awkward rows (CSV, filtered, huge row groups) into clean ones.

The result is a parquet file: values as float columns, the identity, the position in the original
input, row groups of one size.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sources.describe import place
from pipeline.sources.filters import parse
from pipeline.sources.masks import decide
from pipeline.sources.numeric import plain, table_values
from pipeline.sources.spec import SourceSpec
from pipeline.sources.table import IntArray
from pipeline.sources.trouble import DataError, ResourceError
from pipeline.sources.wide import Wide

GROUP_BYTES = 4 * 2**20
POSITION = "position"


@dataclass(frozen=True)
class Chunk:
    """A run of original rows on its way in.

    Parameters
    ----------
    head : pyarrow.Table
        The columns of the filter (or all).
    load : callable
        Returns the value and label columns of the same rows; not called if none is kept.
    """

    head: pa.Table
    load: Callable[[], pa.Table]


class WiderScan(Exception):  # noqa: N818
    """Raised by a scan that met a value its types cannot hold: start over with `scan`."""

    def __init__(self, scan: Scan) -> None:
        super().__init__("the types of the first rows do not hold later ones")
        self.scan = scan


class Scan(Protocol):
    """All rows of an input, once, in order."""

    @property
    def where(self) -> str:
        """The input, for messages."""
        ...

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Types of the columns that the chunks will have."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows in chunks of bounded size."""
        ...


@dataclass(frozen=True, eq=False)
class Ingest:
    """What is read and how it is stored.

    Parameters
    ----------
    scan : Scan
    spec : SourceSpec
    wide : Wide
        How a row is made of the columns that are read.
    dtype : float32 or float64
    file_rows : tuple of (file, rows)
        Where there are several and their rows are known.
    """

    scan: Scan
    spec: SourceSpec
    wide: Wide
    dtype: np.dtype[Any]
    file_rows: tuple[tuple[str, int], ...] = ()

    def where(self, origin: int) -> str:
        """Return where a row of the input stands: its file, and its number there."""
        return place(self.scan.where, self.file_rows, origin)

    @property
    def stored_columns(self) -> tuple[str, ...]:
        """Names of the numbers of a row as stored: a column may be value and label at once."""
        return tuple(f"v{j}" for j in range(self.wide.layout.width))

    @property
    def stored_labels(self) -> tuple[tuple[str, str], ...]:
        """Names of the id and carried columns, as stored and as shown."""
        return tuple((f"i{j}", name) for j, name in enumerate(self.spec.labels))

    @property
    def schema(self) -> pa.Schema:
        """Types as stored."""
        floats = [(name, pa.from_numpy_dtype(self.dtype)) for name in self.stored_columns]
        labels = [(stored, plain(self.scan.types[name])) for stored, name in self.stored_labels]
        return pa.schema([*floats, *labels, (POSITION, pa.int64())])

    def try_filter(self) -> None:
        """Apply the filter to no rows, so that a type that does not fit shows before any pass."""
        if self.spec.filter:
            condition = parse(self.spec.filter)
            fields = {name: self.scan.types[name] for name in condition.columns}
            decide(condition, pa.schema(fields).empty_table(), self.spec.sentinels)

    def write(self, path: Path) -> dict[str, Any]:
        """Read the input once and write the kept rows.

        Returns
        -------
        dict
            ``seen`` and ``kept`` rows, and those ``dropped`` by reason.

        Raises
        ------
        DataError
            If a row cannot be used, or none is kept.
        ResourceError
            If the rows cannot be stored.
        """
        dropped: Counter[str] = Counter()
        seen = kept = 0
        try:
            with pq.ParquetWriter(path, self.schema, **self._encoding()) as writer:
                uniform = _Uniform(writer, self.schema, _group_rows(self.wide.layout.width))
                for rows, rows_seen, reasons in self._kept():
                    dropped.update(reasons)
                    seen += rows_seen
                    kept += rows.num_rows
                    uniform.add(rows)
                uniform.finish()
            sync(path)
        except OSError as error:
            raise ResourceError(f"{path.parent}: cannot store the filtered rows: {error}") from None
        if not kept:
            raise DataError(self._nothing_kept(seen, dropped))
        return {"seen": seen, "kept": kept, "dropped": dict(dropped)}

    def _kept(self) -> Iterator[tuple[pa.Table, int, Mapping[str, int]]]:
        condition = parse(self.spec.filter) if self.spec.filter else None
        start, left = 0, self.spec.limit
        for chunk in self.scan.chunks():
            verdict = decide(condition, chunk.head, self.spec.sentinels, left)
            rows = self.schema.empty_table()
            if len(verdict.kept):
                rows = self._clean(chunk.load(), verdict.kept, start)
            yield rows, verdict.seen, verdict.dropped
            start += chunk.head.num_rows
            left = None if left is None else left - len(verdict.kept)
            if left == 0:
                return

    def _clean(self, rows: pa.Table, kept: IntArray, start: int) -> pa.Table:
        """Return kept rows as they are stored."""
        rows, origin = rows.take(kept), kept + start
        values = table_values(self.scan.where, rows, self.wide.read, self.dtype, origin)
        for sentinel in self.spec.sentinels:
            values[values == self.dtype.type(sentinel)] = np.nan
        values = self.wide.made(values, self.where, origin)
        # copies: a column of a C ordered matrix is strided
        floats = [pa.array(np.ascontiguousarray(column)) for column in values.T]
        labels = [rows.column(name) for name in self.spec.labels]
        arrays = [*floats, *labels, pa.array(origin)]
        columns = [a.cast(kind) for a, kind in zip(arrays, self.schema.types, strict=True)]
        return pa.table(columns, schema=self.schema)

    def _encoding(self) -> dict[str, Any]:
        """Floats are stored plain, as they hardly compress and are read in every pass."""
        labels = [stored for stored, _ in self.stored_labels]
        codec = dict.fromkeys(self.schema.names, "none") | dict.fromkeys(labels, "zstd")
        return {"compression": codec, "use_dictionary": labels or False, "write_statistics": False}

    def _nothing_kept(self, seen: int, dropped: Mapping[str, int]) -> str:
        if not seen:
            return f"source: {self.scan.where} has no rows"
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        return f"source.filter: {self.spec.filter!r} keeps none of {seen} rows ({reasons})"


def _group_rows(n_columns: int) -> int:
    """Rows of a row group: some megabytes, so that a block reads little beside its own rows."""
    return int(np.clip(GROUP_BYTES // (8 * n_columns), 1024, 2**17))


class _Uniform:
    """Cuts what comes into row groups of one size."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema, size: int) -> None:
        self._writer, self._size, self._waiting = writer, size, schema.empty_table()

    def add(self, rows: pa.Table) -> None:
        self._waiting = pa.concat_tables([self._waiting, rows])
        full = self._waiting.num_rows // self._size * self._size
        for lo in range(0, full, self._size):
            self._writer.write_table(self._waiting.slice(lo, self._size), self._size)
        self._waiting = self._waiting.slice(full)

    def finish(self) -> None:
        if self._waiting.num_rows:
            self._writer.write_table(self._waiting, self._size)


def sync(path: Path) -> None:
    """Make what was written survive a crash of the machine."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
