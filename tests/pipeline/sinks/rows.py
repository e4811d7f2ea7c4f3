"""Small tables of assignments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.sinks import Layout, OutputRecord, open_sink
from pipeline.sinks.disk import LOCAL, Disk

FORMATS = ("parquet", "zarr", "csv")
NAMES = ("plain", 'comma, "quote"', "line\nbreak", "naïve", "")


def table(n_rows: int = 25, seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    names = [
        None if i % 7 == 3 else f"{NAMES[i % 5]}{i * (i % 5 != 4) or ''}" for i in range(n_rows)
    ]
    columns: dict[str, Any] = {
        "cell": pa.array(names, pa.string()),
        "count": pa.array([None if i % 5 == 1 else i - 3 for i in range(n_rows)], pa.int64()),
        "label": pa.array(rng.integers(0, 3, n_rows), pa.int32()),
        "probability": rng.random(n_rows) ** 0.01,
        "ambiguous": rng.random(n_rows) < 0.5,
    }
    return pa.table(columns)


def schema(rows: pa.Table) -> pa.Schema:
    outputs = ("label", "probability", "ambiguous")
    return pa.schema([f.with_nullable(f.name not in outputs) for f in rows.schema])


def layout(rows: pa.Table, part_rows: int = 10) -> Layout:
    return Layout(schema(rows), rows.num_rows, part_rows)


def pieces(rows: pa.Table, part_rows: int = 10) -> Sequence[tuple[int, pa.Table]]:
    starts = range(0, rows.num_rows, part_rows)
    return [(lo, rows.slice(lo, part_rows)) for lo in starts]


def write(
    kind: str, path: Path, rows: pa.Table, part_rows: int = 10, disk: Disk = LOCAL
) -> OutputRecord:
    sink = open_sink(kind, path, layout(rows, part_rows), disk)
    return sink.commit([sink.write_part(lo, piece) for lo, piece in pieces(rows, part_rows)])
