"""`model.components: ddpcr`: from droplets to copies per microlitre by well."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gmm_dask import GaussianMixture, droplet_concentrations
from tests.pipeline.run.helpers import Workplace

pytestmark = pytest.mark.cluster
RATES = {"A01": (0.2, 0.1, 0.15), "B02": (0.05, 0.3, 0.0)}
MEANS = np.array([[1300.0, 1400], [2600, 4600], [8900, 3200], [9600, 6300]])


def droplets() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    well = np.repeat(list(RATES), 1000)
    molecules = rng.poisson([RATES[w] for w in well])
    positive = molecules[:, :2] + molecules[:, 2:] > 0
    X = MEANS[2 * positive[:, 0] + positive[:, 1]] + 150 * rng.normal(size=(len(well), 2))
    return pd.DataFrame({"well": well, "fam": X[:, 0], "hex": X[:, 1]})


def test_a_run_gives_concentrations_by_well(place: Workplace) -> None:
    rows = droplets()
    rows.to_csv("rows.csv", index=False)
    config = place.config(
        source={"path": "rows.csv", "columns": ["fam", "hex"], "group": "well"},
        model={
            "components": "ddpcr",
            "copies": {"fam": "0..1", "hex": "0..1"},
            "weights": "poisson",
            "weights_by": "group",
        },
        diagnose={"concentration": {"partition_volume": "0.85 nL", "dilution": 2}},
        report={"title": "Wells"},
    )
    answer = place.call("run", config)
    assert answer.code == 0, answer.err
    table = pd.read_csv(place.run / "concentrations.csv")
    assert table["well"].tolist() == ["A01", "A01", "B02", "B02", "pooled", "pooled"]
    assert table["target"].tolist() == ["fam", "hex"] * 3
    true = np.array([r for a, b, c in RATES.values() for r in (a + c, b + c)]) * 2000 / 0.85
    assert (table["low"][:4] <= true).all()
    assert (true <= table["high"][:4]).all()
    assert table["p_independent"][0] < 1e-6
    stored = GaussianMixture.load(place.run / "model.zarr")
    X = rows[["fam", "hex"]]
    own = droplet_concentrations(stored, X, rows["well"], partition_volume=0.85, dilution=2)
    np.testing.assert_allclose(
        table["concentration"], [row["concentration"] for row in own.rows()], rtol=1e-9
    )
    assert place.manifest["concentrations"][0]["well"] == "A01"
    assert np.array_equal(place.labels(), stored.predict(X, groups=rows["well"]))
    report = (place.run / "report.html").read_text()
    assert "copies/uL" in report
    assert "if independent" in report
