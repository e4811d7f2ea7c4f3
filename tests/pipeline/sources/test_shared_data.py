"""Figures of the real data: rows, drops and widths as its README gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.sources import SourceSpec, Table, open_table

pytestmark = pytest.mark.data
GAIA = "survey/gaia_dr3_cone_ra45_dec0.parquet"


def opened(data: Path, scratch: Path, path: str, **settings: Any) -> Table:
    return open_table(SourceSpec(str(data / path), **settings), scratch).ingest()


@pytest.mark.parametrize(
    ("text", "n_rows", "dropped"),
    [
        ("ruwe < 1.4", 1927, {"filter false": 88, "ruwe missing": 375}),
        ("ruwe < 1.4 or ruwe is null", 2302, {"filter false": 88}),
    ],
)
def test_gaia_filters(
    shared_data: Path, tmp_path: Path, text: str, n_rows: int, dropped: dict[str, int]
) -> None:
    columns = ("pmra", "pmdec", "parallax")
    table = opened(shared_data, tmp_path, GAIA, filter=text, columns=columns, id="source_id")
    assert (table.n_rows, table.dropped) == (n_rows, dropped)
    whole = pd.read_parquet(shared_data / GAIA)
    kept = whole[(whole.ruwe < 1.4) | (whole.ruwe.isna() & ("null" in text))]
    np.testing.assert_array_equal(table.read(0, n_rows).values, kept[list(columns)])
    assert table.identity(0, n_rows).column(0).to_pylist() == kept.source_id.tolist()


def test_gaia_partitions(shared_data: Path, tmp_path: Path) -> None:
    table = opened(shared_data, tmp_path, "survey/gaia_dr2_healpix5")
    assert (table.n_rows, table.described["files"]) == (32_691, 9)
    assert "source_id" not in table.columns
    files = sorted((shared_data / "survey/gaia_dr2_healpix5").rglob("*.parquet"))
    whole = pd.concat([pd.read_parquet(file) for file in files])
    expected = whole[list(table.columns)].to_numpy(float)[3000:9000]
    np.testing.assert_array_equal(table.read(3000, 9000).values, expected)


@pytest.mark.parametrize(
    ("path", "key", "shape"),
    [
        ("single_cell/pbmc68k_reduced.h5ad", "obsm/X_pca", (700, 50)),
        ("single_cell/thymus.h5ad", "X", (25_000, 13)),
        ("single_cell/brain10k_pca.h5ad", None, (10_000, 30)),
    ],
)
def test_cells(
    shared_data: Path, tmp_path: Path, path: str, key: str | None, shape: tuple[int, int]
) -> None:
    h5py = pytest.importorskip("h5py")
    table = opened(shared_data, tmp_path, path, key=key)
    assert (table.n_rows, len(table.columns)) == shape
    with h5py.File(shared_data / path, "r", locking=False) as file:
        expected = file[key or "obsm/X_pca"][200:650]
    np.testing.assert_array_equal(table.read(200, 650).values, expected)
    assert table.identity(0, 1).column_names == ["obs_names"]


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("flow/gvhd_positive.csv", (9083, 4)),
        ("classic/faithful.csv", (272, 2)),
        ("classic/wreath.csv", (1000, 2)),
        ("classic/galaxies.csv", (82, 1)),
        ("circular/turtles76.csv", (76, 1)),
        ("survey/gaia_dr3_field_ra6_dec61.csv", (8683, 13)),
    ],
)
def test_text_tables(shared_data: Path, tmp_path: Path, path: str, shape: tuple[int, int]) -> None:
    table = opened(shared_data, tmp_path, path)
    assert (table.n_rows, len(table.columns)) == shape
    whole = pd.read_csv(shared_data / path, float_precision="round_trip")[list(table.columns)]
    np.testing.assert_array_equal(table.read(0, shape[0]).values, whole.to_numpy(float))


def test_diabetes_keeps_its_class_as_a_label(shared_data: Path, tmp_path: Path) -> None:
    table = opened(shared_data, tmp_path, "classic/diabetes.csv", carry="class")
    assert table.columns == ("glucose", "insulin", "sspg")
    assert set(table.identity(0, 145).column("class").to_pylist()) == {
        "Normal",
        "Overt",
        "Chemical",
    }


def test_flow_events(shared_data: Path, tmp_path: Path) -> None:
    table = opened(shared_data, tmp_path, "flow/data1_events.npy")
    assert (table.n_rows, table.dtype) == (13_367, np.float32)
    expected = np.load(shared_data / "flow/data1_events.npy")
    np.testing.assert_array_equal(table.read(11, 13_000).values, expected[11:13_000])
