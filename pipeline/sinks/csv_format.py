"""Assignments as one CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from gmm_dask import DataError
from pipeline.sinks.disk import Disk
from pipeline.sinks.layout import Layout
from pipeline.sinks.records import PartRecord

FILE = "assignments.csv"


@dataclass(frozen=True)
class CsvFormat:
    """A folder with one file, ``assignments.csv``: UTF-8, a header, commas.

    Floats have as many digits as they need to be read back exactly. A missing value is an empty
    field, an empty text is ``""``. Workers write parts, which are joined in order at the end.
    """

    name: str = "csv"

    def check(self, layout: Layout) -> None:
        """Raise DataError for a column of lists or records."""
        for field in layout.schema:
            if pa.types.is_nested(field.type):
                raise DataError(
                    f"output.format: csv cannot hold {field.name} ({field.type}); "
                    "use parquet, or leave the column out of source.carry"
                )

    def head(self, layout: Layout) -> Mapping[str, bytes]:  # noqa: ARG002
        """Return nothing: the header is written when the parts are joined."""
        return {}

    def folders(self, layout: Layout) -> Sequence[str]:  # noqa: ARG002
        """Return nothing: all parts lie in one folder."""
        return ()

    def part(self, layout: Layout, index: int, table: pa.Table) -> Mapping[str, bytes]:  # noqa: ARG002
        """Return the lines of one part, without a header."""
        stream = pa.BufferOutputStream()
        options = pacsv.WriteOptions(include_header=False, quoting_style="needed")
        pacsv.write_csv(table, stream, options)
        return {f"part-{index:06d}.csv": stream.getvalue().to_pybytes()}

    def finish(self, disk: Disk, folder: Path, layout: Layout, parts: Sequence[PartRecord]) -> None:
        """Join the parts, and delete them."""
        sources = [folder / item.name for part in parts for item in part.files]
        disk.join(sources, folder / FILE, _line(layout.schema.names))
        for source in sources:
            disk.delete(source)

    def recognises(self, folder: Path) -> bool:
        """Return whether the folder holds the one file and nothing else."""
        return [path.name for path in folder.iterdir()] == [FILE]

    def read(self, folder: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows in order."""
        types = {"label": pa.int32(), "second_label": pa.int32()}
        numbers = {name: pa.float64() for name in columns if name not in types}
        options = pacsv.ConvertOptions(
            include_columns=list(columns), column_types={**numbers, **types}
        )
        parse = pacsv.ParseOptions(newlines_in_values=True)
        with pacsv.open_csv(folder / FILE, parse_options=parse, convert_options=options) as rows:
            for batch in rows:
                yield pa.Table.from_batches([batch])


def _line(names: Sequence[str]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow(names)
    return stream.getvalue().encode()
