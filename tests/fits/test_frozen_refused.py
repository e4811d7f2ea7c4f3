"""Constraints that make no sense are refused at once, in words."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask import ConfigError, GaussianMixture
from tests.strategies import clusters

NAN = np.nan


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"frozen": {0: ["mean"]}}, "no value is given"),
        ({"frozen": {5: ["mean"]}}, "component 5 is named"),
        ({"frozen": {0: ["slope"]}}, "hold 'slope'"),
        ({"frozen": {"a": ["mean"]}}, "'a' is no component"),
        ({"frozen": {0: []}}, "holds nothing"),
        ({"frozen": [0]}, "a mapping from components"),
        ({"frozen": {0: "covariance"}, "covariance_type": "tied"}, "for all of them or for none"),
        (
            {"frozen": {0: "weight"}, "weights_init": [0.5, NAN, NAN], "weights": "equal"},
            "follow the law Equal",
        ),
        (
            {"frozen": {0: "weight", 1: "weight"}, "weights_init": [0.7, 0.7, NAN]},
            "at least 0 and sum to 1",
        ),
        ({"frozen": {0: "mean"}, "means_init": [[0, NAN]] * 3}, "all its numbers or none"),
    ],
)
def test_what_makes_no_sense_is_refused(words, match):
    with pytest.raises(ConfigError, match=match):
        GaussianMixture(3, **words).fit(clusters(100, 2, 3)[0])
