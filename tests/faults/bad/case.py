"""A malformed input: the bytes of its files, how it is asked for, and what must be said."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.bad.place import CODES, REFUSED, ask, check, check_runs, folder, write_config

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One malformed input.

    Parameters
    ----------
    what : str
        Shown where a test fails.
    files : mapping of path to bytes
    source, model : mapping
        Sections of the configuration.
    codes : tuple of int
        What `run` may answer; `plan`, which reads no row, may find nothing wrong.
    told : str
        Regular expression of what an error of `run` must name.
    """

    what: str
    files: Mapping[str, bytes] = field(repr=False)
    source: Mapping[str, Any]
    model: Mapping[str, Any] = field(default_factory=dict)
    codes: tuple[int, ...] = CODES
    told: str = ""

    def write(self) -> None:
        """Write the files into the current folder."""
        for name, content in self.files.items():
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def attempt(self, cluster: dict[str, Any]) -> None:
        """Plan and run this input in a fresh folder; fail if an answer is not as it must be."""
        with folder():
            self.write()
            sections = {"source": dict(self.source), "model": dict(self.model)}
            config = write_config(Path("c.yaml"), cluster, **sections)
            planned = ask("plan", config)
            check(planned, (0, *REFUSED))
            done = ask("run", config)
            check(done, self.codes, self.told)
            check_runs(done)


def names_of(n_columns: int) -> list[str]:
    """Return the names that arrays without names get, for all formats alike."""
    return [f"x{j}" for j in range(n_columns)]


def parquet_bytes(table: pa.Table, group: int | None = None) -> bytes:
    """Return a parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=group)
    return bytes(sink.getvalue())


def parquet_of(rows: Array) -> dict[str, bytes]:
    """Return rows as parquet files."""
    columns = dict(zip(names_of(rows.shape[1]), np.ascontiguousarray(rows.T), strict=True))
    return {"rows.parquet": parquet_bytes(pa.table(columns), 17)}


def csv_of(rows: Array) -> dict[str, bytes]:
    """Return rows as text files; numbers to the last digit."""
    lines = [",".join(names_of(rows.shape[1])), *(",".join(map(repr, r)) for r in rows.tolist())]
    return {"rows.csv": "\n".join(lines).encode()}


def npy_bytes(values: Array) -> bytes:
    """Return an npy file."""
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def npy_of(rows: Array) -> dict[str, bytes]:
    """Return rows as an npy file."""
    return {"rows.npy": npy_bytes(rows)}


def zarr_of(rows: Array, step: int = 17) -> dict[str, bytes]:
    """Return rows as a store of zarr format 3, not compressed."""
    meta = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(rows.shape),
        "data_type": str(rows.dtype),
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [step, rows.shape[1]]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {},
    }
    files = {"rows.zarr/zarr.json": json.dumps(meta).encode()}
    for index, lo in enumerate(range(0, len(rows), step)):
        part = rows[lo : lo + step]
        whole = np.zeros((step, rows.shape[1]), rows.dtype)
        whole[: len(part)] = part
        files[f"rows.zarr/c/{index}/0"] = whole.tobytes()
    return files


def zarr2_of(rows: Array, step: int = 17) -> dict[str, bytes]:
    """Return rows as a store of zarr format 2, not compressed."""
    meta = {
        "zarr_format": 2,
        "shape": list(rows.shape),
        "chunks": [step, rows.shape[1]],
        "dtype": rows.dtype.str,
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
    }
    parts = {name: raw for name, raw in zarr_of(rows, step).items() if "/c/" in name}
    renamed = {f"rows.zarr/{name.split('/')[2]}.0": raw for name, raw in parts.items()}
    return {"rows.zarr/.zarray": json.dumps(meta).encode(), **renamed}


FORMATS = {
    "parquet": parquet_of,
    "csv": csv_of,
    "npy": npy_of,
    "zarr": zarr_of,
    "zarr2": zarr2_of,
}


def path_of(files: Mapping[str, bytes]) -> str:
    """Return the path that names all the files: the one, or their folder."""
    tops: Sequence[str] = sorted({name.partition("/")[0] for name in files})
    assert len(tops) == 1, tops
    return tops[0]
