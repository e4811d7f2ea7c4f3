"""What holds for every format: rows by position are those that an independent reader finds."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmm_dask import Block, DataError, Source
from pipeline.sources import SourceSpec, Table, open_table

from .inputs import N_ROWS, WRITERS, frame

KINDS = tuple(WRITERS)
RANGES = st.tuples(st.integers(0, N_ROWS - 1), st.integers(1, N_ROWS)).map(
    lambda pair: (pair[0], min(pair[0] + pair[1], N_ROWS))
)
FIXTURE = [HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(kind)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return frame()


@pytest.fixture(scope="module")
def spec(kind: str, folder: Path, rows: pd.DataFrame) -> SourceSpec:
    return WRITERS[kind](folder, rows)


@pytest.fixture(scope="module")
def table(spec: SourceSpec, folder: Path) -> Table:
    return open_table(spec, folder / "scratch").ingest()


def values(rows: pd.DataFrame) -> np.ndarray:
    return rows[["c", "a", "b"]].to_numpy(np.float64)


def test_it_is_a_source(table: Table) -> None:
    assert isinstance(table, Source)
    assert (table.n_rows, len(table.columns), table.needs_ingest) == (N_ROWS, 3, False)
    assert table.dropped == {}


@settings(max_examples=25, deadline=None, suppress_health_check=FIXTURE)
@given(span=RANGES)
def test_any_run_of_rows_is_what_was_written(
    table: Table, rows: pd.DataFrame, span: tuple[int, int]
) -> None:
    lo, hi = span
    block = table.read(lo, hi)
    assert isinstance(block, Block)
    assert block.start == lo
    assert block.values.dtype == table.dtype
    assert block.values.flags.c_contiguous
    np.testing.assert_array_equal(block.values, values(rows)[lo:hi])
    np.testing.assert_array_equal(table.origin_rows(lo, hi), np.arange(lo, hi))


def test_identity_goes_with_the_rows(kind: str, table: Table, rows: pd.DataFrame) -> None:
    found = table.identity(100, 260).to_pydict()
    if kind in ("npy", "zarr"):
        assert found == {"row": list(range(100, 260))}
    else:
        label = "obs_names" if "a" in kind[-4:] and kind not in ("csv", "parquet") else "name"
        assert list(found) == [label, "well"]
        assert found[label] == rows.name[100:260].tolist()
        assert found["well"] == rows.well[100:260].tolist()


def test_it_pickles_as_a_small_recipe(table: Table, rows: pd.DataFrame) -> None:
    table.read(0, 1)  # handles are open now, and must not travel
    text = pickle.dumps(table)
    assert len(text) < 5000
    again = pickle.loads(text)
    np.testing.assert_array_equal(again.read(3, 50).values, values(rows)[3:50])
    assert again.fingerprint == table.fingerprint


def test_threads_share_what_is_open(table: Table, rows: pd.DataFrame) -> None:
    spans = [(lo, min(lo + 37, N_ROWS)) for lo in range(0, N_ROWS, 31)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda span: table.read(*span).values, spans))
    for (lo, hi), block in zip(spans, found, strict=True):
        np.testing.assert_array_equal(block, values(rows)[lo:hi])


def test_rows_outside_are_refused(table: Table) -> None:
    for lo, hi in [(-1, 3), (3, 3), (0, N_ROWS + 1)]:
        with pytest.raises(DataError, match=f"there are {N_ROWS}"):
            table.read(lo, hi)


def test_opening_again_gives_the_same_fingerprint(
    spec: SourceSpec, table: Table, folder: Path
) -> None:
    again = open_table(spec, folder / "other")
    assert again.fingerprint == table.fingerprint
    assert again.columns == table.columns
    limited = open_table(replace(spec, limit=10), folder / "scratch").ingest()
    assert limited.fingerprint != table.fingerprint
    assert limited.n_rows == 10


def test_a_sentinel_is_read_as_missing(spec: SourceSpec, rows: pd.DataFrame, folder: Path) -> None:
    table = open_table(replace(spec, missing_values=(3,)), folder / "scratch").ingest()
    expected = values(rows)
    expected[expected == 3] = np.nan
    np.testing.assert_array_equal(table.read(0, N_ROWS).values, expected)


def test_a_filter_keeps_rows_with_their_identity(
    kind: str, spec: SourceSpec, rows: pd.DataFrame, folder: Path
) -> None:
    name = "x0" if kind in ("npy", "zarr") else "c"
    table = open_table(replace(spec, filter=f"{name} > 2 and {name} != 5"), folder / "scratch")
    table = pickle.loads(pickle.dumps(table.ingest()))
    kept = np.flatnonzero((rows.c > 2) & (rows.c != 5))
    assert table.n_rows == len(kept)
    assert table.dropped == {"filter false": N_ROWS - len(kept)}
    np.testing.assert_array_equal(table.origin_rows(0, len(kept)), kept)
    np.testing.assert_array_equal(table.origin_rows(5, 9), kept[5:9])
    np.testing.assert_array_equal(table.read(2, 200).values, values(rows)[kept[2:200]])
    first = table.identity(0, 3).column(0).to_pylist()
    expected = kept[:3].tolist() if kind in ("npy", "zarr") else rows.name[kept[:3]].tolist()
    assert first == expected


def test_a_filter_that_keeps_nothing_is_an_error(kind: str, spec: SourceSpec, folder: Path) -> None:
    name = "x0" if kind in ("npy", "zarr") else "c"
    with pytest.raises(DataError, match=r"keeps none of 531 (rows|cells)"):
        open_table(replace(spec, filter=f"{name} > 99"), folder / "scratch").ingest()


def test_what_is_described_is_json(spec: SourceSpec, table: Table) -> None:
    described = json.loads(json.dumps(table.described))
    assert described["rows"] == N_ROWS
    assert described["rows_in_input"] in (N_ROWS, None)
    assert described["columns"] == list(table.columns)
    assert spec.paths[0] in described["path"]


def test_unknown_columns_get_the_nearest_name(kind: str, spec: SourceSpec, folder: Path) -> None:
    wrong = {"npy": "x22", "zarr": "x22", "h5ad": "X_latnt-0"}.get(kind, "aa")
    near = {"npy": "x2", "zarr": "x2", "h5ad": "X_latent-0"}.get(kind, "a")
    with pytest.raises(DataError, match=rf"has no {wrong}; it has .*Did you mean {near}\?"):
        open_table(replace(spec, columns=(wrong,)), folder / "scratch")
    with pytest.raises(DataError, match=r"source\.id: .* has no nme; it has "):
        open_table(replace(spec, id=("nme",)), folder / "scratch")
    with pytest.raises(DataError, match=r"source\.filter: .* has no .*; it has "):
        open_table(replace(spec, filter="zz > 1"), folder / "scratch")
