"""The shipped configurations on real data, with smaller grids, and published figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from gmm_dask import GaussianMixture
from pipeline.sinks import sha256_of
from tests.pipeline.run.helpers import Workplace

pytestmark = [pytest.mark.cluster, pytest.mark.data]
CONFIGS = Path(__file__).parents[3] / "configs"


def run(place: Workplace, name: str, *overrides: str) -> tuple[dict[str, Any], Path]:
    """Run a shipped configuration; return the manifest and the folder."""
    folder = place.path / name
    cluster = f"cluster={{type: address, address: '{place.scheduler}'}}"
    words = [
        word for item in (cluster, f"run.dir={folder}", *overrides) for word in ("--set", item)
    ]
    answer = place.call("run", str(CONFIGS / f"{name}.yaml"), *words)
    assert answer.code == 0, answer.err
    assert (folder / "report.html").stat().st_size < 5_000_000
    return json.loads((folder / "run.json").read_text()), folder


def test_gaia(place: Workplace, shared_data: Path) -> None:
    path = shared_data / "survey" / "gaia_dr2_healpix5"
    smaller = ("model.n_components=1..3", "model.n_init=2", "model.tol=1e-4")
    manifest, folder = run(place, "gaia", f"source.path={path}", *smaller)
    stars = pd.concat(pd.read_parquet(file) for file in sorted(path.rglob("*.parquet")))
    kept = stars[stars["ruwe"] < 1.4]
    assert manifest["rows"] == len(kept)
    assert sum(manifest["dropped"].values()) == len(stars) - len(kept)
    labels = pq.read_table(folder / "assignments").to_pandas()
    assert set(labels["source_id"]) == set(kept["source_id"])
    assert labels["source_id"].is_unique
    # what is true is on the whole nearer to the rest than what was measured with errors
    measured = kept.set_index("source_id").loc[labels["source_id"], "parallax"]
    assert labels["deconvolved_parallax"].std() < measured.std()
    # and its widths are smaller than those of a fit that ignores the errors, by about these
    stored = json.loads((folder / "results.json").read_text())
    own = np.array([component["std"] for component in stored["components"]])
    ignored, error = (np.array(stored["widths"][name]) for name in ("std", "error"))
    errors = kept[[f"{c}_error" for c in ("pmra", "pmdec", "parallax")]].to_numpy(np.float64)
    rms = np.sqrt((errors**2).mean(axis=0))
    np.testing.assert_allclose(error, rms, rtol=1e-9)
    assert (ignored > own).all()
    # of the narrowest component by the mean square error: wide ones move by more than that anyway
    apart = ignored[0] ** 2 - own[0] ** 2
    assert 0.5 * rms[2] ** 2 < apart[2] < 2.0 * rms[2] ** 2
    # a tenth of the stars, the same ones for every candidate
    assert manifest["chosen"]["held_out_error"] > 0
    best = max(manifest["candidates"], key=lambda row: row["held_out"])
    assert best["held_out"] - manifest["chosen"]["held_out"] < best["held_out_error"]


def test_gaia_baseline(place: Workplace, shared_data: Path) -> None:
    """scikit-learn with three starts reaches -8.091 per row with five components."""
    path = shared_data / "survey" / "gaia_dr2_healpix5"
    five = ("model={n_components: 5, n_init: 3, tol: 1e-5}", "select={criterion: bic}")
    plain = ("source.filter=null", "source.noise=null", "output=false")
    manifest, _ = run(place, "gaia", f"source.path={path}", *plain, *five)
    assert manifest["rows"] == 32_691
    assert manifest["chosen"]["log_likelihood_per_row"] > -8.0915


def test_single_cell(place: Workplace, shared_data: Path) -> None:
    import anndata

    path = shared_data / "single_cell" / "pbmc68k_reduced.h5ad"
    before = sha256_of(path)
    model = "model={n_components: 8, n_init: 12, reg_covar: 1e-4}"
    manifest, folder = run(place, "single_cell", f"source.path={path}", model)
    # scikit-learn, ten columns as float64, the same ridge: -14.726
    assert manifest["chosen"]["log_likelihood_per_row"] > -14.73
    copy = anndata.read_h5ad(folder / "pbmc68k_reduced_gmm.h5ad")
    labels = pq.read_table(folder / "assignments").column("label").to_numpy()
    assert np.array_equal(copy.obs["gmm"].astype(int), labels)
    assert list(copy.obs["gmm"].cat.categories) == [str(k) for k in range(8)]
    assert np.allclose(copy.obsm["X_gmm"].sum(axis=1), 1, atol=1e-6)
    assert copy.uns["gmm"]["means"].shape == (8, 10)
    compositions = json.loads((folder / "results.json").read_text())["compositions"]
    assert [found["name"] for found in compositions] == ["bulk_labels", "louvain"]
    assert sha256_of(path) == before


def test_flow_equals_the_library(place: Workplace, shared_data: Path) -> None:
    path = shared_data / "flow" / "gvhd_positive.csv"
    model = "model={n_components: 3, covariance_type: full, n_init: 3}"
    manifest, folder = run(place, "flow", f"source.path={path}", model)
    rows = pd.read_csv(path)[["CD4", "CD8b", "CD3", "CD8"]].astype(float)
    words: dict[str, Any] = {"n_init": 3, "tol": 1e-6, "max_iter": 1000, "random_state": 0}
    fitted = GaussianMixture(3, init_params="auto", **words).fit(rows)
    chosen = manifest["chosen"]
    assert chosen["bic"] == pytest.approx(fitted.bic(rows), rel=1e-6)
    stored = GaussianMixture.load(folder / "model.zarr")
    assert np.allclose(stored.weights_, fitted.weights_, atol=1e-3)
    labels = pd.read_csv(next((folder / "assignments").glob("*.csv")))
    assert np.array_equal(labels["label"], stored.predict(rows))
    assert set(manifest["config"]["output"]["columns"]) == {"label", "probability", "entropy"}


@pytest.mark.parametrize(
    ("file", "columns", "model", "bic"),
    [
        # mclust's figures, with the opposite sign: EEE 3, VVV 2 and VVV 3
        ("faithful", None, {"n_components": 3, "covariance_type": "tied"}, 2314.316),
        ("faithful", None, {"n_components": 2, "covariance_type": "full"}, 2322.192),
        ("diabetes", ["glucose", "insulin", "sspg"], {"n_components": 3}, 4751.316),
    ],
)
@pytest.mark.parametrize("transform", [[], ["standardize"]])
def test_published_figures_with_and_without_standardize(
    place: Workplace,
    shared_data: Path,
    file: str,
    columns: list[str] | None,
    model: dict[str, Any],
    bic: float,
    transform: list[str],
) -> None:
    source = {"path": str(shared_data / "classic" / f"{file}.csv"), "columns": columns}
    config = place.config(source=source, model={**model, "n_init": 12}, transform=transform)
    assert place.call("run", config).code == 0
    # mclust ends its EM a little earlier: its tied fit is 0.02 above
    assert place.manifest["chosen"]["bic"] == pytest.approx(bic, abs=0.03)


def test_quickstart(place: Workplace) -> None:
    manifest, folder = run(place, "quickstart", "model.n_components=2..3", "model.n_init=2")
    assert manifest["rows"] == 1797
    assert len(manifest["candidates"]) == 2
    model = GaussianMixture.load(folder / "model.zarr")
    assert model.means_.shape[1] == 10


@pytest.mark.slow
def test_new_digits(place: Workplace) -> None:
    """Digits drawn from the mixture of a latent space look like digits to their neighbours."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import NearestNeighbors

    smaller = ("model.n_components=10", "model.n_init=2", "model.tol=1e-4")
    manifest, folder = run(place, "digits_latent", *smaller)
    drawn = pd.read_csv(folder / "sample" / "rows.csv").drop(columns="label").to_numpy()
    assert drawn.shape == (50, 64)
    assert "sample" in manifest["outputs"]
    real = load_digits().data
    near = NearestNeighbors(n_neighbors=2).fit(real)
    to_real = near.kneighbors(drawn, 1)[0].mean()
    between = near.kneighbors(real)[0][:, 1].mean()
    shuffled = np.random.default_rng(0).permuted(real[:200], axis=0)
    # a new digit is about as far from the nearest real one as those are from one another (some
    # pixels off in its subspace); pixels drawn one by one are much farther
    assert to_real < 1.5 * between
    assert near.kneighbors(shuffled, 1)[0].mean() > 1.5 * to_real
