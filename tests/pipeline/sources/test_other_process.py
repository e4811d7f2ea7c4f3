"""A worker gets a pickle, and must find the rows with nothing else."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from pipeline.sources import SourceSpec, open_table

from .inputs import WRITERS, frame

WORKER = """
import pickle, sys
tables = pickle.loads(sys.stdin.buffer.read())
found = {kind: (table.read(40, 300).values, table.identity(40, 43).to_pydict())
         for kind, table in tables.items()}
sys.stdout.buffer.write(pickle.dumps(found))
"""


def test_tables_are_read_in_a_process_that_has_only_the_pickle(tmp_path: Path) -> None:
    rows = frame()
    tables = {"builtin": open_table(SourceSpec("builtin:digits"), tmp_path)}
    for kind, write in WRITERS.items():
        folder = tmp_path / kind
        folder.mkdir()
        tables[kind] = open_table(write(folder, rows), folder / "scratch").ingest()
    answer = subprocess.run(
        [sys.executable, "-c", WORKER],
        input=pickle.dumps(tables),
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    )
    found = pickle.loads(answer.stdout)
    assert found["builtin"][0].shape == (260, 64)
    for kind in WRITERS:
        values, identity = found[kind]
        np.testing.assert_array_equal(values, rows[["c", "a", "b"]].to_numpy(float)[40:300])
        assert identity == tables[kind].identity(40, 43).to_pydict()
