"""Assignments as a folder of parquet files, one per part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.sinks.disk import Disk
from pipeline.sinks.layout import Layout
from pipeline.sinks.records import PartRecord

BATCH_ROWS = 65_536
MARK = b"gmm_dask"


@dataclass(frozen=True)
class ParquetFormat:
    """A folder of ``part-000000.parquet``, ...: read it as one table with any parquet reader."""

    name: str = "parquet"

    def check(self, layout: Layout) -> None:
        """Accept every type of Arrow."""

    def head(self, layout: Layout) -> Mapping[str, bytes]:  # noqa: ARG002
        """Return nothing: a part stands for itself."""
        return {}

    def folders(self, layout: Layout) -> Sequence[str]:  # noqa: ARG002
        """Return nothing: all parts lie in one folder."""
        return ()

    def part(self, layout: Layout, index: int, table: pa.Table) -> Mapping[str, bytes]:
        """Return one parquet file, its place in the whole written into its metadata."""
        lo, hi = layout.span(index)
        place = json.dumps({"output": "assignments", "rows": [lo, hi], "of": layout.n_rows})
        marked = table.replace_schema_metadata({MARK: place.encode()})
        stream = pa.BufferOutputStream()
        pq.write_table(marked, stream, compression="zstd", write_page_checksum=True)
        return {f"part-{index:06d}.parquet": stream.getvalue().to_pybytes()}

    def finish(self, disk: Disk, folder: Path, layout: Layout, parts: Sequence[PartRecord]) -> None:
        """Do nothing: the parts are the output."""

    def recognises(self, folder: Path) -> bool:
        """Return whether all files are parts that carry the mark."""
        names = [path.name for path in folder.iterdir()]
        if not names or not all(n.startswith("part-") and n.endswith(".parquet") for n in names):
            return False
        try:
            metadata = pq.read_schema(folder / min(names)).metadata
        except (OSError, pa.ArrowInvalid):
            return False
        return MARK in (metadata or {})

    def read(self, folder: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows in order."""
        for path in sorted(folder.glob("part-*.parquet")):
            with pq.ParquetFile(path) as part:
                for batch in part.iter_batches(BATCH_ROWS, columns=list(columns)):
                    yield pa.Table.from_batches([batch]).select(list(columns))
