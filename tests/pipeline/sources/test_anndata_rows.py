from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmm_dask import ConfigError, DataError
from pipeline.sources import SourceSpec, Table, anndata_rows, cells, open_table, release

anndata = pytest.importorskip("anndata")
pytestmark = pytest.mark.filterwarnings("ignore")

N_CELLS = 90


def example() -> Any:
    rng = np.random.default_rng(5)
    names = [f"cell{i}" for i in range(N_CELLS)]
    obs = pd.DataFrame(
        {
            "score": np.where(rng.random(N_CELLS) < 0.2, np.nan, rng.random(N_CELLS)),
            "type": pd.Categorical(rng.choice(["T", "B", None], N_CELLS)),
            "count": pd.array(np.where(rng.random(N_CELLS) < 0.3, pd.NA, 7), dtype="Int64"),
            "good": pd.array(rng.choice([True, False, None], N_CELLS), dtype="boolean"),
            "plain": rng.random(N_CELLS) < 0.5,
            "text": [f"t{i % 4}" for i in range(N_CELLS)],
            "n": np.arange(N_CELLS),
        },
        index=names,
    )
    dense = rng.normal(size=(N_CELLS, 4)).astype(np.float32)
    sparse = sp.random(N_CELLS, 6, 0.3, "csr", rng=rng)
    var = pd.DataFrame(index=[f"gene{i}" for i in range(6)])
    result = anndata.AnnData(X=sparse, obs=obs, var=var, obsm={"X_pca": dense})
    result.layers["dense"] = sparse.toarray()
    result.layers["columns"] = sparse.tocsc()
    result.obsm["frame"] = pd.DataFrame({"u": obs.n * 2.0, "v": -obs.n, "s": "w"}, index=names)
    result.raw = result
    return result


@pytest.fixture(scope="module", params=["h5ad", "zarr"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cells") / f"cells.{request.param}"
    write = example().write_h5ad if request.param == "h5ad" else example().write_zarr
    write(path)
    return path


def opened(path: Path, **settings_: Any) -> Table:
    return open_table(SourceSpec(str(path), **settings_), path.parent / "scratch")


EXPECTED = {
    "obsm/X_pca": lambda a: a.obsm["X_pca"],
    "X": lambda a: a.X.toarray(),
    "raw/X": lambda a: a.X.toarray(),
    "layers/dense": lambda a: a.layers["dense"],
    "obsm/frame": lambda a: a.obsm["frame"][["u", "v"]].to_numpy(float),
}


@pytest.mark.parametrize("key", list(EXPECTED))
@pytest.mark.parametrize("text", [None, "obs.score < 0.5"])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_rows_are_those_of_anndata(
    path: Path, key: str, text: str | None, data: st.DataObject
) -> None:
    whole = example()
    table = opened(path, key=key, filter=text)
    kept = np.flatnonzero(whole.obs.score < 0.5) if text else np.arange(N_CELLS)
    assert table.n_rows == len(kept)
    lo = data.draw(st.integers(0, len(kept) - 1))
    hi = data.draw(st.integers(lo + 1, len(kept)))
    np.testing.assert_array_equal(table.read(lo, hi).values, EXPECTED[key](whole)[kept[lo:hi]])
    np.testing.assert_array_equal(table.origin_rows(lo, hi), kept[lo:hi])
    assert table.identity(lo, hi).to_pydict() == {"obs_names": [f"cell{i}" for i in kept[lo:hi]]}


def test_far_apart_cells_are_gathered_in_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anndata_rows, "GATHER_BYTES", 8 * 4 * 10)
    spans: list[int] = []
    values = cells.Cells.values

    def spy(self: cells.Cells, names: Any, dtype: Any, lo: int, hi: int) -> Any:
        spans.append(hi - lo)
        return values(self, names, dtype, lo, hi)

    monkeypatch.setattr(cells.Cells, "values", spy)
    table = opened(path, key="obsm/X_pca", filter="n in [0, 1, 33, 35, 36, 89]", carry="n")
    expected = example().obsm["X_pca"][[0, 1, 33, 35, 36, 89]]
    np.testing.assert_array_equal(table.read(0, 6).values, expected)
    assert max(spans) <= 10
    assert table.identity(0, 6).to_pydict()["n"] == [0, 1, 33, 35, 36, 89]


def test_every_kind_of_obs_column_is_carried(path: Path) -> None:
    names = ["score", "type", "count", "good", "plain", "text", "n"]
    table = opened(path, key="obsm/X_pca", id="obs.text", carry=[f"obs/{n}" for n in names])
    found = table.identity(10, 50).to_pandas()
    assert list(found) == ["text", "score", "type", "count", "good", "plain", "n"]
    obs = example().obs.iloc[10:50].reset_index(drop=True)
    for name in names:
        pd.testing.assert_series_equal(
            found[name].astype(object).where(found[name].notna(), None),
            obs[name].astype(object).where(obs[name].notna(), None),
        )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("obs.type == 'T'", lambda o: o.type == "T"),
        ("obs.type is null", lambda o: o.type.isna()),
        ("obs/count > 3", None),
        ("count > 3 and obs.plain", lambda o: o["count"].fillna(0).gt(3) & o.plain),
        ("obs.good == true", lambda o: o.good.fillna(False)),
        ("obs_names in ['cell3', 'cell5']", lambda o: o.index.isin(["cell3", "cell5"])),
        ("text in ['t1'] and n < 50", lambda o: (o.text == "t1") & (o.n < 50)),
    ],
)
def test_filters_on_obs(path: Path, text: str, kept: Any) -> None:
    if kept is None:  # a slash divides, here as everywhere
        with pytest.raises(DataError, match=r"has no obs; it has obs\.obs_names, obs\.score"):
            opened(path, key="obsm/X_pca", filter=text)
        return
    table = opened(path, key="obsm/X_pca", filter=text)
    expected = np.flatnonzero(kept(example().obs))
    np.testing.assert_array_equal(table.origin_rows(0, table.n_rows), expected)


