"""`PendingTable`: rows that one pass has to rewrite before they can be read by position.

The rewritten rows lie in the scratch folder. They are written aside, then renamed, and used again
as long as their input and the settings are the same.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gmm_dask import Block, RowLayout
from pipeline.sources.files import find_files
from pipeline.sources.ingest import POSITION, Ingest, WiderScan, sync
from pipeline.sources.rowgroups import ParquetReader, row_groups
from pipeline.sources.table import IntArray, RowTable, Table, digest
from pipeline.sources.trouble import DataError, ResourceError, translated

LAYOUT = 1
"""Version of the scratch files: another one is written anew."""

_ROWS, _MARK = "rows.parquet", "ingest.json"


@dataclass(frozen=True, eq=False)
class PendingTable:
    """A `Table` whose rows can be read only after one pass.

    Parameters
    ----------
    work : Ingest
    fingerprint : str
    facts : mapping
    expected : int
        Rows of the input, or an estimate.
    scratch : Path
        Folder that every worker can read.
    """

    work: Ingest
    fingerprint: str
    facts: Mapping[str, Any]
    expected: int
    scratch: Path
    needs_ingest: ClassVar[bool] = True

    @property
    def n_rows(self) -> int:
        """At most, or about, so many rows."""
        return min(self.expected, self.work.spec.limit or self.expected)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of a row."""
        return self.work.wide.names

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Names of the D value columns."""
        return self.work.wide.columns

    @property
    def layout(self) -> RowLayout:
        """Which of the numbers of a row are values, weight and noise."""
        return self.work.wide.layout

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.work.dtype

    @property
    def described(self) -> dict[str, Any]:
        """Facts for the plan and the manifest; what a filter leaves is not known yet."""
        return {
            **self.facts,
            "rows": self.n_rows,
            "rows_exact": self.facts["rows_in_input"] is not None and not self.work.spec.filter,
            "columns": list(self.value_columns),
            "dtype": str(self.dtype),
            "dropped": {},
            **self.work.wide.facts,
        }

    @property
    def dropped(self) -> dict[str, int]:
        """Nothing is known to be dropped yet."""
        return {}

    def read(self, lo: int, hi: int) -> Block:
        """Raise DataError: there is nothing to read yet."""
        self._refuse(lo, hi)

    def identity(self, lo: int, hi: int) -> pa.Table:
        """Raise DataError: there is nothing to read yet."""
        self._refuse(lo, hi)

    def origin_rows(self, lo: int, hi: int) -> IntArray:
        """Raise DataError: there is nothing to read yet."""
        self._refuse(lo, hi)

    def where(self, origin: int) -> str:
        """Return where a row of the original input stands: its file, and its number there."""
        return self.work.where(origin)

    def _refuse(self, lo: int, hi: int) -> NoReturn:
        raise DataError(
            f"rows {lo} to {hi} of {self.work.scan.where} were asked for before ingest(), which "
            "filters them and rewrites them for reading by row"
        )

    @property
    def folder(self) -> Path:
        """Where the rewritten rows go; its name follows from the input and the settings."""
        spec = self.work.spec
        key = digest([LAYOUT, self.fingerprint, spec.labels, spec.id, str(self.dtype)])
        return Path(self.scratch).absolute() / f"ingest-{key[:16]}"

    def ready(self) -> Table | None:
        """Return the table of an earlier ingest of the same input, if there is one."""
        mark, rows = self.folder / _MARK, self.folder / _ROWS
        complete = mark.is_file() and rows.is_file()
        return self._finished(json.loads(mark.read_text())) if complete else None

    def ingest(self) -> Table:
        """Read the input once, write the scratch rows, and return the table over them.

        Raises
        ------
        DataError
            If a row cannot be used, or no row is kept.
        ResourceError
            If the scratch folder cannot be written.
        """
        table = self.ready()
        if table is not None:
            return table
        aside = self.folder.with_name(f"{self.folder.name}.{uuid.uuid4().hex[:8]}")
        try:
            aside.mkdir(parents=True)
            counts = _write(self.work, aside / _ROWS)
            _commit(aside, self.folder, counts)
        except OSError as error:
            raise ResourceError(f"{self.scratch}: cannot be written: {error}") from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return self._finished(counts)

    def _finished(self, counts: Mapping[str, Any]) -> Table:
        path = str(self.folder / _ROWS)
        (file,) = find_files([path], {}, (".parquet",), "parquet")
        with translated(file.shown, "a parquet file"), pq.ParquetFile(path) as parquet:
            footer, schema = parquet.metadata, parquet.schema_arrow
        sizes = [footer.row_group(g).num_rows for g in range(footer.num_row_groups)]
        reader = ParquetReader(
            row_groups([file], [sizes], schema),
            self.work.stored_columns,
            self.dtype,
            self.work.stored_labels,
            int(counts["seen"]),
            POSITION,
        )
        return RowTable(
            reader,
            self.work.wide,
            self.dtype,
            self.fingerprint,
            self.facts,
            counts["dropped"],
            bool(self.work.spec.id),
            made=True,
        )


def _write(work: Ingest, path: Path) -> dict[str, Any]:
    while True:
        try:
            return work.write(path)
        except WiderScan as wider:
            work = replace(work, scan=wider.scan)


def _commit(aside: Path, folder: Path, counts: Mapping[str, Any]) -> None:
    (aside / _MARK).write_text(json.dumps(counts))
    sync(aside / _MARK)
    try:
        aside.rename(folder)
    except OSError:
        # another process wrote the same rows first, or a part of them is lost
        if (folder / _MARK).is_file() and (folder / _ROWS).is_file():
            return
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)


def opened(table: PendingTable) -> Table:
    """Return the rewritten rows where they are there already, else the table that awaits them."""
    table.work.try_filter()
    return table.ready() or table
