"""`select.criterion: stability` from the user's side."""

from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from gmm_dask import GaussianMixture
from tests.pipeline.run.helpers import Workplace
from tests.test_evaluation import three

pytestmark = pytest.mark.cluster
SQUARES = {"n_components": "1..5", "n_init": 4, "init_params": "kmeans", "tol": 1e-5}
STABLE = {"model": SQUARES, "select": {"criterion": "stability"}}


def write_squares(place: Workplace) -> pd.DataFrame:
    """Three clear clusters that are not Gaussian: BIC wants more components than three."""
    rows = pd.DataFrame(three(900, "flat"), columns=["x", "y"])
    rows.insert(0, "name", [f"r{i}" for i in range(len(rows))])
    rows.to_csv(place.path / "rows.csv", index=False)
    return rows[["x", "y"]]


def table_of(place: Workplace) -> list[dict[str, str]]:
    with (place.run / "candidates.csv").open() as lines:
        return list(csv.DictReader(lines))


def test_three_squares_are_found(place: Workplace) -> None:
    rows = write_squares(place)
    answer = place.call("run", place.config(**STABLE, report={}))
    assert answer.code == 0, answer.err
    one, *others = table = table_of(place)
    assert one["stability"] == one["stability_neighbours"] == ""  # K = 1 labels nothing
    assert [row["restarts_compared"] for row in others] == ["3"] * 4
    stable = {int(row["n_components"]): float(row["stability"]) for row in others}
    assert place.manifest["chosen"]["n_components"] == 3
    assert stable[3] > 0.99 > max(stable[4], stable[5])
    assert min(table, key=lambda row: float(row["bic"]))["n_components"] != "3"
    labels = GaussianMixture.load(place.run / "model.zarr").predict(rows)
    assert adjusted_rand_score(place.labels(), labels) == 1.0
    assert "stability" in answer.out
    stored = json.loads((place.run / "results.json").read_text())
    assert stored["criterion"] == "stability"
    assert stored["candidates"][2]["stability"] == pytest.approx(stable[3])
    page = (place.run / "report.html").read_text()
    assert "chosen among 20 fits by stability" in page
    assert "(restarts), " in page
    assert place.call("report", "runs/fit").code == 0


@pytest.mark.slow
def test_stability_lets_every_restart_run_to_its_end(place: Workplace) -> None:
    """Other criteria let losers go; so a run by BIC cannot be judged by stability afterwards."""
    write_squares(place)
    first = place.call("run", place.config(model=SQUARES, report={}))
    assert first.code == 0, first.err
    by_bic = place.manifest
    assert by_bic["chosen"]["n_components"] > 3
    change = ("--set", "select.criterion=stability")
    refused = place.call("run", "fit.yaml", *change)
    assert refused.code == 2
    assert "select.criterion: not set -> stability" in refused.err
    again = place.call("run", "fit.yaml", "--fresh", *change)
    assert again.code == 0, again.err
    assert place.manifest["chosen"]["n_components"] == 3
    assert len(np.unique(place.labels())) == 3


def test_labels_are_not_compared_where_nobody_asks(place: Workplace) -> None:
    assert place.call("run", place.config()).code == 0
    assert all(row["stability"] == "" for row in table_of(place))


def test_one_restart_is_refused_before_any_pass(place: Workplace) -> None:
    answer = place.call(
        "run",
        place.config(select={"criterion": "stability"}, model={"n_components": 3, "n_init": 1}),
    )
    assert answer.code == 2
    assert "fit.yaml:" in answer.err
    assert "select.criterion: stability compares the labels of restarts" in answer.err
    assert "model.n_init of at least 2" in answer.err
    assert not place.run.exists()
