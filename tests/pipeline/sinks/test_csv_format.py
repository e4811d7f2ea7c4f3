from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from gmm_dask import DataError
from pipeline.sinks import Layout, open_sink, read_output

from .rows import table, write


def test_one_file_with_a_header_that_other_readers_read(tmp_path: Path) -> None:
    rows = table()
    write("csv", tmp_path / "assignments", rows)
    assert [path.name for path in (tmp_path / "assignments").iterdir()] == ["assignments.csv"]
    with (tmp_path / "assignments" / "assignments.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert lines[0] == rows.column_names
    cells = [cell or "" for cell in rows.column("cell").to_pylist()]
    assert [line[0] for line in lines[1:]] == cells
    probabilities = rows.column("probability").to_pylist()
    assert [float(line[3]) for line in lines[1:]] == probabilities
    frame = pd.read_csv(tmp_path / "assignments" / "assignments.csv")
    assert frame.ambiguous.tolist() == rows.column("ambiguous").to_pylist()
    assert frame["count"].isna().tolist() == rows.column("count").is_null().to_pylist()


def test_a_header_of_awkward_names(tmp_path: Path) -> None:
    rows = table().rename_columns(["FSC-A, raw", 'a "b"', "label", "probability", "ambiguous"])
    write("csv", tmp_path / "assignments", rows)
    frame = pd.read_csv(tmp_path / "assignments" / "assignments.csv")
    assert list(frame.columns) == rows.column_names


def test_lists_have_no_place_in_csv(tmp_path: Path) -> None:
    layout = Layout(pa.schema([("spectrum", pa.list_(pa.float64()))]), 10, 10)
    with pytest.raises(DataError, match="csv cannot hold spectrum"):
        open_sink("csv", tmp_path / "assignments", layout)
    assert list(tmp_path.iterdir()) == []


def test_a_long_file_whose_texts_hold_line_breaks(tmp_path: Path) -> None:
    n_rows = 40_000
    rows = pa.table(
        {
            "cell": [f'line {i}\n"1,{i}",\n' + "x" * (i % 50) for i in range(n_rows)],
            "label": pa.array([i % 7 for i in range(n_rows)], pa.int32()),
            "probability": [1 / (1 + i) for i in range(n_rows)],
        }
    )
    record = write("csv", tmp_path / "assignments", rows, part_rows=9000)
    assert (tmp_path / "assignments" / "assignments.csv").stat().st_size > 2 * 2**20
    pieces = list(read_output(record, ["label", "probability"]))
    assert len(pieces) > 1
    assert pa.concat_tables(pieces).equals(rows.select(["label", "probability"]))
