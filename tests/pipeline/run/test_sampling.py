"""Rows drawn from the chosen mixture, and decoders that a configuration allows by name."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from gmm_dask import GaussianMixture
from tests.pipeline.run.helpers import write_rows

CODE = "def double(rows):\n    return 2.0 * rows\n\ndef bad(rows):\n    return 1\n"


@pytest.fixture
def decoders(place, monkeypatch):
    (place.path / "my_decoders.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(place.path))
    yield
    sys.modules.pop("my_decoders", None)


def sample(name, **more):
    return {
        "rows": 30,
        "decode": name,
        "decoders": ["my_decoders:double", "my_decoders:bad"],
        **more,
    }


@pytest.mark.usefixtures("decoders")
def test_new_rows_and_what_they_decode_to(place):
    write_rows(place.path / "rows.csv")
    config = place.config(sample=sample("my_decoders:double"), transform=["standardize"])
    answer = place.call("run", config)
    assert answer.code == 0, answer.err
    rows = pd.read_csv(place.run / "sample" / "rows.csv")
    assert list(rows.columns) == ["label", "x", "y"]
    decoded = np.load(place.run / "sample" / "decoded.npy")
    np.testing.assert_allclose(decoded, 2.0 * rows[["x", "y"]], rtol=1e-12)
    model = GaussianMixture.load(place.run / "model.zarr")
    step = model.extra_["transform"]["steps"][0]
    inner, labels = model.sample(30)
    np.testing.assert_array_equal(labels, rows["label"])
    np.testing.assert_allclose(
        inner * step["deviation"] + step["mean"], rows[["x", "y"]], rtol=1e-9
    )
    assert {"sample", "decoded"} <= set(place.manifest["outputs"])


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize(
    ("section", "message"),
    [
        (sample("my_decoders:other", decoders=["my_decoders:double"]), "is not among"),
        (sample("my_decoders"), "write module:function"),
        (sample("os:system", decoders=[]), "is not among sample.decoders (none)"),
        (sample("none_such:f", decoders=["none_such:f"]), "cannot be imported"),
        (sample("my_decoders:bad"), "numbers of shape (30, ...)"),
    ],
)
def test_decoders_that_are_refused(place, section, message):
    write_rows(place.path / "rows.csv")
    answer = place.call("run", place.config(sample=section))
    assert answer.code == 2
    assert message in answer.err
