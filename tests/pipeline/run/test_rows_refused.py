"""Rows that cannot be used are told in words of the source: the file, its row, its identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.pipeline.run.helpers import Workplace
from tests.strategies import clusters


def two_clusters(n: int = 400) -> pd.DataFrame:
    rows, _ = clusters(n, D=2, K=2, seed=0, apart=6.0)
    frame = pd.DataFrame(rows, columns=["x", "y"])
    return frame.assign(name=[f"r{i}" for i in range(n)])


def refused(place: Workplace, frame: pd.DataFrame, kind: str = "csv", **source: Any) -> str:
    getattr(frame, f"to_{kind}")(place.path / f"bad.{kind}", index=False)
    source = {"path": f"bad.{kind}", "columns": ["x", "y"], "id": "name"} | source
    model = {"n_components": 2, "n_init": 1}
    answer = place.call("run", place.config(source=source, model=model))
    assert answer.code == 3, answer.err
    return answer.err


def test_missing_values_where_none_are_allowed(place: Workplace) -> None:
    frame = two_clusters()
    frame.loc[[5, 9], "y"] = np.nan
    said = refused(place, frame, filter="x > -1000")
    assert "2 of 400 rows have no y (first: row 5 of bad.csv (name r5))" in said
    assert "or set model.missing: marginalize" in said


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_impossible_errors_are_told_in_words_of_the_source(place: Workplace, kind: str) -> None:
    """The filter drops the first ten rows: numbers are those of the file."""
    frame = two_clusters().assign(i=np.arange(400), xx=1.0, xy=0.5, yy=1.0)
    frame = frame.rename(columns={"xx": "c_x_x", "xy": "c_x_y", "yy": "c_y_y"})
    noise = {"covariance": "c_{a}_{b}"}
    bad = frame.copy()
    bad.loc[23, "c_y_y"] = -1.0
    said = refused(place, bad, kind, noise=noise, filter="i >= 10")
    assert f"row 23 of bad.{kind}: c_y_y is -1, the error of y" in said
    frame["z"] = 0.0
    three = {f"c_{a}_z": 0.0 for a in "xy"} | {"c_z_z": 1.0}
    frame = frame.assign(**three)
    # each pair is possible, all three together are not: the smallest eigenvalue is -0.6
    frame.loc[31, ["c_x_y", "c_x_z", "c_y_z"]] = [0.8, 0.8, -0.8]
    columns = ["x", "y", "z"]
    said = refused(place, frame, kind, columns=columns, noise=noise, filter="i >= 10")
    assert f"row 31 of bad.{kind} (name r31): its noise is" in said
    assert "positive semi-definite" in said


def test_impossible_weights(place: Workplace) -> None:
    frame = two_clusters().assign(w=1.0)
    frame.loc[12, "w"] = -2.0
    said = refused(place, frame, sample_weight="w")
    assert "row 12 of bad.csv (name r12): sample_weight is -2.0" in said
