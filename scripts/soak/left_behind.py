"""What a killed driver leaves must be whole: manifest, checkpoints, outputs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import zarr
from cases import ROWS

from gmm_dask import GaussianMixture
from gmm_dask.errors import GmmDaskError
from gmm_dask.state import CODEC
from gmm_dask.store.files import LOCAL
from gmm_dask.store.marker import parse
from gmm_dask.store.trees import get_files
from pipeline.run.status import status

UNREADABLE, HALF = "unreadable checkpoints", "half-written outputs"


def damage(run: Path) -> Iterator[tuple[str, str]]:
    """Yield what is damaged in the folder of a run, by kind, with a note."""
    for marker in sorted((run / "checkpoints" / "commits").glob("*.json")):
        try:
            found = parse(marker.read_bytes(), marker.name, CODEC.limits)
            get_files(run / "checkpoints" / "data" / found.data, found.manifest, LOCAL)
        except (GmmDaskError, OSError) as error:
            yield UNREADABLE, f"{marker.name}: {error}"
    for name, read in READERS.items():
        if (run / name).exists():
            try:
                read(run / name)
            except Exception as error:
                yield HALF, f"{name}: {type(error).__name__}: {error}"


def is_finished(run: Path) -> bool:
    """Return whether the gate for schedulers lets the run pass: every hash is right."""
    code, _, _ = status(str(run), "finished")
    return code == 0


def _manifest(path: Path) -> None:
    json.loads(path.read_text())


def _assignments(path: Path) -> None:
    """Count the rows of whatever format there is."""
    if (path / "zarr.json").exists():
        group = zarr.open_group(path, mode="r")
        rows = {int(array.shape[0]) for _, array in group.arrays()}
    elif csv_files := sorted(path.glob("*.csv")):
        rows = {sum(len(file.read_bytes().splitlines()) - 1 for file in csv_files)}
    else:
        rows = {pq.read_table(path).num_rows}
    if rows != {ROWS}:
        raise ValueError(f"{sorted(rows)} rows instead of {ROWS}")


def _table(path: Path) -> None:
    with path.open(newline="") as file:
        widths = {len(row) for row in csv.reader(file)}
    if len(widths) != 1:
        raise ValueError("a line is cut")


READERS = {
    "run.json": _manifest,
    "model.zarr": GaussianMixture.load,
    "candidates.csv": _table,
    "assignments": _assignments,
}
