"""Equal covariances, equal means and means on a line, against direct maximisation."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import ConfigError, GaussianMixture, fit_many
from gmm_dask.families.lines import Line, means_on_line
from tests.fits.test_frozen import log_likelihood, quiet
from tests.strategies import KINDS, clusters

EVERY = pytest.mark.parametrize("kind", KINDS)
LONG = {"tol": 1e-12, "max_iter": 5000, "random_state": 0}


def test_least_squares_on_a_line_by_a_general_solver():
    """Weighted by full precisions of each component; one without rows counts nothing."""
    rng = np.random.default_rng(0)
    t = np.array([0.0, 1.0, 2.5, 4.0])
    targets = rng.normal(size=(4, 3))
    A = rng.normal(size=(4, 3, 3))
    precisions = A @ A.transpose(0, 2, 1) * np.array([3.0, 0.0, 50.0, 1e4])[:, None, None]
    found = means_on_line(Line((0, 1, 2, 3), tuple(t)), targets, precisions)

    rows, wanted = [], []
    for k in (0, 2, 3):
        root = np.linalg.cholesky(precisions[k]).T
        rows.append(np.hstack([root, t[k] * root]))
        wanted.append(root @ targets[k])
    a, b = np.linalg.lstsq(np.vstack(rows), np.concatenate(wanted))[0].reshape(2, 3)
    np.testing.assert_allclose(found, a + t[:, None] * b, atol=1e-10)


def rows_on_a_line() -> np.ndarray:
    rng = np.random.default_rng(1)
    counts = (400, 150, 60)
    return np.concatenate(
        [rng.normal(1 + 3 * k, 0.5 + 0.3 * k, (n, 1)) for k, n in enumerate(counts)]
    )


def test_means_on_a_line_reach_the_direct_optimum():
    X = rows_on_a_line()

    def unpacked(point):
        shares = np.exp([0.0, *point[:2]])
        means = point[2] + point[3] * np.arange(3)[:, None]
        return shares / shares.sum(), means, np.exp(point[4:])[:, None, None]

    start = [-1.0, -2.0, 1.0, 3.0, -1.0, -1.0, 0.0]
    best = minimize(lambda p: -log_likelihood(X, *unpacked(p)), start, method="BFGS")
    model = GaussianMixture(3, shared={"mean": [{0: 0, 1: 1, 2: 2}]}, **LONG).fit(X)
    weights, means, matrices = unpacked(best.x)
    assert len(X) * model.lower_bound_ == pytest.approx(-best.fun, rel=1e-9)
    order = slice(None, None, 1 if model.means_[0, 0] < model.means_[2, 0] else -1)
    np.testing.assert_allclose(model.means_[order], means, atol=1e-3)
    np.testing.assert_allclose(model.covariances_[order], matrices, rtol=1e-2)
    np.testing.assert_allclose(model.weights_[order], weights, atol=1e-3)
    np.testing.assert_allclose(np.diff(model.means_, 2, axis=0), 0.0, atol=1e-13)
    assert model.n_parameters == 2 + 2 + 3
    assert (np.diff(model.lower_bounds_) > -1e-12).all()


def test_equal_means_reach_the_direct_optimum():
    """A wide and a narrow component at one place: heavy tails."""
    rng = np.random.default_rng(2)
    X = np.concatenate([rng.normal(0.3, 1, (400, 1)), rng.normal(0.3, 4, (200, 1))])

    def unpacked(point):
        p = 1 / (1 + np.exp(-point[0]))
        return np.array([p, 1 - p]), np.full((2, 1), point[1]), np.exp(point[2:])[:, None, None]

    best = minimize(lambda p: -log_likelihood(X, *unpacked(p)), [0.0, 0.0, 0.0, 3.0], method="BFGS")
    words = {"precisions_init": [[[1.0]], [[0.1]]], "means_init": [[0.0], [1.0]]}
    model = GaussianMixture(2, shared={"mean": [[0, 1]]}, **words, **LONG).fit(X)
    assert len(X) * model.lower_bound_ == pytest.approx(-best.fun, rel=1e-9)
    assert model.means_[0, 0] == model.means_[1, 0]
    assert model.n_parameters == 4


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_equal_covariances_lie_between_tied_and_free(kind):
    """Of all components they are a tied model's; of some, they are pooled over these alone."""
    X, _ = clusters(500, 2, 3, seed=3, apart=4.0)
    words = {"means_init": X[:3], "covariance_type": kind, **LONG}
    some = GaussianMixture(3, shared={"covariance": [[0, 2]]}, **words).fit(X)
    np.testing.assert_array_equal(some.covariances_[0], some.covariances_[2])
    free = GaussianMixture(3, **words).fit(X)
    size = {"full": 3, "diag": 2, "spherical": 1}[kind]
    assert some.n_parameters == free.n_parameters - size
    resp = some.predict_proba(X)[:, [0, 2]]
    apart = X[:, None] - some.means_[[0, 2]]
    S = np.einsum("nk,nkd,nke->de", resp, apart, apart) / resp.sum()
    expected = {"full": S, "diag": np.diag(S), "spherical": np.trace(S) / 2}[kind]
    np.testing.assert_allclose(some.covariances_[0], expected, rtol=1e-4)
    assert (np.diff(some.lower_bounds_) > -1e-12).all()
    if kind == "full":
        every = GaussianMixture(3, shared={"covariance": [[0, 1, 2]]}, **words).fit(X)
        tied = GaussianMixture(3, **{**words, "covariance_type": "tied"}).fit(X)
        assert every.lower_bound_ == pytest.approx(tied.lower_bound_, rel=1e-8)
        assert every.n_parameters == tied.n_parameters
        assert sorted(every.weights_) == pytest.approx(sorted(tied.weights_), abs=1e-4)


