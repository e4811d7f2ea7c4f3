"""Real rows: Old Faithful fits; droplets have rain, cells heavy tails, stars pairs that overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from gmm_dask import GaussianMixture, ambiguity, goodness_of_fit, resolvability


def test_old_faithful_has_no_heavy_tails(shared_data):
    X = (
        pd.read_csv(shared_data / "classic" / "faithful.csv")
        .select_dtypes("number")
        .to_numpy(float)
    )
    model = GaussianMixture(2, random_state=0).fit(X[:, -2:])
    found = goodness_of_fit(model, X[:, -2:])
    assert not [text for text in found.findings if "heavier" in text]
    assert ambiguity(model, X[:, -2:]).share < 0.05  # the two kinds of eruptions lie apart


def test_droplets_have_rain(shared_data):
    """Droplets between negative and positive are no Gaussian group, and it is said."""
    path = shared_data / "ddpcr" / "five_wells_droplets.parquet"
    rows = pd.read_parquet(path, columns=["fam_amplitude", "hex_amplitude"]).to_numpy(np.float64)
    model = GaussianMixture(4, random_state=0, n_init=2).fit(rows)
    found = goodness_of_fit(model, rows)
    assert any("is not Gaussian" in text for text in found.findings)
    assert max(shape.distance for shape in found.components) > 0.05


def test_cells_have_heavy_tails(shared_data):
    """Latent spaces of single cells are not Gaussian far out; the level is found by simulation."""
    anndata = pytest.importorskip("anndata")
    cells = anndata.read_h5ad(shared_data / "single_cell" / "pbmc68k_reduced.h5ad")
    X = np.asarray(cells.obsm["X_pca"], dtype=float)[:, :10]
    model = GaussianMixture(3, random_state=0).fit(X)
    tail = next(s for s in goodness_of_fit(model, X).densities if s.share == 1e-3)
    drawn = model.score_samples(model.sample(100_000)[0])
    found = (model.score_samples(X) < np.quantile(drawn, 1e-3)).sum()
    # 100 draws lie below this level, so it moves by a tenth; rows lie 38 times too many there
    assert abs(tail.found - found) <= 3
    assert tail.low > 10


def test_stars_have_pairs_that_overlap(shared_data):
    """Bayes error of the nearest pair by simulation with scipy's densities."""
    path = shared_data / "survey" / "gaia_dr3_cone_ra45_dec0.parquet"
    rows = pd.read_parquet(path, columns=["pmra", "pmdec", "parallax"]).dropna().to_numpy(float)
    model = GaussianMixture(5, random_state=0).fit(rows)
    pair = max(resolvability(model).pairs, key=lambda pair: pair.coefficient)
    assert pair.coefficient > 0.6
    j, k = pair.first, pair.second
    rng = np.random.default_rng(0)
    weights = model.weights_[[j, k]] / model.weights_[[j, k]].sum()
    both = [multivariate_normal(model.means_[i], model.covariances_[i]) for i in (j, k)]
    n = 200_000
    first = int(rng.binomial(n, weights[0]))
    wrong = 0
    for i, count in enumerate((first, n - first)):
        x = both[i].rvs(count, random_state=rng)
        joint = [np.log(w) + one.logpdf(x) for w, one in zip(weights, both, strict=True)]
        wrong += int((np.argmax(joint, axis=0) != i).sum())
    error = wrong / n
    # four standard errors of the simulation, and what the answer says of itself
    slack = 4 * np.sqrt(error * (1 - error) / n) + 4 * pair.bayes_error_error
    assert pair.bayes_error == pytest.approx(error, abs=slack)
