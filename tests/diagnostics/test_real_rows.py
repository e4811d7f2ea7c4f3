"""Real rows: Old Faithful, which fits; droplets, whose rain takes a component of its own."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gmm_dask import GaussianMixture, ambiguity, goodness_of_fit


def test_old_faithful_has_no_heavy_tails(shared_data):
    X = (
        pd.read_csv(shared_data / "classic" / "faithful.csv")
        .select_dtypes("number")
        .to_numpy(float)
    )
    model = GaussianMixture(2, random_state=0).fit(X[:, -2:])
    found = goodness_of_fit(model, X[:, -2:])
    assert not [text for text in found.findings if "heavier" in text]
    assert ambiguity(model, X[:, -2:]).share < 0.05  # the two kinds of eruptions lie apart


def test_droplets_have_rain(shared_data):
    """Droplets between negative and positive are no Gaussian group, and it is said."""
    path = shared_data / "ddpcr" / "five_wells_droplets.parquet"
    rows = pd.read_parquet(path, columns=["fam_amplitude", "hex_amplitude"]).to_numpy(np.float64)
    model = GaussianMixture(4, random_state=0, n_init=2).fit(rows)
    found = goodness_of_fit(model, rows)
    assert any("is not Gaussian" in text for text in found.findings)
    assert max(shape.distance for shape in found.components) > 0.05
