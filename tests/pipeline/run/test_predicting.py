"""`predict`: new rows, matched by name, labelled as the library would."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gmm_dask import GaussianMixture
from tests.pipeline.run.helpers import Workplace, write_rows

pytestmark = pytest.mark.cluster


@pytest.fixture
def fitted(place: Workplace) -> Workplace:
    assert place.call("run", place.config()).code == 0
    write_rows(place.path / "new.csv", n=300, seed=9)
    return place


def labels(folder: str) -> pd.DataFrame:
    return pq.read_table(folder).to_pandas()


def test_new_rows_get_the_models_labels_and_their_own_names(fitted: Workplace) -> None:
    answer = fitted.call("predict", "runs/fit", "new.csv", "--out", "labels")
    assert answer.code == 0, answer.err
    assert "300 rows written labels (parquet: name label probability log_density)" in answer.out
    found = labels("labels")
    model = GaussianMixture.load("runs/fit/model.zarr")
    rows = pd.read_csv("new.csv")
    assert found["name"].tolist() == rows["name"].tolist()
    assert np.array_equal(found["label"], model.predict(rows[["x", "y"]]))
    assert np.allclose(found["log_density"], model.score_samples(rows[["x", "y"]]), rtol=1e-12)
    assert np.allclose(found["probability"], model.predict_proba(rows[["x", "y"]]).max(axis=1))
    facts = json.loads(Path("labels.json").read_text())
    assert facts["rows"] == sum(facts["label_counts"]) == 300
    assert not list(Path().glob(".labels*"))  # nothing is left of the reading


def test_columns_are_matched_by_name(fitted: Workplace) -> None:
    fitted.call("predict", "runs/fit", "new.csv", "--out", "a")
    write_rows(fitted.path / "turned.csv", n=300, seed=9, columns="y,name,x")
    answer = fitted.call("predict", "fit.yaml", "turned.csv", "--out", "b")
    assert answer.code == 0, answer.err
    pd.testing.assert_frame_equal(labels("a"), labels("b"))


def test_missing_columns_are_named(fitted: Workplace) -> None:
    write_rows(fitted.path / "narrow.csv", columns="name,x")
    answer = fitted.call("predict", "runs/fit", "narrow.csv", "--out", "b")
    assert answer.code == 3
    assert "narrow.csv has no y; it has name, x" in answer.err
    write_rows(fitted.path / "nameless.csv", columns="x,y")
    answer = fitted.call("predict", "runs/fit", "nameless.csv", "--out", "b")
    assert answer.code == 3
    assert "source.id: nameless.csv has no name" in answer.err
    free = ("--set", "source.id=null")
    assert fitted.call("predict", "runs/fit", "nameless.csv", "--out", "b", *free).code == 0
    assert list(labels("b").columns) == ["row", "label", "probability", "log_density"]


def test_another_format_and_several_files(fitted: Workplace) -> None:
    rows = pd.read_csv("new.csv")
    rows[:100].to_parquet("part0.parquet")
    rows[100:].to_parquet("part1.parquet")
    parts = ("part0.parquet", "part1.parquet")
    answer = fitted.call("predict", "runs/fit", *parts, "--out", "b")
    assert answer.code == 0, answer.err
    fitted.call("predict", "runs/fit", "new.csv", "--out", "a")
    pd.testing.assert_frame_equal(labels("a"), labels("b"))


def test_a_transform_is_applied(place: Workplace) -> None:
    transform = [{"arcsinh": {"cofactor": 2}}, "standardize"]
    assert place.call("run", place.config(transform=transform)).code == 0
    answer = place.call("predict", "runs/fit", "rows.csv", "--out", "again")
    assert answer.code == 0, answer.err
    pd.testing.assert_frame_equal(labels("again"), labels("runs/fit/assignments"))


def test_a_trial_limit_of_the_run_does_not_cut_new_rows(place: Workplace) -> None:
    assert place.call("run", place.config(), "--set", "source.limit=200").code == 0
    place.call("predict", "runs/fit", "rows.csv", "--out", "all")
    assert len(labels("all")) == 600
    limit = ("--set", "source.limit=5")
    assert place.call("predict", "runs/fit", "rows.csv", "--out", "few", *limit).code == 0
    assert len(labels("few")) == 5


def test_rows_that_the_filter_drops_are_said(place: Workplace) -> None:
    section = {"path": "rows.csv", "columns": ["x", "y"], "id": "name", "filter": "x > 0"}
    assert place.call("run", place.config(source=section)).code == 0
    answer = place.call("predict", "runs/fit", "rows.csv", "--out", "some", "--json")
    dropped = sum(answer.json["dropped"].values())
    assert dropped > 0
    assert answer.json["rows"] + dropped == 600
    answer = place.call("predict", "runs/fit", "rows.csv", "--out", "some")
    assert f"left out {dropped:,} rows: " in answer.out


def test_a_row_without_a_value_is_named(fitted: Workplace) -> None:
    lines = Path("new.csv").read_text().splitlines()
    lines[42] = "r41,,0.5"
    Path("holes.csv").write_text("\n".join(lines))
    answer = fitted.call("predict", "runs/fit", "holes.csv", "--out", "b")
    assert answer.code == 3
    assert not Path("b").exists()
    assert "41" in answer.err


def test_what_was_there_is_not_replaced(fitted: Workplace) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("...")
    answer = fitted.call("predict", "runs/fit", "new.csv", "--out", "mine")
    assert answer.code == 2
    assert "did not write" in answer.err
    answer = fitted.call("predict", "runs/fit", "new.csv", "--out", "runs/fit/assignments")
    assert answer.code == 2
    assert "these are the assignments of the run" in answer.err
    assert fitted.call("status", "runs/fit", "--require", "finished").code == 0


def test_a_run_without_a_model(place: Workplace) -> None:
    place.call("run", place.config(), "--set", "source.path=nope.csv")
    answer = place.call("predict", "runs/fit", "rows.csv", "--out", "b")
    assert answer.code == 2
    assert "has no model yet" in answer.err


def test_a_moved_run_still_predicts(fitted: Workplace) -> None:
    Path("runs/fit").rename("published")
    answer = fitted.call("predict", "published", "new.csv", "--out", "b")
    assert answer.code == 0, answer.err
