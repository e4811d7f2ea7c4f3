"""`KMeans` against scikit-learn's Lloyd, pass by pass, and on every kind of input."""

from __future__ import annotations

import pickle
import warnings

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from sklearn.base import clone
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import estimator_checks_generator

from gmm_dask import ConfigError, DataError, KMeans
from tests.estimator.test_contract import name


def checks() -> list:
    pairs = list(estimator_checks_generator(KMeans(2, init="k-means++", n_init=2, max_iter=5)))
    return [pair for pair in pairs if name(pair[1]) != "check_array_api_input"]


@pytest.mark.parametrize(("model", "check"), checks(), ids=name)
def test_check_estimator(model, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(model)


def rows(D: int = 3, N: int = 600, seed: int = 0):
    """Columns of other sizes, far from the origin; clusters that touch; weights, some of 0."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * np.logspace(0, 2, D) + 3 * rng.integers(0, 6, (N, 1)) + 1e4
    return X, rng.integers(0, 4, N).astype(float)


def both(X, weight, **words):
    """Return their fit and ours from the same words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = SklearnKMeans(n_init=1, algorithm="lloyd", **words).fit(X, sample_weight=weight)
        return theirs, KMeans(n_init=1, **words).fit(X, sample_weight=weight)


def assert_same(theirs, ours, centre=1e-14):
    """Sums are rounded otherwise; centres at 1e4 to 1e-14 of it, inertias to 1e-12."""
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=centre)
    assert ours.n_iter_ == theirs.n_iter_


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("D", [1, 3, 20])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 300])
def test_lloyd_pass_by_pass(D, steps, weighted):
    X, weight = rows(D)
    start = np.random.default_rng(1).choice(X, 7, replace=False)
    assert_same(
        *both(X, weight if weighted else None, n_clusters=7, init=start, max_iter=steps, tol=0)
    )


@pytest.mark.parametrize("tol", [1e-4, 1e-2, 1.0])
def test_the_tolerance_is_theirs(tol):
    X, _ = rows()
    assert_same(*both(X, None, n_clusters=7, init=X[:7], tol=tol))


@pytest.mark.parametrize("weighted", [False, True])
def test_clusters_without_rows_begin_at_the_farthest(weighted):
    X, weight = rows()
    start = np.concatenate([X[:4], X[:1] + 1e7])
    for steps in (1, 2, 300):
        theirs, ours = both(
            X, weight + 1 if weighted else None, n_clusters=5, init=start, max_iter=steps, tol=0
        )
        assert_same(theirs, ours)
    both_lost = np.concatenate([X[:4], X[:2] + 1e7])
    theirs, ours = both(X, None, n_clusters=6, init=both_lost, max_iter=1, tol=0)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)


@pytest.mark.parametrize("init", ["k-means++", "random", "array"])
def test_a_weight_is_a_number_of_copies(init):
    X, weight = rows(2, 200)
    words = {"n_clusters": 4, "init": X[:4] if init == "array" else init, "n_init": 1}
    one = KMeans(random_state=3, **words).fit(X, sample_weight=weight)
    copies = np.repeat(X, weight.astype(int), axis=0)
    two = KMeans(random_state=3, **words).fit(copies)
    np.testing.assert_allclose(one.cluster_centers_, two.cluster_centers_, rtol=1e-13)
    assert one.inertia_ == pytest.approx(two.inertia_, rel=1e-11)
    assert one.score(X, sample_weight=weight) == pytest.approx(-one.inertia_, rel=1e-12)


