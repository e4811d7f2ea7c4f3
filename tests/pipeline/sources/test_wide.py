"""Weights and errors beside the values: which columns they are, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gmm_dask import ConfigError, DataError
from pipeline.sources import NoiseSpec, SourceSpec, open_table

RNG = np.random.default_rng(7)
N = 50


def catalogue(n: int = N) -> pd.DataFrame:
    """Two measured columns with errors, one without, weights and a correlation."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "c": np.arange(n) / 4})
    table["a_error"], table["b_error"] = rng.uniform(0.1, 1, n), rng.uniform(0.1, 1, n)
    table["b_a_corr"] = rng.uniform(-0.9, 0.9, n)
    table["w"] = rng.integers(0, 4, n)
    table["name"] = [f"s{i}" for i in range(n)]
    table.loc[3, ["a", "a_error", "b_a_corr"]] = np.nan
    return table


def opened(tmp_path: Path, table: pd.DataFrame, kind: str = "parquet", **settings: Any) -> Any:
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)
    return open_table(SourceSpec(path=str(path), **settings), tmp_path / "scratch").ingest()


def parts(table: Any, lo: int = 0, hi: int | None = None) -> Any:
    return table.layout.split(table.read(lo, hi or table.n_rows).values)


STD = NoiseSpec("std", "{column}_error", "{a}_{b}_corr", ("c",))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("condition", [None, "c > 1"])
def test_standard_errors_with_correlations(tmp_path, kind, condition) -> None:
    """The same covariances whichever way rows are read; the correlation's order is b, a."""
    frame = catalogue()
    table = opened(
        tmp_path, frame, kind, columns=["a", "b", "c"], noise=STD, sample_weight="w",
        filter=condition, id="name",
    )  # fmt: skip
    kept = frame if condition is None else frame[frame.c > 1].reset_index(drop=True)
    found = parts(table)
    assert table.value_columns == ("a", "b", "c")
    assert table.layout.width == len(table.columns) == 3 + 1 + 6
    np.testing.assert_array_equal(found.values, kept[["a", "b", "c"]])
    np.testing.assert_array_equal(found.sample_weight, kept.w)
    s, t, r = (kept[name].to_numpy() for name in ("a_error", "b_error", "b_a_corr"))
    wanted = np.zeros((len(kept), 3, 3))
    wanted[:, 0, 0], wanted[:, 1, 1] = s**2, t**2
    wanted[:, 0, 1] = wanted[:, 1, 0] = r * s * t
    wanted[np.isnan(wanted)] = 0.0  # of a missing value
    np.testing.assert_allclose(found.noise, wanted, rtol=1e-14)
    assert table.described["noise"]["pairs"] == ["a-b"]
    assert table.described["noise"]["exact"] == ["c"]


def test_variances_and_their_inverses(tmp_path) -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "a_var": [0.5, 4.0, np.inf]})
    found = parts(opened(tmp_path, frame, columns="a", noise=NoiseSpec("variance", "{column}_var")))
    assert found.noise[:2, 0].tolist() == [0.5, 4.0]
    assert np.isnan(found.values[2, 0])  # of infinite variance
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "a_ivar": [2.0, 0.25, 0.0]})
    noise = NoiseSpec("inverse_variance", "{column}_ivar")
    found = parts(opened(tmp_path, frame, columns="a", noise=noise))
    assert found.noise[:, 0].tolist() == [0.5, 4.0, 0.0]
    np.testing.assert_array_equal(found.values[:, 0], [1.0, 2.0, np.nan])


