from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from gmm_dask import ConfigError
from pipeline.sources import SourceSpec, open_table
from pipeline.sources.builtin_rows import NAMES


@pytest.mark.parametrize("name", NAMES)
def test_rows_and_names_are_those_of_scikit_learn(tmp_path: Path, name: str) -> None:
    data = getattr(datasets, f"load_{name}")()
    table = open_table(SourceSpec(f"builtin:{name}"), tmp_path)
    assert table.columns == tuple(data.feature_names)
    np.testing.assert_array_equal(table.read(3, table.n_rows).values, data.data[3:])
    assert table.n_rows == len(data.data)


def test_the_class_can_be_carried_and_filtered_but_is_no_value(tmp_path: Path) -> None:
    spec = SourceSpec("builtin:iris", carry=("target_name",), filter="target in [0, 2]")
    table = open_table(spec, tmp_path).ingest()
    assert table.n_rows == 100
    assert table.identity(49, 51).to_pydict() == {
        "row": [49, 100],
        "target_name": ["setosa", "virginica"],
    }


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    marks = [open_table(SourceSpec(f"builtin:{n}"), tmp_path).fingerprint for n in (*NAMES, "wine")]
    assert len(set(marks)) == 4


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no builtin:digit; .*Did you mean digits\?"):
        open_table(SourceSpec("builtin:digit"), tmp_path)
    with pytest.raises(ConfigError, match="there is no builtin:moons"):
        open_table(SourceSpec("moons", format="builtin"), tmp_path)
