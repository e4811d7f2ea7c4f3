from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from gmm_dask import ConfigError, DataError
from pipeline.sources import FORMATS, SourceSpec, open_table
from pipeline.sources.formats import guess


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b.parquet", "parquet"),
        ("b.PQ", "parquet"),
        ("*.csv.gz", "csv"),
        ("t.tsv", "csv"),
        ("s3://key:pw@bucket/b.h5ad?version=3", "anndata"),
        ("b.npy", "npy"),
        ("builtin:iris", "builtin"),
        (["a.npy", "b.npy"], "npy"),
    ],
)
def test_the_ending_tells(path: Any, kind: str) -> None:
    assert guess(SourceSpec(path)) == kind
    assert kind in FORMATS


def test_folders_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("a\n1.5\n")
    (tmp_path / "_SUCCESS").write_text("")
    assert guess(SourceSpec(str(tmp_path))) == "csv"
    np.save(tmp_path / "a" / "x.npy", np.ones((2, 2)))
    with pytest.raises(ConfigError, match=r"unclear \(it holds csv, npy\); set it to one of"):
        guess(SourceSpec(str(tmp_path)))
    assert open_table(SourceSpec(str(tmp_path), format="npy"), tmp_path).n_rows == 2


def test_zarr_and_anndata_are_told_apart(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    assert guess(SourceSpec(str(tmp_path / "a.zarr"))) == "zarr"
    group.attrs["encoding-type"] = "anndata"
    assert guess(SourceSpec(str(tmp_path / "a.zarr") + "/")) == "anndata"


def test_formats_that_cannot_be_told_or_mixed(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_text("")
    with pytest.raises(ConfigError, match="its name does not tell"):
        guess(SourceSpec(str(tmp_path / "data.bin")))
    with pytest.raises(ConfigError, match="csv, npy came together"):
        guess(SourceSpec(["a.csv", "b.npy"]))
    with pytest.raises(ConfigError, match="empty list"):
        guess(SourceSpec([]))
    with pytest.raises(ConfigError, match=r"parqet is not known; .*Did you mean parquet\?"):
        open_table(SourceSpec("x", format="parqet"), tmp_path)
    with pytest.raises(DataError, match="no such file"):
        open_table(SourceSpec(str(tmp_path / "gone.bin")), tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limit": 0}, "at least 1 row"),
        ({"columns": []}, "at least one column"),
        ({"columns": ["a", "b", "a"]}, "a named more than once"),
        ({"carry": ["row"]}, "row is the name of the row number"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SourceSpec("x.csv", **settings)


def test_lists_and_single_words_are_the_same() -> None:
    one = SourceSpec(["x.csv"], columns="a", id="b", carry=["c", "b"], missing_values=-1)
    assert (one.paths, one.columns, one.id, one.missing_values) == (
        ("x.csv",),
        ("a",),
        ("b",),
        (-1,),
    )
    assert one.labels == ("b", "c")
