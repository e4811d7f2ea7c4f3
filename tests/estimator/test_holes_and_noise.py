"""Missing values and errors of rows in every method, against direct formulas."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import multivariate_normal

from gmm_dask import ConfigError, DataError, DataWarning, GaussianMixture, fit_many
from tests.strategies import KINDS, clusters

X, _ = clusters(400, 3, 2, apart=4.0)
RNG = np.random.default_rng(5)
HOLES = np.where(RNG.random(X.shape) < 0.25, np.nan, X)
HOLES[np.isnan(HOLES).all(axis=1)] = X[np.isnan(HOLES).all(axis=1)]
DIAG = RNG.gamma(2.0, 0.01, X.shape)  # well below the widths: EM ends in tens of passes
HALF = RNG.normal(0, 0.1, (400, 3, 2))
FULL = HALF @ HALF.transpose(0, 2, 1)  # singular: one direction is exact
WORDS = {"random_state": 0, "missing": "marginalize", "tol": 1e-4, "max_iter": 500}


def densities(model: GaussianMixture, rows: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
    """Return log weight plus log density (n, K) of what was observed, row by row with SciPy."""
    found = np.empty((len(rows), model.n_components))
    for i, row in enumerate(rows):
        seen = ~np.isnan(row)
        for k in range(model.n_components):
            S = model.mixture_.dense_covariances[k].copy()
            if noise is not None:
                S += np.diag(noise[i]) if noise.ndim == 2 else noise[i]
            S = S[np.ix_(seen, seen)]
            density = multivariate_normal(model.means_[k][seen], S).logpdf(row[seen])
            found[i, k] = np.log(model.weights_[k]) + density
    return found


@pytest.mark.parametrize("noise", [None, DIAG, FULL], ids=["exact", "diag", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_row_outputs_are_those_of_the_formula(kind, noise):
    model = GaussianMixture(2, covariance_type=kind, **WORDS).fit(HOLES, noise=noise)
    joint = densities(model, HOLES, noise)
    norm = np.logaddexp.reduce(joint, axis=1)
    np.testing.assert_allclose(model.score_samples(HOLES, noise=noise), norm, rtol=1e-9, atol=1e-9)
    resp = model.predict_proba(HOLES, noise=noise)
    np.testing.assert_allclose(resp, np.exp(joint - norm[:, None]), atol=1e-9)
    np.testing.assert_array_equal(model.predict(HOLES, noise=noise), joint.argmax(axis=1))
    total = norm.sum()
    assert model.score(HOLES, noise=noise) == pytest.approx(total / 400, rel=1e-10)
    p = model.n_parameters
    assert model.bic(HOLES, noise=noise) == pytest.approx(-2 * total + p * np.log(400), rel=1e-10)
    assert model.aic(HOLES, noise=noise) == pytest.approx(-2 * total + 2 * p, rel=1e-10)
    labels = GaussianMixture(2, covariance_type=kind, **WORDS).fit_predict(HOLES, noise=noise)
    np.testing.assert_array_equal(labels, joint.argmax(axis=1))
    assert model.noise_type_ == ("none" if noise is None else "diag" if noise.ndim == 2 else "full")


@pytest.mark.parametrize("kind", KINDS)
def test_no_noise_and_no_holes_are_the_plain_fit(kind):
    words = {**WORDS, "covariance_type": kind}
    plain = GaussianMixture(2, **(words | {"missing": "error"})).fit(X)
    for model in (
        GaussianMixture(2, **words).fit(X),
        GaussianMixture(2, **words).fit(X, noise=np.zeros_like(X)),
        GaussianMixture(2, **words).fit(X, noise=np.zeros((400, 3, 3))),
    ):
        # other kernels: rounding, carried along some tens of passes
        np.testing.assert_allclose(model.means_, plain.means_, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(model.covariances_, plain.covariances_, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape", ["diag", "full"])
def test_an_infinite_variance_is_a_missing_value(shape):
    absent = np.isnan(HOLES)
    noise = DIAG.copy() if shape == "diag" else FULL.copy()
    if shape == "diag":
        noise[absent] = np.inf
    else:
        noise[absent[:, :, None] | absent[:, None, :]] = np.nan  # correlations with nothing
        i, d = np.nonzero(absent)
        noise[i, d, d] = np.inf
    model = GaussianMixture(2, **WORDS).fit(X, noise=noise)  # the values there are not looked at
    clean = DIAG if shape == "diag" else FULL
    twin = GaussianMixture(2, **WORDS).fit(HOLES, noise=clean)
    np.testing.assert_array_equal(model.means_, twin.means_)
    logs = model.score_samples(X, noise=noise)
    np.testing.assert_array_equal(logs, twin.score_samples(HOLES, noise=clean))
    assert model.bic(X, noise=noise) == twin.bic(HOLES, noise=clean)
    with pytest.raises(DataError, match=r'rows have no x0.*set missing="marginalize"'):
        GaussianMixture(2).fit(X, noise=noise)


def test_one_gaussian_under_equal_noise_is_the_observed_covariance_less_the_noise():
    """With the same noise for all rows the maximum of the likelihood is known."""
    words = {"reg_covar": 0.0, "tol": 1e-12, "max_iter": 5000}
    model = GaussianMixture(1, **words).fit(X, noise=np.full(X.shape, 0.5))
    np.testing.assert_allclose(model.means_[0], X.mean(axis=0), rtol=1e-7)
    expected = np.cov(X.T, bias=True) - 0.5 * np.eye(3)
    # EM gets there geometrically: at a last gain of 1e-12 per row the parameters hold to 1e-4
    np.testing.assert_allclose(model.covariances_[0], expected, rtol=1e-4)


def test_nan_is_refused_by_default_and_the_message_says_what_to_do():
    message = r"100 of 400 rows have no x1 \(first: row 3\)\..*missing=\"marginalize\""
    rows = X.copy()
    rows[np.r_[3, 301:400], 1] = np.nan
    with pytest.raises(DataError, match=message):
        GaussianMixture(2).fit(rows)
    with pytest.raises(DataError, match=message):
        fit_many(rows, [1, 2])
    model = GaussianMixture(2, random_state=0).fit(X)
    for method in (model.predict, model.predict_proba, model.score_samples, model.score, model.bic):
        with pytest.raises(ValueError, match="NaN"):
            method(rows)
        with pytest.raises(ValueError, match="NaN"):
            method(rows, noise=DIAG)
    model.set_params(missing="marginalize")
    assert np.isfinite(model.score_samples(rows)).all()


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "score_samples", "bic"])
def test_infinite_values_are_never_missing(method):
    rows = HOLES.copy()
    rows[7, 2] = np.inf
    model = GaussianMixture(2, **WORDS).fit(HOLES)
    for words in ({}, {"noise": np.zeros_like(X)}):
        with pytest.raises(ValueError, match="infinit"):
            getattr(model, method)(rows, **words)


BAD = {
    "a negative variance": (-DIAG, "row 0: its noise is"),
    "no number": (np.where(np.arange(400)[:, None] == 9, np.nan, DIAG), "row 9: its noise is"),
    "asymmetric": (FULL + 0.1 * np.triu(np.ones((3, 3)), 1), "row 0: .*symmetric"),
    "indefinite": (np.where(np.arange(400)[:, None, None] == 8, -np.eye(3), FULL), "row 8: its"),
    "infinite covariance": (np.where(np.eye(3) == 1, FULL, np.inf), "row 0: .*symmetric"),
    "other columns": (DIAG[:, :2], r"noise has shape \(400, 2\); .*\(N, 3\).*\(N, 3, 3\)"),
    "flat": (FULL.reshape(400, 9), r"noise has shape \(400, 9\)"),
    "fewer rows": (DIAG[:399], "noise has 399 rows, the values have 400"),
    "one for all": (DIAG[0], r"noise has shape \(3,\)"),
    "text": (DIAG.astype(str), "noise: .*numbers"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", ["fit", "predict", "score", "deconvolve"])
def test_impossible_noise_is_refused(name, method):
    noise, message = BAD[name]
    model = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(DataError, match=message):
        getattr(model, method)(X, noise=noise)


def test_noise_of_absent_values_is_not_looked_at():
    noise = np.where(np.isnan(HOLES), np.nan, DIAG)
    words = {**WORDS, "max_iter": 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a = GaussianMixture(2, **words).fit(HOLES, noise=noise)
        b = GaussianMixture(2, **words).fit(HOLES, noise=DIAG)
    np.testing.assert_array_equal(a.means_, b.means_)


def test_rows_without_any_value_say_nothing_and_are_told():
    rows = np.concatenate([HOLES, np.full((2, 3), np.nan)])
    model = GaussianMixture(2, **WORDS).fit(rows)
    assert model.candidate_.n_rows == 400
    with pytest.warns(DataWarning, match=r"2 of 402 rows hold no value \(first: row 400\)"):
        resp = model.predict_proba(rows)
    np.testing.assert_array_equal(resp[400:], np.repeat(model.weights_[None], 2, axis=0))
    with pytest.warns(DataWarning, match="hold no value"):
        assert (model.score_samples(rows)[400:] == 0).all()
    assert model.score(rows) == pytest.approx(model.score(HOLES), rel=1e-12)


def test_a_column_without_any_value_is_named():
    rows = HOLES.copy()
    rows[:, 1] = np.nan
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    with pytest.raises(DataError, match="column b has no value in any row"):
        GaussianMixture(2, **WORDS).fit(frame)
    model = GaussianMixture(2, **WORDS).fit(HOLES)
    assert np.isfinite(model.bic(rows))  # nothing against asking for a density


def test_forgotten_noise_is_told():
    model = GaussianMixture(2, **WORDS).fit(X, noise=DIAG)
    for method in ("predict", "predict_proba", "score_samples", "score", "bic", "impute"):
        with pytest.warns(DataWarning, match="fitted with noise") as told:
            getattr(model, method)(X)
        assert told[0].filename == __file__
    exact = model.score_samples(X, noise=np.zeros_like(X))
    joint = densities(model, X, None)
    np.testing.assert_allclose(exact, np.logaddexp.reduce(joint, axis=1), rtol=1e-9)


def test_single_precision_stays_single():
    """The answer is that of the rounded rows and noise, to what passes add up."""
    rows, noise = HOLES.astype(np.float32), DIAG.astype(np.float32)
    a = GaussianMixture(2, **WORDS).fit(rows, noise=noise)
    b = GaussianMixture(2, **WORDS).fit(rows.astype(float), noise=noise.astype(float))
    np.testing.assert_allclose(a.means_, b.means_, rtol=1e-9)
    with pytest.raises(DataError, match=r"row 1: its noise 1e\+60 is beyond float32"):
        a.fit(rows, noise=np.where(np.arange(400)[:, None] == 1, 1e60, DIAG))


@pytest.mark.slow
def test_grids_choose_with_holes_and_noise():
    words = {"missing": "marginalize", "noise": DIAG, "random_state": 0}
    grid = fit_many(HOLES, [1, 2, 3], ["full", "diag"], **words)
    for model, row in zip(grid.models, grid.table(), strict=True):
        assert model.missing == "marginalize"
        assert model.noise_type_ == "diag"
        assert model.bic(HOLES, noise=DIAG) == pytest.approx(row["bic"], rel=1e-10)
    assert grid.best.n_components == 2
    held = fit_many(HOLES, [1, 2], criterion="held_out", held_out=0.3, **words)
    assert held.best.n_components == 2
    stable = fit_many(HOLES, [2, 3], criterion="stability", n_init=3, **words)
    assert stable.best.n_components == 2


def test_models_remember_what_their_rows_were_like(tmp_path):
    model = GaussianMixture(2, **WORDS).fit(HOLES, noise=DIAG, sample_weight=np.ones(400))
    model.save(tmp_path / "m.zarr")
    again = GaussianMixture.load(tmp_path / "m.zarr")
    assert (again.missing, again.noise_type_, again.weighted_) == ("marginalize", "diag", True)
    logs = again.score_samples(HOLES, noise=DIAG)
    np.testing.assert_array_equal(logs, model.score_samples(HOLES, noise=DIAG))
    GaussianMixture(2, random_state=0).fit(X).save(tmp_path / "plain.zarr")
    plain = GaussianMixture.load(tmp_path / "plain.zarr")
    assert (plain.missing, plain.noise_type_, plain.weighted_) == ("error", "none", False)
    with pytest.raises(ValueError, match="NaN"):
        plain.predict(HOLES)


def test_words_and_routing():
    with pytest.raises(ConfigError, match="missing is 'ignore'; one of error, marginalize"):
        GaussianMixture(missing="ignore").fit(X)
    assert GaussianMixture(missing="marginalize").__sklearn_tags__().input_tags.allow_nan
    assert not GaussianMixture().__sklearn_tags__().input_tags.allow_nan
    with sklearn.config_context(enable_metadata_routing=True):
        model = GaussianMixture().set_fit_request(noise=True, sample_weight=True)
        model = model.set_predict_request(noise=True).set_score_request(noise="errors")
        routing = model.get_metadata_routing()
        assert routing.fit.requests["noise"] is True
        assert routing.score.requests["noise"] == "errors"


def test_messages_name_columns_of_a_dataframe():
    frame = pd.DataFrame(HOLES, columns=["mass", "size", "age"])
    found = {name: int(frame[name].isna().sum()) for name in frame}
    listed = "; ".join(f"{n} of 400 rows have no {name}" for name, n in found.items())
    with pytest.raises(DataError, match=re.escape(listed)):
        GaussianMixture(2).fit(frame)


def test_checkpoints_with_noise_are_picked_up(tmp_path):
    def stop(done):
        if done.number == 5:
            raise KeyboardInterrupt

    words = {**WORDS, "tol": 1e-7}
    whole = GaussianMixture(2, **words).fit(HOLES, noise=DIAG)
    halted = GaussianMixture(2, **words)
    with pytest.raises(KeyboardInterrupt):
        halted.fit(HOLES, noise=DIAG, checkpoint=tmp_path / "c", callback=stop)
    rest = GaussianMixture(2, **words).fit(HOLES, noise=DIAG, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(rest.means_, whole.means_)
    assert rest.n_iter_ == whole.n_iter_