@EVERY
def test_leaps_stay_on_the_line(kind):
    rng = np.random.default_rng(4)
    X = np.concatenate([rng.normal(2.0 * k, 1.0, (300, 2)) for k in range(4)])
    shared = {"mean": [{k: k for k in range(4)}]}
    found = fit_many(
        X, 4, kind, shared=shared, init_params="kmeans", random_state=0, tol=1e-8, race=False
    ).best
    np.testing.assert_allclose(np.diff(found.means_, 2, axis=0), 0.0, atol=1e-12)
    plain = quiet(
        GaussianMixture(4, covariance_type=kind, shared=shared, random_state=0, tol=1e-8), X
    )
    assert found.lower_bound_ >= plain.lower_bound_ - 1e-5


def test_a_saved_model_keeps_what_is_shared(tmp_path):
    X = rows_on_a_line()
    shared = {"mean": [{0: 0, 1: 1}], "covariance": [[1, 2]]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = GaussianMixture(3, shared=shared, random_state=0, max_iter=5).fit(X)
    model.save(tmp_path / "m.zarr")
    loaded = GaussianMixture.load(tmp_path / "m.zarr")
    assert loaded.n_parameters == model.n_parameters == 2 + 3 + 2
    np.testing.assert_array_equal(loaded.means_, model.means_)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"shared": {"mean": [[0]]}}, "groups of components are needed"),
        ({"shared": {"mean": [0, 1]}}, "groups of components are needed"),
        ({"shared": {"weight": [[0, 1]]}}, "groups of components are needed"),
        ({"shared": {"mean": [{0: np.nan, 1: 1}]}}, "groups of components are needed"),
        ({"shared": {"mean": [[0, 1], [1, 2]]}}, "means of component 1 are constrained twice"),
        ({"shared": {"covariance": [[0, 7]]}}, "component 7 is named"),
        ({"shared": {"covariance": [[0, 1]]}, "covariance_type": "tied"}, "one covariance serves"),
        (
            {"shared": {"mean": [[0, 1]]}, "frozen": {0: "mean"}, "means_init": np.zeros((3, 2))},
            "constrained twice",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(words, match):
    with pytest.raises(ConfigError, match=match):
        GaussianMixture(3, **words).fit(clusters(100, 2, 3)[0])
