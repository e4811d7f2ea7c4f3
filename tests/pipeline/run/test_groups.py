"""`source.group`: wells share components and have weights of their own; laws of the weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gmm_dask import GaussianMixture
from tests.pipeline.run.helpers import Workplace

pytestmark = pytest.mark.cluster
RATES = {"A01": 0.3, "B02": 1.0, "H12": 2.0}


def droplets() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    well = np.repeat(list(RATES), [300, 200, 250])
    copies = rng.poisson([RATES[w] for w in well]).clip(max=3)
    frame = pd.DataFrame({"well": well, "x": 2.0 * copies + rng.normal(0, 0.3, len(well))})
    return frame.sample(frac=1.0, random_state=1, ignore_index=True)


def test_wells_have_weights_of_their_own(place: Workplace) -> None:
    rows = droplets()
    rows.to_csv("rows.csv", index=False)
    config = place.config(
        source={"path": "rows.csv", "group": "well"},
        model={
            "n_components": 4,
            "covariance_type": "tied",
            "n_init": 1,
            "weights": {"poisson": "lumped"},
            "weights_by": "group",
        },
        report={"title": "Wells"},
    )
    answer = place.call("run", config)
    assert answer.code == 0, answer.err
    stored = GaussianMixture.load(place.run / "model.zarr")
    assert stored.groups_.tolist() == list(RATES)
    assert (np.diff(stored.means_[:, 0]) > 1).all()  # components in the order of copies
    table = pd.read_csv(place.run / "weights.csv")
    assert table["group"].tolist() == list(RATES)
    np.testing.assert_allclose(table["share_of_rows"], [0.4, 4 / 15, 1 / 3], rtol=1e-12)
    np.testing.assert_array_equal(table["lambda"], stored.law_["lambda"])
    # standard error of lambda is at least sqrt(lambda / n)
    assert (
        np.abs(table["lambda"] - list(RATES.values())) < 4 * np.sqrt([0.001, 0.005, 0.01])
    ).all()
    assert place.manifest["chosen"]["n_parameters"] == 3 + 4 + 1
    own = GaussianMixture(
        4, covariance_type="tied", weights="poisson", random_state=0, tol=1e-6, max_iter=1000
    ).fit(rows[["x"]], groups=rows["well"])
    np.testing.assert_allclose(stored.law_["lambda"], own.law_["lambda"], rtol=1e-3)
    assert np.array_equal(place.labels(), stored.predict(rows[["x"]], groups=rows["well"]))
    report = (place.run / "report.html").read_text()
    assert "Law of the weights" in report
    _new_rows(place, rows, stored)


def _new_rows(place: Workplace, rows: pd.DataFrame, stored: GaussianMixture) -> None:
    """Predict rows of known wells, of a new well, and of a new well by the pooled weights."""
    new = rows[rows["well"] != "B02"].head(40)
    new.to_csv("new.csv", index=False)
    answer = place.call("predict", "runs/fit", "new.csv", "--out", "new")
    assert answer.code == 0, answer.err
    found = pd.read_parquet("new")["label"].to_numpy()
    assert np.array_equal(found, stored.predict(new[["x"]], groups=new["well"]))
    new.assign(well="C03").to_csv("other.csv", index=False)
    answer = place.call("predict", "runs/fit", "other.csv", "--out", "other")
    assert answer.code == 2
    assert "group 'C03' is not among those of the fit ('A01', 'B02', 'H12')" in answer.err
    pooled = ("--set", "model.weights_by=all")
    answer = place.call("predict", "runs/fit", "other.csv", "--out", "other", *pooled)
    assert answer.code == 0, answer.err
    found = pd.read_parquet("other")["label"].to_numpy()
    assert np.array_equal(found, stored.predict(new[["x"]], groups="pooled"))


def test_a_row_without_a_group_is_named(place: Workplace) -> None:
    rows = droplets()
    rows.loc[17, "well"] = None
    rows.to_csv("rows.csv", index=False)
    source = {"path": "rows.csv", "group": "well"}
    model = {"n_components": 2, "weights_by": "group"}
    answer = place.call("run", place.config(source=source, model=model))
    assert answer.code == 3
    assert "has no well" in answer.err