def test_drops_and_description(path: Path) -> None:
    table = opened(path, key="obsm/X_pca", filter="obs.score < 0.5", limit=5)
    score = example().obs.score
    assert table.n_rows == 5
    assert table.dropped == {
        "filter false": int((score >= 0.5).sum()),
        "obs.score missing": int(score.isna().sum()),
    }
    described = table.described
    assert (described["format"], described["rows_in_input"]) == ("anndata", N_CELLS)
    assert described["id"] == ["obs_names"]


def test_names_of_columns(path: Path) -> None:
    assert opened(path, key="obsm/X_pca").columns == ("X_pca-0", "X_pca-1", "X_pca-2", "X_pca-3")
    assert opened(path, key="X").columns[:2] == ("gene0", "gene1")
    assert opened(path, key="obsm/frame").columns == ("u", "v")
    picked = opened(path, key="X", columns=("gene4", "gene1"))
    np.testing.assert_array_equal(picked.read(0, 9).values, example().X.toarray()[:9, [4, 1]])
    scores = opened(path, key="obs", columns=("n", "score"))
    np.testing.assert_array_equal(scores.read(0, 9).values, example().obs[["n", "score"]][:9])
    assert opened(path, key="obs").columns == ("score", "count")


def test_keys_that_are_not_there(path: Path) -> None:
    name = path.name
    with pytest.raises(DataError) as caught:
        opened(path, key="obsm/X_pcs")
    assert str(caught.value) == (
        f"source.key: {name} has no obsm/X_pcs; it has X (6), layers/columns (6), "
        "layers/dense (6), obsm/X_pca (4), obsm/frame (3), raw/X (6). Did you mean obsm/X_pca?"
    )
    with pytest.raises(DataError, match=r"has X \(6\), .*; name one"):
        opened(path)
    with pytest.raises(DataError, match=r"stored by columns \(csc\).*tocsr"):
        opened(path, key="layers/columns")
    with pytest.raises(DataError, match=r"s holds text"):
        opened(path, key="obsm/frame", columns=("u", "s"))
    with pytest.raises(DataError, match=r"source\.carry: .* has no typ; .*Did you mean type\?"):
        opened(path, key="X", carry="obs.typ")