@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random"])
def test_starts_find_what_lies_apart(init):
    rng = np.random.default_rng(5)
    label = rng.integers(0, 6, 3000)
    X = 40.0 * np.stack([label % 3, label // 3], axis=1) + rng.normal(size=(3000, 2))
    model = KMeans(6, init=init, n_init=5, random_state=0).fit(X)
    assert model.inertia_ == pytest.approx(((X - X.round(-1)) ** 2).sum(), rel=0.5)
    assert len(set(zip(label, model.labels_, strict=True))) == 6


def test_k_means_parallel_draws_by_weight():
    """Rows of weight 0 are never centres, however far they lie."""
    X, _ = rows(2, 400)
    X[:40] += 1e6
    weight = np.r_[np.zeros(40), np.ones(360)]
    model = KMeans(5, random_state=0).fit(X, sample_weight=weight)
    alone = KMeans(5, random_state=0).fit(X[40:])
    assert model.cluster_centers_.max() < 1e5
    assert model.inertia_ == pytest.approx(alone.inertia_, rel=0.3)


def test_every_input_gives_the_same_bits(tmp_path):
    X, weight = rows(3, 5000)
    stored = zarr.open_array(str(tmp_path / "x.zarr"), mode="w", shape=X.shape, chunks=(700, 2))
    stored[:] = X
    words = {"n_clusters": 6, "random_state": 2}
    models = [
        KMeans(**words).fit(data)
        for data in (X, da.from_array(X, chunks=999), da.from_array(X, chunks=1234), stored)
    ]
    models.append(KMeans(**words).fit(pd.DataFrame(X, columns=list("abc"))))
    for model in models[1:]:
        np.testing.assert_array_equal(model.cluster_centers_, models[0].cluster_centers_)
        assert (model.inertia_, model.n_iter_) == (models[0].inertia_, models[0].n_iter_)
    lazy = da.from_array(X, chunks=999)
    labels, distances = models[1].predict(lazy), models[1].transform(lazy)
    assert isinstance(labels, da.Array)
    np.testing.assert_array_equal(labels.compute(), models[0].labels_)
    np.testing.assert_array_equal(distances.compute(), models[0].transform(X))
    np.testing.assert_array_equal(models[3].predict(stored), models[0].labels_)
    weighted = [
        KMeans(**words).fit(X, sample_weight=weight),
        KMeans(**words).fit(lazy, sample_weight=da.from_array(weight, chunks=999)),
    ]
    np.testing.assert_array_equal(weighted[0].cluster_centers_, weighted[1].cluster_centers_)


def test_distances_labels_and_score_agree():
    X, _ = rows()
    model = KMeans(5, random_state=0).fit(X)
    distances = model.transform(X)
    expected = np.linalg.norm(X[:, None] - model.cluster_centers_, axis=2)
    np.testing.assert_allclose(distances, expected, rtol=1e-10)
    np.testing.assert_array_equal(distances.argmin(axis=1), model.predict(X))
    assert model.score(X) == pytest.approx(-(expected.min(axis=1) ** 2).sum(), rel=1e-12)
    assert list(model.get_feature_names_out()) == [f"kmeans{k}" for k in range(5)]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.labels_)
    assert clone(model).get_params() == model.get_params()


def test_units_change_no_bit_of_a_label():
    X, _ = rows()
    one = KMeans(5, random_state=0).fit(X)
    two = KMeans(5, random_state=0).fit(X * 2.0**-70)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_array_equal(two.cluster_centers_ * 2.0**70, one.cluster_centers_)


def test_equal_rows_are_told_of():
    X = np.repeat([[0.0, 1.0], [2.0, 3.0]], 10, axis=0)
    with pytest.warns(ConvergenceWarning, match="2 distinct clusters"):
        model = KMeans(3, random_state=0).fit(X)
    assert model.inertia_ == 0.0


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        ({"n_clusters": 0}, ConfigError, "n_clusters is 0"),
        ({"init": "best"}, ConfigError, "init is 'best'"),
        ({"init": np.zeros((2, 2))}, ConfigError, "init has shape"),
        ({"n_init": 0}, ConfigError, "n_init is 0"),
        ({"n_clusters": 601}, DataError, "n_samples=600"),
    ],
)
def test_what_cannot_be_is_refused(words, error, match):
    with pytest.raises(error, match=match):
        KMeans(**words).fit(rows()[0])


def test_nan_is_refused():
    X, _ = rows()
    X[3, 1] = np.nan
    with pytest.raises(DataError, match="NaN"):
        KMeans(2).fit(X)
    with pytest.raises((DataError, ValueError), match="NaN"):
        KMeans(2).fit(rows()[0]).predict(X)
