"""Every way to degenerate: finite parameters, the component and the cause, a line in the record.

Situations a to g: collapse on duplicates and on few rows, flat and squashed clusters, constant
columns, one distant row, empty components, identical starts, as many components as rows.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import DataError, DataWarning, DegenerateWarning, GaussianMixture
from tests.fits.test_hard_data import sound
from tests.strategies import KINDS, clusters

EVERY = pytest.mark.parametrize("kind", KINDS)


def fitted(X: np.ndarray, K: int, kind: str = "full", **words) -> tuple[GaussianMixture, list[str]]:
    """Return a fit and its warnings of degenerate components."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        words = {"random_state": 0, "tol": 1e-7, "max_iter": 300, **words}
        model = GaussianMixture(K, covariance_type=kind, **words).fit(X)
    said = [str(w.message) for w in caught if issubclass(w.category, DegenerateWarning)]
    others = [w for w in caught if not issubclass(w.category, DegenerateWarning)]
    assert all(issubclass(w.category, ConvergenceWarning | DataWarning) for w in others)
    # what is warned of is in the record, and the other way round
    assert said == (["; ".join(model.candidate_.best.problems)] if said else [])
    assert model.candidate_.degenerate == bool(said)
    return model, said


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_duplicates(kind):
    X, _ = clusters(300, 2, 2)
    X[:80] = [40.0, -30.0]
    model, said = fitted(X, 3, kind)
    sound(model, X)
    alone = int(model.predict([[40.0, -30.0]])[0])
    assert said
    assert f"component {alone} is flat" in said[0]
    assert model.weights_[alone] == pytest.approx(80 / 300, rel=1e-6)


def test_a_fewer_distinct_rows_than_columns_and_one():
    """Three rows in three columns lie in a plane; the component on them is flat."""
    rng = np.random.default_rng(1)
    X = np.vstack([rng.normal(size=(200, 3)), rng.normal(size=(3, 3)) + 50.0])
    model, said = fitted(X, 2)
    sound(model, X)
    alone = int(model.predict(X)[-1])
    assert said
    assert f"component {alone} is flat" in said[0]


def test_b_a_squashed_cluster_is_genuine():
    """One ten-millionth as wide in one direction in which all else lies as close: no floor."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 3)) * [1.0, 1.0, 1e-20]
    X[200:, 0] += 12.0
    model, said = fitted(X, 2)
    assert not said
    sound(model, X)
    widths = np.sqrt(model.covariances_[:, 2, 2])
    np.testing.assert_allclose(widths, 1e-20, rtol=0.2)


def test_b_determinants_that_no_number_holds():
    """D = 24 and widths of 1e-20: the determinant is 1e-960."""
    X = 1e-20 * np.random.default_rng(3).normal(size=(600, 24))
    X[300:, 0] += 1e-18
    means = np.zeros((2, 24))
    means[1, 0] = 1e-18
    model, said = fitted(X, 2, means_init=means)
    assert not said
    sound(model, X)
    np.testing.assert_allclose(model.weights_, 0.5, atol=1e-9)


@EVERY
def test_c_a_constant_column(kind):
    X, _ = clusters(200, 3, 2)
    X[:, 1] = 7.5
    with pytest.raises(DataError, match=r"1 of 3 columns are constant: x1 \(always 7\.5\)"):
        GaussianMixture(2, covariance_type=kind).fit(X)
    model = GaussianMixture(2, covariance_type=kind, reg_covar=1e-4, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateWarning)  # every component is flat in it
        with pytest.warns(DataWarning, match="x1"):
            model.fit(X)
    sound(model, X)
    np.testing.assert_allclose(model.means_[:, 1], 7.5, rtol=1e-12)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
@pytest.mark.parametrize("size", [1e8, 1e150])
def test_d_one_distant_row(kind, size):
    X, _ = clusters(300, 2, 2)
    X[17] = size
    model, said = fitted(X, 3, kind)
    sound(model, X)
    alone = int(model.predict(X)[17])
    assert (model.predict(X) == alone).sum() == 1
    assert said
    assert f"component {alone}" in said[0]


def test_d_a_row_whose_distance_no_number_holds():
    """A fit without the row predicts it: finite responsibilities for the nearest component."""
    X, _ = clusters(300, 2, 2)
    model, _ = fitted(X, 2)
    resp = model.predict_proba(np.array([[1e200, 0.0], [-1e300, 1e300]]))
    assert np.isfinite(resp).all()
    np.testing.assert_array_equal(np.sort(resp, axis=1), [[0.0, 1.0], [0.0, 1.0]])


@EVERY
def test_e_an_empty_component(kind):
    """A component that begins where no row lies gets none, and keeps what it has."""
    X, _ = clusters(300, 2, 2, apart=4.0)
    tight = {"full": np.eye(2), "tied": np.eye(2), "diag": np.ones(2), "spherical": 1.0}[kind]
    scale = 1e4 * np.asarray(tight)
    precisions = scale if kind == "tied" else np.repeat(scale[None], 3, axis=0)
    means = np.array([X[0], X[1], [1e6, 1e6]])
    model, said = fitted(X, 3, kind, means_init=means, precisions_init=precisions)
    sound(model, X)
    assert model.weights_[2] < 1e-6
    assert said
    assert "component 2" in said[0]


@EVERY
def test_f_identical_starts(kind):
    """Equal means and precisions are a saddle: told of, or left by a split."""
    X, _ = clusters(400, 2, 2, apart=12.0)
    S = np.cov(X.T, bias=True)
    precision = {
        "full": np.repeat(np.linalg.inv(S)[None], 2, axis=0),
        "tied": np.linalg.inv(S),
        "diag": np.repeat(1 / np.diagonal(S)[None], 2, axis=0),
        "spherical": np.repeat(1 / np.diagonal(S).mean(), 2),
    }[kind]
    means = np.repeat(X.mean(axis=0)[None], 2, axis=0)
    words = {"means_init": means, "precisions_init": precision, "weights_init": [0.5, 0.5]}
    model, said = fitted(X, 2, kind, **words)
    sound(model, X)
    alone = GaussianMixture(1, covariance_type=kind).fit(X)
    assert model.lower_bound_ > alone.lower_bound_ + 0.1
    assert not said


@EVERY
@pytest.mark.parametrize("K", [9, 10])
def test_g_as_many_components_as_rows(kind, K):
    X = np.random.default_rng(1).normal(size=(10, 2))
    model, said = fitted(X, K, kind)
    sound(model, X)
    if kind != "tied":
        assert said
        assert "component" in said[0]


def test_a_permutation_of_rows_permutes_labels_at_most():
    X, _ = clusters(300, 2, 3, seed=5)
    order = np.random.default_rng(0).permutation(300)
    one, _ = fitted(X, 3, n_init=5)
    other, _ = fitted(X[order], 3, n_init=5)
    assert other.lower_bound_ == pytest.approx(one.lower_bound_, abs=1e-5)
    np.testing.assert_allclose(np.sort(other.weights_), np.sort(one.weights_), atol=1e-3)
