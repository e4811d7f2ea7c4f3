"""A small AnnData with something of everything, and labels for some of its cells."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
import zarr

from pipeline.sinks import WriteBack, with_origin

N_CELLS = 60
STORES = ("h5ad", "zarr2", "zarr3")


def atlas() -> anndata.AnnData:
    rng = np.random.default_rng(4)
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(rng.choice(["T", "B", "NK"], N_CELLS)),
            "score": rng.random(N_CELLS),
            "count": rng.integers(0, 9, N_CELLS),
            "note": [f"nö{i}" for i in range(N_CELLS)],
        },
        index=[f"cell{i}" for i in range(N_CELLS)],
    )
    x = sp.random(N_CELLS, 7, 0.3, format="csr", dtype=np.float32, random_state=1)
    found = anndata.AnnData(x, obs=obs)
    found.obsm["X_pca"] = rng.random((N_CELLS, 3)).astype(np.float32)
    found.layers["raw"] = x.copy()
    found.obsp["near"] = sp.identity(N_CELLS, format="csr")
    found.uns["pca"] = {"ratio": np.arange(3.0), "name": "x"}
    return found


def save(folder: Path, store: str, cells: anndata.AnnData | None = None) -> Path:
    """Write the atlas (or another one) into a folder as one kind of store."""
    cells = atlas() if cells is None else cells
    path = folder / ("atlas.h5ad" if store == "h5ad" else "atlas.zarr")
    zarr_format = 2 if store == "zarr2" else 3
    with warnings.catch_warnings(), anndata.settings.override(zarr_write_format=zarr_format):
        warnings.simplefilter("ignore")
        (cells.write_h5ad if store == "h5ad" else cells.write_zarr)(path)
    return path


def described(path: str | Path) -> dict[str, Any]:
    """Return the attributes, shape and type of everything in a store."""
    found: dict[str, Any] = {}

    def add(name: str, item: Any) -> None:
        attributes = {key: _plain(value) for key, value in dict(item.attrs).items()}
        array = hasattr(item, "shape")
        found[name] = (
            attributes,
            item.shape if array else None,
            str(item.dtype) if array else None,
        )

    if Path(path).is_dir():
        for name, item in zarr.open_group(path, use_consolidated=False).members(max_depth=None):
            add(name, item)
    else:
        with h5py.File(path) as file:
            file.visititems(add)
    return found


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def load(path: str | Path) -> anndata.AnnData:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = anndata.read_zarr if Path(path).is_dir() else anndata.read_h5ad
        return reader(path)


def same_but_for(found: anndata.AnnData, names: tuple[str, ...]) -> None:
    """Fail unless everything but the given obs, obsm and uns keys is the atlas."""
    expected = atlas()
    frame = found.obs.drop(columns=[n for n in names if n in found.obs])
    pd.testing.assert_frame_equal(frame, expected.obs, check_categorical=True)
    pd.testing.assert_frame_equal(found.var, expected.var)
    for one, other in ((found.X, expected.X), (found.layers["raw"], expected.layers["raw"])):
        assert (one != other).nnz == 0
    assert (found.obsp["near"] != expected.obsp["near"]).nnz == 0
    assert set(found.obsm) - set(names) == {"X_pca"}
    np.testing.assert_array_equal(found.obsm["X_pca"], expected.obsm["X_pca"])
    assert set(found.uns) - set(names) == {"pca"}
    np.testing.assert_array_equal(found.uns["pca"]["ratio"], np.arange(3.0))


@dataclass(frozen=True)
class Labels:
    """Labels of the cells that a filter kept."""

    n_components: int
    seed: int
    keep: float = 0.7
    n_cells: int = N_CELLS

    @cached_property
    def origin(self) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(self.seed)
        return np.flatnonzero(rng.random(self.n_cells) < self.keep)

    @cached_property
    def resp(self) -> np.ndarray[Any, Any]:
        rng = np.random.default_rng(self.seed + 1)
        return rng.dirichlet(np.full(self.n_components, 0.3), len(self.origin))

    @property
    def table(self) -> pa.Table:
        columns = {f"resp_{k}": self.resp[:, k] for k in range(self.n_components)}
        label = pa.array(self.resp.argmax(axis=1), pa.int32())
        return pa.table({"label": label, "probability": self.resp.max(axis=1), **columns})

    def rows(self, step: int = 11) -> Iterator[Any]:
        pieces = [self.table.slice(lo, step) for lo in range(0, len(self.origin), step)]
        return with_origin(pieces, lambda lo, hi: self.origin[lo:hi])

    @property
    def parameters(self) -> dict[str, Any]:
        k = self.n_components
        return {
            "weights": np.full(k, 1 / k),
            "means": np.arange(k * 3.0).reshape(k, 3),
            "covariances": np.ones((k, 3, 3)),
            "covariance_type": "full",
            "columns": ("a", "b", "ç"),
            "version": "0.1.0",
            "criterion": {"name": "bic", "value": 12.5, "smaller_is_better": True},
            "unit": None,
        }

    def what(self, obs: str | None = "gmm", obsm: str | None = "X_gmm") -> WriteBack:
        return WriteBack(self.n_components, obs, obsm, self.parameters)

    def check(self, found: anndata.AnnData, obs: str = "gmm", obsm: str = "X_gmm") -> None:
        """Fail unless the labels are in the cells where they belong."""
        label = np.full(self.n_cells, None, dtype=object)
        label[self.origin] = self.resp.argmax(axis=1).astype(str)
        assert found.obs[obs].cat.categories.tolist() == [str(k) for k in range(self.n_components)]
        assert found.obs[obs].astype(object).where(found.obs[obs].notna(), None).tolist() == list(
            label
        )
        assert not found.obs[obs].cat.ordered
        probability = np.full(self.n_cells, np.nan)
        probability[self.origin] = self.resp.max(axis=1)
        np.testing.assert_array_equal(found.obs[f"{obs}_probability"], probability)
        resp = np.full((self.n_cells, self.n_components), np.nan, dtype=np.float32)
        resp[self.origin] = self.resp
        np.testing.assert_array_equal(found.obsm[obsm], resp)
        assert found.obsm[obsm].dtype == np.float32
        self.check_parameters(found.uns[obs])

    def check_parameters(self, found: Any) -> None:
        assert set(found) == set(self.parameters) - {"unit"}
        for name in ("weights", "means", "covariances"):
            np.testing.assert_array_equal(found[name], self.parameters[name])
        assert (found["covariance_type"], found["version"]) == ("full", "0.1.0")
        assert list(found["columns"]) == ["a", "b", "ç"]
        assert found["criterion"] == {"name": "bic", "value": 12.5, "smaller_is_better": True}