def test_covariances_by_template(tmp_path) -> None:
    frame = catalogue().assign(aa=4.0, ab=-1.0, bb=1.0)
    frame = frame.rename(columns={"aa": "cov_a_a", "ab": "cov_b_a", "bb": "cov_b_b"})
    noise = NoiseSpec("covariance", "cov_{a}_{b}", None, ("c",))
    found = parts(opened(tmp_path, frame, columns=["a", "b", "c"], noise=noise))
    assert np.array_equal(found.noise[0], [[4, -1, 0], [-1, 1, 0], [0, 0, 0]])
    assert np.array_equal(found.noise[3], [[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def test_a_map_says_what_is_exact(tmp_path) -> None:
    noise = NoiseSpec("std", {"a": "b_error", "c": None})
    table = opened(tmp_path, catalogue(), columns=["a", "c"], noise=noise)
    assert table.layout.noise == "diag"
    assert table.described["noise"]["errors"] == ["b_error"]
    noise = NoiseSpec("std", {"a": "b_error"})
    with pytest.raises(ConfigError, match=r"source.noise.std: c has no entry; .*exact"):
        opened(tmp_path, catalogue(), columns=["a", "c"], noise=noise)


def test_errors_and_weights_are_no_values_by_default(tmp_path) -> None:
    table = opened(tmp_path, catalogue(), noise=STD, sample_weight="w", id="name")
    assert table.value_columns == ("a", "b", "c")


def test_sentinels_count_in_values_and_errors(tmp_path) -> None:
    frame = catalogue()
    frame.loc[5, ["b", "b_error"]] = -999.0
    table = opened(tmp_path, frame, columns=["a", "b", "c"], noise=STD, missing_values=-999)
    assert np.isnan(parts(table).values[5, 1])
    frame.loc[6, "b_error"] = -999.0
    table = opened(tmp_path, frame, columns=["a", "b", "c"], noise=STD, missing_values=-999)
    with pytest.raises(DataError, match=r"row 6 of .*rows.parquet: b_error is nan, the error of b"):
        parts(table)


@pytest.mark.parametrize("condition", [None, "c >= 0"])
@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (
            "a_error",
            -0.5,
            r"row 7 of .*: a_error is -0.5, the error of a; needed: an error",
        ),
        (
            "b_a_corr",
            1.5,
            r"row 7 of .*: b_a_corr is 1.5, of b and a; needed: a corr",
        ),
        ("b_a_corr", np.nan, r"row 7 of .*: b_a_corr is nan, of b and a"),
    ],
)
def test_impossible_errors_are_told_by_their_row(tmp_path, condition, column, value, said) -> None:
    frame = catalogue()
    frame.loc[7, column] = value
    with pytest.raises(DataError, match=said):
        settings = {"columns": ["a", "b", "c"], "noise": STD, "filter": condition}
        parts(opened(tmp_path, frame, **settings))


@pytest.mark.parametrize(
    ("noise", "weight", "error", "said"),
    [
        (NoiseSpec("std", "e_{column}"), None, DataError, "has no e_a; .* source.noise.exact"),
        (NoiseSpec("std", "e"), None, ConfigError, r"'e' has no {column} to fill in"),
        (NoiseSpec("std", "{column}_error", None, ("z",)), None, ConfigError, "exact: z is not"),
        (NoiseSpec("std", "{column}_error", "r_{a}_{b}", ("c",)), None, DataError, "has no r_a_b"),
        (NoiseSpec("std", {"a": "name", "b": None, "c": None}), None, DataError, "name holds no n"),
        (None, "weight", DataError, "source.sample_weight: rows.parquet has no weight"),
        (None, "name", DataError, "source.sample_weight: rows.parquet: name holds no numbers"),
    ],
)  # fmt: skip
def test_columns_that_are_not_there(tmp_path, noise, weight, error, said) -> None:
    with pytest.raises(error, match=said):
        columns = ["a", "b", "c"]
        opened(tmp_path, catalogue(), columns=columns, noise=noise, sample_weight=weight)


def test_the_fingerprint_knows_errors_and_weights(tmp_path) -> None:
    names = {"columns": ["a", "b", "c"]}
    seen = [
        opened(tmp_path, catalogue(), **names, **more).fingerprint
        for more in ({}, {"noise": STD}, {"sample_weight": "w"}, {"sample_weight": "c"})
    ]
    assert len(set(seen)) == 4


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_latent_variances_of_cells(tmp_path, kind) -> None:
    """scvi-tools keeps the mean and the variance of each cell's latent place beside each other."""
    anndata = pytest.importorskip("anndata")
    rng = np.random.default_rng(3)
    mean, variance = rng.normal(size=(40, 3)), rng.gamma(2.0, size=(40, 3))
    cubes = np.einsum("ni,nj->nij", variance, variance) + np.eye(3)
    obs = pd.DataFrame(
        {"keep": np.arange(40) % 2, "w": np.arange(40.0)}, [f"c{i}" for i in range(40)]
    )
    cells = anndata.AnnData(np.zeros((40, 1)), obs)
    cells.obsm["X_latent_qzm"] = mean.astype(np.float32)
    cells.obsm["X_latent_qzv"] = variance.astype(np.float32)
    cells.obsm["flat"] = cubes.reshape(40, 9)
    if kind == "h5ad":
        cells.obsm["cube"] = cubes
    path = tmp_path / f"cells.{kind}"
    getattr(cells, {"h5ad": "write_h5ad", "zarr": "write_zarr"}[kind])(path)

    def read(**settings):
        settings = {"key": "obsm/X_latent_qzm", "filter": "obs.keep == 1"} | settings
        return open_table(SourceSpec(path=str(path), **settings), tmp_path)

    table = read(noise=NoiseSpec("variance", "obsm/X_latent_qzv"), sample_weight="obs/w")
    assert table.dtype == np.float64  # the weights are
    assert read(noise=NoiseSpec("variance", "obsm/X_latent_qzv")).dtype == np.float32
    found = parts(table)
    np.testing.assert_array_equal(found.values, mean[1::2].astype(np.float32))
    np.testing.assert_array_equal(found.noise, variance[1::2].astype(np.float32))
    np.testing.assert_array_equal(found.sample_weight, np.arange(1.0, 40, 2))
    picked = ["X_latent_qzm-2", "X_latent_qzm-0"]
    table = read(noise=NoiseSpec("variance", "obsm/X_latent_qzv"), columns=picked)
    np.testing.assert_array_equal(parts(table).noise, variance[1::2, [2, 0]].astype(np.float32))
    for key in ("flat", "cube") if kind == "h5ad" else ("flat",):
        table = read(noise=NoiseSpec("covariance", f"obsm/{key}"))
        np.testing.assert_allclose(parts(table).noise, cubes[1::2], rtol=1e-12)
    with pytest.raises(DataError, match=r"source.noise.std: cells.* has no obsm/X_qzv; it has"):
        read(noise=NoiseSpec("std", "obsm/X_qzv"))
    with pytest.raises(DataError, match=r"has 40 rows of 9 numbers, .* needs 40 of 3"):
        read(noise=NoiseSpec("variance", "obsm/flat"))


def test_errors_in_a_plain_zarr_store(tmp_path) -> None:
    zarr = pytest.importorskip("zarr")
    store = zarr.open_group(tmp_path / "rows.zarr", mode="w")
    values, errors = RNG.normal(size=(30, 2)), RNG.uniform(1, 2, (30, 2))
    store.create_array("values", data=values)
    store.create_array("errors", data=errors)
    asymmetric = np.tile([1.0, 0.5, 0.4, 1.0], (30, 1))
    store.create_array("matrices", data=asymmetric)

    def read(noise):
        spec = SourceSpec(path=str(tmp_path / "rows.zarr"), key="values", noise=noise)
        return open_table(spec, tmp_path)

    found = parts(read(NoiseSpec("std", "errors")))
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_allclose(found.noise, errors**2, rtol=1e-15)
    with pytest.raises(DataError, match=r"row 0 of .*: matrices-2 is 0.4, its mirror another"):
        parts(read(NoiseSpec("covariance", "matrices")))


@pytest.mark.parametrize("condition", [None, "c >= 0"])
def test_of_several_files_the_one_with_the_row_is_named(tmp_path, condition) -> None:
    for number in range(3):
        frame = catalogue()
        if number == 2:
            frame.loc[7, "a_error"] = -1.0
        frame.to_parquet(tmp_path / f"part{number}.parquet", index=False)
    columns = ("a", "b", "c")
    spec = SourceSpec(path=str(tmp_path / "part*"), columns=columns, noise=STD, filter=condition)
    with pytest.raises(DataError, match=r"source.noise: row 7 of .*part2.parquet: a_error is -1"):
        parts(open_table(spec, tmp_path / "scratch").ingest())
