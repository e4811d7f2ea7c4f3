"""One bad input of each kind through the installed program: its exit code, and a sentence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from tests.end_to_end.program import DEADLINE, PROGRAM
from tests.faults.bad import configs
from tests.faults.bad.case import csv_of, npy_bytes, npy_of, parquet_bytes, zarr_of
from tests.faults.bad.place import Answer, check, check_runs, folder, write_config
from tests.faults.bad.runs import Finished
from tests.faults.bad.tables import plain_table
from tests.faults.bad.values import good_rows

ROWS = good_rows(40, 2, 0)
HOLES = np.where(np.arange(40)[:, None] == 7, np.nan, ROWS)
TEXT = parquet_bytes(plain_table(40).append_column("c", pa.array(["x"] * 40)))
BIG = npy_bytes(np.array([[2**53 + 1, 1], [2, 3]]))
LOST = {name: raw for name, raw in zarr_of(ROWS).items() if name != "rows.zarr/c/1/0"}
NPY = {"path": "rows.npy"}

INPUTS: dict[str, tuple[str, dict[str, bytes], dict[str, Any], int, str]] = {
    "no such file": ("plan", {}, {"path": "rows.csv"}, 3, "rows.csv"),
    "cut short": ("plan", {"rows.npy": npy_bytes(ROWS)[:-9]}, NPY, 3, "is cut short"),
    "no parquet": ("plan", {"r.parquet": b"x" * 99}, {"path": "r.parquet"}, 3, "r[.]parquet"),
    "ragged": (
        "plan",
        {"r.csv": b"a,b\n1,2\n1,2,3\n"},
        {"path": "r.csv"},
        3,
        "line 3 has 3 fields",
    ),
    "named text": ("plan", {"r.parquet": TEXT}, {"path": "r.parquet", "columns": ["c"]}, 3, "text"),
    "no filter": ("plan", npy_of(ROWS), {**NPY, "filter": "x0 <"}, 2, "source.filter"),
    "a lost chunk": ("plan", LOST, {"path": "rows.zarr"}, 3, "rows.zarr"),
    "three dimensions": ("plan", npy_of(ROWS[None]), NPY, 3, r"shape \(1, 40, 2\)"),
    "complex": ("plan", npy_of(ROWS + 1j), NPY, 3, "complex numbers"),
    "holes": ("run", csv_of(HOLES), {"path": "rows.csv"}, 3, "1 of 40 rows have no x0"),
    "constant": ("run", npy_of(ROWS * [1, 0]), NPY, 3, "constant: x1"),
    "too few": ("run", npy_of(ROWS[:1]), NPY, 3, "n_samples = 1"),
    "units": ("run", npy_of(ROWS * [1, 1e300]), NPY, 3, "float64 cannot hold: x1 from"),
    "whole numbers": ("run", {"rows.npy": BIG}, NPY, 3, "x0 holds 9007199254740993 in row 0"),
}


def program(*words: str) -> Answer:
    """Run the installed program in the current folder."""
    done = subprocess.run(
        [str(PROGRAM), *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    return Answer(done.returncode, done.stdout, done.stderr, ())


@pytest.mark.parametrize("what", INPUTS)
def test_bad_data(cluster: dict[str, Any], what: str) -> None:
    command, files, source, code, told = INPUTS[what]
    with folder():
        for name, raw in files.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(raw)
        answer = program(command, write_config(Path("c.yaml"), cluster, source=source))
        check(answer, (code,), told)
        assert "Warning" not in answer.err
        check_runs(answer)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"source: {path: x}\nmodel: {n_component: 3}", "c.yaml:2: model.n_component: no such key"),
        (b"source: {path: x}\nmodel: {n_components: 2}\n\xff", "c.yaml:3: not UTF-8"),
        (configs.BOMB.encode(), "more than 100"),
        (b"source: !!python/object/apply:os.system ['touch hacked']", "tags such as"),
    ],
)
def test_bad_configurations(raw: bytes, told: str) -> None:
    with folder():
        Path("c.yaml").write_bytes(raw)
        check(program("validate", "c.yaml"), (2,), told)
        assert [item.name for item in Path().iterdir()] == ["c.yaml"]


def test_a_scheduler_that_is_not_there() -> None:
    nobody = {"type": "address", "address": "tcp://127.0.0.1:1", "timeout": "2s"}
    with folder():
        Path("rows.npy").write_bytes(npy_bytes(ROWS))
        answer = program("run", write_config(Path("c.yaml"), nobody, source=NPY))
        check(answer, (4,), "no scheduler answers at tcp://127.0.0.1:1 within 2 s")
        check_runs(answer)


def test_a_damaged_model(tmp_path: Path, cluster: dict[str, Any]) -> None:
    run = Finished.make(tmp_path, cluster)
    name = next(name for name in run.names("runs/c/model.zarr") if "/c/" in name)
    raw = run.files[name]
    with run.changed({name: raw[:-1] + bytes([raw[-1] ^ 1])}):
        answer = program("predict", "runs/c", "rows.parquet", "--out", "out")
        check(answer, (3,), "model.zarr")
        assert not Path("out").exists()
        assert not Path("out.json").exists()


def test_configurations_are_written_as_they_are_read(cluster: dict[str, Any]) -> None:
    """The helper itself: what these tests hand in is a good configuration but for what is bad."""
    with folder():
        Path("rows.npy").write_bytes(npy_bytes(ROWS))
        config = write_config(Path("c.yaml"), cluster, source=NPY)
        assert yaml.safe_load(Path(config).read_text())["source"] == NPY
        answer = program("run", config)
        assert answer.code == 0, answer.err
        check_runs(answer)
