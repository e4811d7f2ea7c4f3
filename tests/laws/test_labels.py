"""Labels of groups: of any type, and what they cannot be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gmm_dask import ConfigError, DataError, GaussianMixture, GroupNames
from tests.laws.helpers import two_heaps


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["b", "a", "b", "a"]),
        np.array(["b", "a", "b", "a"], dtype=object),
        np.array([b"b", b"a", b"b", b"a"]),
        np.array([7, 3, 7, 3], dtype=np.int8),
        np.array([0.5, -1.0, 0.5, -1.0], dtype=np.float32),
        np.array([True, False, True, False]),
        np.array(["2026-02-01", "2026-01-01"] * 2, dtype="datetime64[D]"),
        pd.Categorical(["b", "a", "b", "a"]),
        pd.Series(["b", "a", "b", "a"], dtype="string", index=[9, 8, 7, 6]),
        ["b", 3, "b", 3],
    ],
    ids=lambda labels: str(getattr(labels, "dtype", type(labels).__name__)),
)
def test_labels_of_any_type(labels, tmp_path):
    names = GroupNames.of(labels)
    assert len(names.names) == 2
    codes = names.codes(labels)
    first, second = codes[:2]
    np.testing.assert_array_equal(codes, [first, second, first, second])
    x = np.concatenate([np.random.default_rng(0).normal(0, 1, (4, 1))] * 5)
    many = np.tile(np.asarray(labels, dtype=object), 5)
    model = GaussianMixture(1, random_state=0).fit(x, groups=many)
    model.save(tmp_path / "m")
    again = GaussianMixture.load(tmp_path / "m")
    assert again.groups_.tolist() == model.groups_.tolist()
    np.testing.assert_array_equal(again.predict(x, groups=many), model.predict(x, groups=many))


def test_what_groups_cannot_be_is_refused():
    x, _, label = two_heaps(60)
    model = GaussianMixture(2, random_state=0)
    with pytest.raises(DataError, match="row 3 has no group"):
        model.fit(x, groups=[*label[:3], None, *label[4:]])
    with pytest.raises(DataError, match="one label for each row"):
        model.fit(x, groups=label[:, None])
    with pytest.raises(DataError, match="59 rows"):
        model.fit(x, groups=label[:59])
    with pytest.raises(DataError, match="up to 65536 groups"):
        GroupNames.of(np.arange(65537))
    model.fit(x, groups=label)
    with pytest.raises(ConfigError, match=r"group 'z' is not among those of the fit \('a', 'b'"):
        model.predict(x[:1], groups=["z"])
    with pytest.raises(ConfigError, match="weights for each group: give the groups"):
        model.predict_proba(x)
    with pytest.raises(ConfigError, match="fitted without"):
        GaussianMixture(2, random_state=0).fit(x).score(x, groups=label)