def test_wide_sparse_matrices_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MAX_DENSE", 5)
    with pytest.raises(DataError, match=r"sparse with 6 columns.*: obsm/X_pca \(4\)"):
        opened(path, key="X")
    assert opened(path, key="X", columns=("gene1",)).n_rows == N_CELLS


def test_a_missing_chunk_of_a_sparse_matrix_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    example().write_zarr(path)
    next((path / "X" / "indices").glob("[0c]*")).rename(tmp_path / "lost")
    with pytest.raises(DataError, match=r"x\.zarr/X/indices: 1 of 1 chunks are missing"):
        opened(path, key="X")


def test_the_only_matrix_needs_no_key(tmp_path: Path) -> None:
    anndata.AnnData(obsm={"X_vae": np.ones((3, 2))}).write_h5ad(tmp_path / "x.h5ad")
    assert opened(tmp_path / "x.h5ad").described["key"] == "obsm/X_vae"


def test_several_files_are_one_run_of_rows(tmp_path: Path) -> None:
    whole = example()
    whole[:30].copy().write_h5ad(tmp_path / "1.h5ad")
    whole[30:].copy().write_h5ad(tmp_path / "2.h5ad")
    table = opened(tmp_path / "*.h5ad", key="obsm/X_pca", filter="score < 0.5", carry="type")
    kept = np.flatnonzero(whole.obs.score < 0.5)
    np.testing.assert_array_equal(table.read(0, len(kept)).values, whole.obsm["X_pca"][kept])
    np.testing.assert_array_equal(table.origin_rows(0, len(kept)), kept)
    assert table.identity(0, len(kept)).column(0).to_pylist() == whole.obs_names[kept].tolist()
    assert table.dropped["score missing"] == whole.obs.score.isna().sum()
    whole[:, :3].copy().write_h5ad(tmp_path / "3.h5ad")
    with pytest.raises(DataError, match=r"3\.h5ad/X has other columns .* 1\.h5ad/X"):
        opened(tmp_path / "*.h5ad", key="X")


def test_a_lock_of_another_process_does_not_stop_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    anndata.AnnData(obsm={"X_vae": np.ones((3, 2))}).write_h5ad(path)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            h5py.File(path, "r", locking=True)
        assert opened(path).read(0, 3).values.sum() == 6


def test_old_categories_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    anndata.AnnData(
        obs=pd.DataFrame({"n": [1, 2, 3]}, index=list("abc")), obsm={"X_v": np.ones((3, 2))}
    ).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        codes = file["obs"].create_dataset("type", data=np.array([1, -1, 0], np.int8))
        kept = file["obs"].create_dataset("__categories/type", data=np.array([b"B", b"T"]))
        codes.attrs["categories"] = kept.ref
        file["obs"].attrs["column-order"] = np.array(["n", "type"], dtype=object)
    table = opened(path, carry="type")
    assert table.identity(0, 3).to_pydict()["type"] == ["T", None, "B"]


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    example().write_h5ad(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"x\.h5ad: damaged, or not an HDF5 file .*truncated"):
        opened(path)
    path.write_bytes(b"not hdf5")
    with pytest.raises(DataError, match=r"x\.h5ad: damaged, or not an HDF5 file"):
        opened(path)
    with h5py.File(path, "w") as file:
        file["data"] = np.ones((3, 2))
    with pytest.raises(DataError, match="not AnnData: it has no obs"):
        opened(path)


def test_a_file_can_be_rewritten_after_release(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    anndata.AnnData(obsm={"X_vae": np.ones((3, 2))}).write_h5ad(path)
    opened(path).read(0, 1)
    release()
    with h5py.File(path, "r+") as file:
        file["obsm/X_vae"][0, 0] = 5
    os.utime(path)
    assert opened(path).read(0, 1).values[0, 0] == 5


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5ad").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ConfigError, match=r"pip install 'gmm-dask\[anndata\]'"):
        opened(tmp_path / "x.h5ad")
