"""`sample_weight`: a weight is a number of rows."""

from __future__ import annotations

import pickle

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gmm_dask import DataError, GaussianMixture, fit_many
from tests.strategies import KINDS, clusters

X, _ = clusters(300, 2, 3, apart=5.0)
TIMES = np.random.default_rng(1).integers(0, 4, len(X))
REPEATED = np.repeat(X, TIMES, axis=0)
START = {"means_init": X[:3], "weights_init": [0.4, 0.3, 0.3], "random_state": 0, "max_iter": 1000}


def start(kind: str) -> dict:
    precisions = {
        "full": np.repeat(np.eye(2)[None], 3, axis=0),
        "tied": np.eye(2),
        "diag": np.ones((3, 2)),
        "spherical": np.ones(3),
    }
    # a floor by unit, as the relative one is of the column's variance to its last bit
    words = {"covariance_type": kind, "precisions_init": precisions[kind], "reg_covar": 1e-9}
    return {**START, **words}


def same(a: GaussianMixture, b: GaussianMixture) -> None:
    # passes add up the same numbers in another order: 1e-9 after a hundred of them
    np.testing.assert_allclose(a.weights_, b.weights_, rtol=1e-9)
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(a.covariances_, b.covariances_, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_weights_are_repeated_rows(kind):
    a = GaussianMixture(3, **start(kind)).fit(X, sample_weight=TIMES)
    b = GaussianMixture(3, **start(kind)).fit(REPEATED)
    same(a, b)
    assert a.n_iter_ == b.n_iter_
    assert a.score(X, sample_weight=TIMES) == pytest.approx(b.score(REPEATED), rel=1e-11)
    for criterion in ("bic", "aic", "icl"):
        weighted = getattr(a, criterion)(X, sample_weight=TIMES)
        assert weighted == pytest.approx(getattr(b, criterion)(REPEATED), rel=1e-9)
    assert a.candidate_.n_rows == TIMES.sum()
    assert a.weighted_
    assert not b.weighted_


def test_weight_zero_is_absence():
    """Of rows that would move a mean, widen a column's range, or be the first of the sample."""
    far = np.concatenate([[[1e6, -1e6]], X, [[1e5, 3.0]]])
    weight = np.r_[0.0, np.ones(len(X)), 0.0]
    same(
        GaussianMixture(3, **start("full")).fit(far, sample_weight=weight),
        GaussianMixture(3, **start("full")).fit(X),
    )
    still = np.concatenate([X * [1, 0], [[3.0, 5.0]]])
    with pytest.raises(DataError, match="1 of 2 columns are constant: x1"):
        GaussianMixture().fit(still, sample_weight=np.r_[np.ones(len(X)), 0.0])


def test_one_gaussian_has_the_weighted_moments():
    weight = np.random.default_rng(2).gamma(2.0, size=len(X))
    model = GaussianMixture(1, reg_covar=0.0).fit(X, sample_weight=weight)
    np.testing.assert_allclose(model.means_[0], np.average(X, axis=0, weights=weight), rtol=1e-12)
    expected = np.cov(X.T, aweights=weight, bias=True)
    np.testing.assert_allclose(model.covariances_[0], expected, rtol=1e-10)
    logs = model.score_samples(X)
    expected = np.average(logs, weights=weight)
    assert model.score(X, sample_weight=weight) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("init", ["kmeans", "k-means||", "k-means++", "random", "random_from_data"])
def test_every_start_takes_weights(init):
    """Half of the rows count for nothing: no start may put a component among them."""
    away = np.concatenate([X, X + 1000.0])
    weight = np.r_[np.ones(len(X)), np.zeros(len(X))]
    words = {"init_params": init, "random_state": 1, "max_iter": 500}
    model = GaussianMixture(3, **words).fit(away, sample_weight=weight)
    assert model.means_.max() < 100


def test_equal_weights_are_no_weights():
    words = {"random_state": 0, "tol": 1e-6, "max_iter": 500}
    plain = GaussianMixture(3, **words).fit(X)
    same(GaussianMixture(3, **words).fit(X, sample_weight=np.full(len(X), 2.0)), plain)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(7), "sample_weight has 7 rows, the values have 300"),
        (np.ones((300, 1)), r"sample_weight has shape \(300, 1\)"),
        (-np.ones(300), "row 0: sample_weight is -1"),
        (np.r_[np.ones(200), np.nan, np.ones(99)], "row 200: sample_weight is nan"),
        (np.r_[np.ones(200), np.inf, np.ones(99)], "row 200: sample_weight is inf"),
        (np.zeros(300), "weights of all 300 rows are zero"),
        (["heavy"] * 300, "sample_weight: .*numbers"),
    ],
)
def test_impossible_weights_are_refused(weight, message):
    with pytest.raises(DataError, match=message):
        GaussianMixture(2).fit(X, sample_weight=weight)


