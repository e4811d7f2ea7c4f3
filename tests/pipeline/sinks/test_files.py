from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gmm_dask import ResourceError
from pipeline.sinks import write_candidates_csv, write_json_atomic

from .crashes import Crash, CrashingDisk


@dataclass(frozen=True)
class Point:
    x: float
    where: Path


def test_json_of_what_a_run_holds(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    value = {
        "a": np.float64(0.1),
        "b": (np.int32(3), [np.bool_(True)]),
        "c": np.array([[1.5, np.nan], [np.inf, -0.0]]),
        "d": Point(float("nan"), Path("x/y")),
        "e": "naïve",
        5: None,
    }
    write_json_atomic(path, value)
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "naïve" in text
    assert json.loads(text) == {
        "a": 0.1,
        "b": [3, [True]],
        "c": [[1.5, None], [None, -0.0]],
        "d": {"x": None, "where": "x/y"},
        "e": "naïve",
        "5": None,
    }


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json_atomic(path, {"old": 1})
    with pytest.raises(TypeError, match="object has no form in JSON"):
        write_json_atomic(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_every_operation(torn: bool, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    disk = CrashingDisk()
    write_json_atomic(path, {"version": "old"}, disk)
    assert disk.count == 3
    for at in range(disk.count):
        with pytest.raises(Crash):
            write_json_atomic(path, {"version": "new"}, CrashingDisk(at, torn))
        assert json.loads(path.read_text())["version"] in ("old", "new")


def test_candidates_read_back_exactly(tmp_path: Path) -> None:
    rows = [
        {"K": 2, "type": "full", "bic": np.float64(1 / 3), "note": 'a, "b"', "chosen": True},
        {"K": np.int64(3), "type": "diag", "bic": float("nan"), "held_out": -1e300, "note": None},
    ]
    write_candidates_csv(rows, tmp_path / "candidates.csv")
    found = pd.read_csv(tmp_path / "candidates.csv", float_precision="round_trip")
    assert list(found.columns) == ["K", "type", "bic", "note", "chosen", "held_out"]
    assert found.bic[0] == 1 / 3
    assert found.held_out[1] == -1e300
    assert found.note[0] == 'a, "b"'
    assert found.isna().to_numpy().sum() == 4
    with (tmp_path / "candidates.csv").open(newline="") as stream:
        assert next(csv.reader(stream))[0] == "K"


def test_no_candidates_are_an_empty_table(tmp_path: Path) -> None:
    write_candidates_csv([], tmp_path / "candidates.csv")
    assert (tmp_path / "candidates.csv").read_text().strip() == ""


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match=r"run\.json cannot be written: .*errno"):
        write_json_atomic(tmp_path / "file" / "run.json", {})
