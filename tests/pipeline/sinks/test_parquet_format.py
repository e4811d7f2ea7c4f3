from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from .rows import table, write


def test_other_readers_see_one_table(tmp_path: Path) -> None:
    rows = table()
    write("parquet", tmp_path / "assignments", rows)
    names = sorted(path.name for path in (tmp_path / "assignments").iterdir())
    assert names == [f"part-00000{i}.parquet" for i in range(3)]
    found = ds.dataset(tmp_path / "assignments").to_table()
    assert found.to_pydict() == rows.to_pydict()
    frame = pd.read_parquet(tmp_path / "assignments")
    assert list(frame.columns) == ["cell", "count", "label", "probability", "ambiguous"]
    assert frame.probability.tolist() == rows.column("probability").to_pylist()


def test_each_part_says_which_rows_it_holds(tmp_path: Path) -> None:
    write("parquet", tmp_path / "assignments", table())
    metadata = pq.read_schema(tmp_path / "assignments" / "part-000002.parquet").metadata
    assert json.loads(metadata[b"gmm_dask"]) == {
        "output": "assignments",
        "rows": [20, 25],
        "of": 25,
    }