@pytest.mark.parametrize("method", ["score", "bic"])
def test_impossible_weights_are_refused_by_criteria(method):
    model = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(DataError, match="row 4: sample_weight is -2"):
        getattr(model, method)(X, sample_weight=np.r_[np.ones(4), -2.0, np.ones(295)])
    with pytest.raises(DataError, match="positive weight"):
        getattr(model, method)(X, sample_weight=np.zeros(300))


def test_pandas_and_dask_weights():
    plain = GaussianMixture(3, **start("full")).fit(X, sample_weight=TIMES.astype(float))
    frame, series = pd.DataFrame(X, columns=["a", "b"]), pd.Series(TIMES)
    for rows, weight in (
        (frame, series),
        (X.tolist(), TIMES.tolist()),
        (da.from_array(X, chunks=(70, 2)), da.from_array(TIMES, chunks=111)),
        (da.from_array(X, chunks=(70, 2)), TIMES),
        (X, da.from_array(TIMES, chunks=111)),
    ):
        model = GaussianMixture(3, **start("full")).fit(rows, sample_weight=weight)
        np.testing.assert_array_equal(model.means_, plain.means_)
        assert model.score(rows, sample_weight=weight) == plain.score(X, sample_weight=TIMES)


def test_single_precision_stays_single():
    rows = X.astype(np.float32)
    a = GaussianMixture(3, **start("full")).fit(rows, sample_weight=TIMES)
    same(a, GaussianMixture(3, **start("full")).fit(np.repeat(rows, TIMES, axis=0)))
    with pytest.raises(DataError, match=r"row 2: its sample_weight 1e-60 is beyond float32"):
        GaussianMixture(3).fit(rows, sample_weight=np.r_[1.0, 1.0, 1e-60, np.ones(297)])


def test_grids_take_weights():
    words = {"covariance_type": "full", "random_state": 0, "reg_covar": 1e-9, "tol": 1e-9}
    a = fit_many(X, [1, 3], sample_weight=TIMES, **words)
    b = fit_many(REPEATED, [1, 3], **words)
    assert a.chosen == b.chosen
    for ours, theirs in zip(a.table(), b.table(), strict=True):
        assert ours["bic"] == pytest.approx(theirs["bic"], rel=1e-5)  # other starts, one optimum
    assert a.best.weighted_


def test_metadata_is_routed():
    with sklearn.config_context(enable_metadata_routing=True):
        model = GaussianMixture(3, random_state=0).set_fit_request(sample_weight=True)
        model = model.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        steps = make_pipeline(scaler, model)
        steps.fit(X, sample_weight=TIMES)
        scaled = StandardScaler().fit_transform(X)
        alone = GaussianMixture(3, random_state=0).fit(scaled, sample_weight=TIMES)
        np.testing.assert_array_equal(steps[-1].means_, alone.means_)
        assert steps.score(X, sample_weight=TIMES) == alone.score(scaled, sample_weight=TIMES)


def test_clone_and_pickle():
    model = GaussianMixture(2, missing="marginalize", compute_dtype="float32", random_state=0)
    assert clone(model).get_params() == model.get_params()
    model.fit(X, sample_weight=TIMES)
    again = pickle.loads(pickle.dumps(model))
    assert again.weighted_
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
