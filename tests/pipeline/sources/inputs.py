"""The same rows in every format, for tests that hold whatever the format is."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp
import zarr

from pipeline.sources import SourceSpec

N_ROWS = 531


def frame(n_rows: int = N_ROWS, seed: int = 1) -> pd.DataFrame:
    """Rows with text ids, floats of two precisions, small integers and holes."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "name": [f"row{i:05d}" for i in range(n_rows)],
            "a": rng.normal(size=n_rows),
            # exact in float32 and as text
            "b": (rng.integers(-200, 200, n_rows) / 64).astype(np.float32),
            "c": rng.integers(0, 9, n_rows),
            "well": rng.choice(["A1", "B2"], n_rows),
        }
    )
    rows.loc[rng.random(n_rows) < 0.1, "a"] = np.nan
    return rows


def write_parquet(folder: Path, rows: pd.DataFrame) -> SourceSpec:
    """Partitions of uneven size, one of them empty, with small row groups."""
    cuts = [0, 7, 7, len(rows) // 3, len(rows)]
    for part, (lo, hi) in enumerate(itertools.pairwise(cuts)):
        table = pa.Table.from_pandas(rows.iloc[lo:hi], preserve_index=False)
        path = folder / "rows" / f"part{part}" / "data.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path, row_group_size=60)
    return SourceSpec(str(folder / "rows"), columns=("c", "a", "b"), id=("name",), carry=("well",))


def write_csv(folder: Path, rows: pd.DataFrame) -> SourceSpec:
    """Two files, the second with its columns in another order."""
    half = len(rows) // 2
    rows.iloc[:half].to_csv(folder / "1.csv", index=False)
    rows.iloc[half:, ::-1].to_csv(folder / "2.csv", index=False)
    return SourceSpec(str(folder / "*.csv"), columns=("c", "a", "b"), id=("name",), carry=("well",))


def write_npy(folder: Path, rows: pd.DataFrame) -> SourceSpec:
    """Big-endian numbers."""
    np.save(folder / "rows.npy", rows[["c", "a", "b"]].to_numpy(">f8"))
    return SourceSpec(str(folder / "rows.npy"))


def write_zarr(folder: Path, rows: pd.DataFrame) -> SourceSpec:
    """An array in a group, in chunks that split rows and columns."""
    values = rows[["c", "a", "b"]].to_numpy(np.float64)
    group = zarr.open_group(folder / "rows.zarr", mode="w")
    group.create_array("inner/values", data=values, chunks=(100, 2))
    return SourceSpec(str(folder / "rows.zarr"), key="inner/values")


def anndata_of(rows: pd.DataFrame) -> Any:
    """Cells with a dense X, a sparse layer, an array and a data frame in obsm."""
    import anndata

    values = rows[["c", "a", "b"]].to_numpy(np.float64)
    obs = rows.set_index("name")[["well", "c"]].assign(well=lambda f: f.well.astype("category"))
    var = pd.DataFrame(index=["c", "a", "b"])
    cells = anndata.AnnData(X=values, obs=obs, var=var)
    cells.obsm["X_latent"] = values
    cells.obsm["frame"] = pd.DataFrame(values, index=obs.index, columns=["c", "a", "b"])
    cells.layers["sparse"] = sp.csr_matrix(np.nan_to_num(values))
    return cells


def write_h5ad(folder: Path, rows: pd.DataFrame) -> SourceSpec:
    """An h5ad file, read at obsm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anndata_of(rows).write_h5ad(folder / "rows.h5ad")
    return SourceSpec(str(folder / "rows.h5ad"), key="obsm/X_latent", carry=("obs/well",))


def write_anndata_zarr(folder: Path, rows: pd.DataFrame) -> SourceSpec:
    """An AnnData zarr store, read at X."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        anndata_of(rows).write_zarr(folder / "rows.zarr")
    return SourceSpec(str(folder / "rows.zarr"), key="X", carry=("well",))


WRITERS = {
    "parquet": write_parquet,
    "csv": write_csv,
    "npy": write_npy,
    "zarr": write_zarr,
    "h5ad": write_h5ad,
    "anndata_zarr": write_anndata_zarr,
}
