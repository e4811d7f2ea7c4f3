"""Rows that measure combinations of the columns, against scipy's densities, row by row."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from gmm_dask import DataError, GaussianMixture
from gmm_dask.blocks import Observed, RowLayout
from gmm_dask.completion import completed, first_guess
from gmm_dask.folds.e_step import EStep
from gmm_dask.folds.rows import RowShare
from gmm_dask.observed import Observer
from tests.strategies import KINDS
from tests.test_observed import in_shape, leaves, mixture_of

D, d, K = 4, 2, 3


def rows_of(seed: int, n: int = 40, noise: str = "full", holes: float = 0.3) -> Observed:
    """Return rows that measure two combinations of four columns, some of them not made."""
    rng = np.random.default_rng(seed)
    R = rng.normal(size=(n, d, D))
    half = rng.normal(size=(n, d, d))
    C = {"": None, "diag": rng.gamma(1.0, size=(n, d)), "full": half @ half.transpose(0, 2, 1)}
    values = rng.normal(size=(n, d)) * 20 + R @ np.array([10.0, -3.0, 0.0, 100.0])
    values[rng.random((n, d)) < holes] = np.nan
    return Observed(values, rng.gamma(2.0, size=n), C[noise], projection=R)


def reference(mixture, rows: Observed):
    """Return joint log densities and the sums of equations 15 and 16 of Bovy et al. (2011)."""
    n = len(rows.values)
    joint = np.full((n, K), np.log(mixture.weights[0]))
    b, B = np.zeros((n, K, D)), np.zeros((n, K, D, D))
    for i, value in enumerate(rows.values):
        seen = ~np.isnan(value)
        C = np.zeros((d, d)) if rows.noise is None else rows.noise[i]
        C = (np.diag(C) if C.ndim == 1 else C)[np.ix_(seen, seen)]
        R, w = rows.projection[i][seen], value[seen]
        for k in range(K):
            m, V = mixture.means[k], mixture.dense_covariances[k]
            B[i, k] = V
            if seen.any():
                T = R @ V @ R.T + C
                joint[i, k] += multivariate_normal(R @ m, T).logpdf(w)
                gain = V @ R.T @ np.linalg.inv(T)
                b[i, k], B[i, k] = gain @ (w - R @ m), V - gain @ R @ V
    return joint, b, B


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", ["", "diag", "full"])
def test_sums_and_outputs_are_those_of_the_paper(kind, noise):
    mixture, rows = mixture_of(kind, 1), rows_of(2, noise=noise)
    joint, b, B = reference(mixture, rows)
    norm = np.logaddexp.reduce(joint, axis=1)
    resp = np.exp(joint - norm[:, None])
    log_density, shares = Observer(mixture).posterior(rows)
    blank = np.isnan(rows.values).all(axis=1)
    assert blank.any()
    np.testing.assert_allclose(log_density, np.where(blank, 0.0, norm), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(shares, resp, atol=1e-10)
    share = resp * (rows.sample_weight * ~blank)[:, None]
    layout = RowLayout(D, True, noise, missing=True, measured=d)
    fold = EStep(mixture, RowShare.all_rows(layout))
    found = fold.finish(Observer(mixture).e_step(layout.split(layout.join(rows))))
    assert float(found.log_likelihood) == pytest.approx((norm * rows.sample_weight)[~blank].sum())
    assert float(found.n_rows) == pytest.approx(rows.sample_weight[~blank].sum())
    np.testing.assert_allclose(found.count[0], share.sum(axis=0), rtol=1e-10)
    scale = mixture.frame.scale
    first = np.einsum("ik,ikd->kd", share, b) / scale
    np.testing.assert_allclose(found.moments.first, first, rtol=1e-9, atol=1e-9)
    both = b[:, :, :, None] * b[:, :, None, :] + B
    second = np.einsum("ik,ikde->kde", share, both) / np.outer(scale, scale)
    np.testing.assert_allclose(found.moments.second, in_shape(kind, second), rtol=1e-9, atol=1e-8)
    mean, covariance = Observer(mixture).true_values(rows)
    centre = mixture.means + b
    expected = np.einsum("ik,ikd->id", resp, centre)
    np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-8)
    square = np.einsum("ik,ikde->ide", resp, B + centre[..., :, None] * centre[..., None, :])
    expected = square - expected[:, :, None] * expected[:, None, :]
    np.testing.assert_allclose(covariance, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_selecting_rows_of_the_identity_are_holes(kind):
    """R of rows of the identity is the same question as missing columns."""
    mixture, rng = mixture_of(kind, 3), np.random.default_rng(4)
    values = mixture.frame.backward(rng.normal(size=(50, D)))
    values[rng.random((50, D)) < 0.4] = np.nan
    noise = rng.gamma(1.0, size=(50, D))
    holes = Observed(values, None, noise)
    turned = holes._replace(projection=np.tile(np.eye(D), (50, 1, 1)))
    observer = Observer(mixture)
    pairs = zip(leaves(observer.e_step(holes)), leaves(observer.e_step(turned)), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def planted(n: int, seed: int, columns: int = 2):
    """Return two clusters of which each row measures one combination, with errors."""
    rng = np.random.default_rng(seed)
    half = rng.random(n) < 0.4
    true = np.where(half[:, None], 0.0, np.array([5.0, -3.0, 2.0])[:columns])
    true = true + rng.normal(size=(n, columns)) * np.array([1.0, 0.5, 0.7])[:columns] + 1000.0
    R = rng.normal(size=(n, 1, columns))
    noise = rng.gamma(2.0, 0.02, size=(n, 1))
    w = np.einsum("ndj,nj->nd", R, true) + np.sqrt(noise) * rng.normal(size=(n, 1))
    return w, noise, R


WORDS = {"random_state": 0, "tol": 1e-9, "max_iter": 4000}


def test_fits_are_the_maximum_of_the_likelihood():
    """One number a row, two columns: nothing to unproject. SciPy finds nothing better."""
    w, noise, R = planted(250, 1)
    model = GaussianMixture(2, n_init=2, **WORDS).fit(w, noise=noise, projection=R)
    assert model.n_features_in_ == 2

    def loss(theta):
        pi = 1 / (1 + np.exp(-np.array([theta[0], -theta[0]])))
        lower = np.zeros((2, 2, 2))
        lower[:, 0, 0], lower[:, 1, 1], lower[:, 1, 0] = (
            np.exp(theta[5:7]),
            np.exp(theta[7:9]),
            theta[9:],
        )
        V, means = lower @ lower.transpose(0, 2, 1), theta[1:5].reshape(2, 2) + 1000.0
        T = np.einsum("ni,kij,nj->nk", R[:, 0], V, R[:, 0]) + noise
        y = w - R[:, 0] @ means.T
        joint = np.log(pi) - 0.5 * (np.log(2 * np.pi * T) + y * y / T)
        return -np.logaddexp(*joint.T).mean()

    L = np.linalg.cholesky(model.covariances_)
    here = np.concatenate(
        [
            [np.log(model.weights_[0] / model.weights_[1])],
            (model.means_ - 1000.0).ravel(),
            np.log(L[:, 0, 0]),
            np.log(L[:, 1, 1]),
            L[:, 1, 0],
        ]
    )
    score = model.score(w, noise=noise, projection=R)
    assert score == pytest.approx(-loss(here), abs=1e-9)
    rng = np.random.default_rng(0)
    starts = [here, *(here + rng.normal(size=11) for _ in range(6))]
    assert max(-minimize(loss, start, method="BFGS").fun for start in starts) <= score + 1e-6
    # and the truth is among what the rows allow
    assert np.abs(np.sort(model.means_[:, 0]) - [1000.0, 1005.0]).max() < 0.5


def test_every_method_and_kind_of_input():
    w, noise, R = planted(300, 2, columns=3)
    w = np.concatenate([w, np.full((300, 1), np.nan)], axis=1)  # padded
    R = np.concatenate([R, np.zeros((300, 1, 3))], axis=1)
    noise = np.concatenate([noise, np.zeros((300, 1))], axis=1)
    words = {"random_state": 0, "missing": "marginalize", "max_iter": 40, "tol": 1e-2}
    weight = np.random.default_rng(0).integers(0, 3, size=300)
    model = GaussianMixture(2, **words).fit(w, sample_weight=weight, noise=noise, projection=R)
    repeated = [np.repeat(part, weight, axis=0) for part in (w, noise, R)]
    beside = {"noise": noise, "projection": R}
    again = {"noise": repeated[1], "projection": repeated[2]}
    whole = model.score(w, sample_weight=weight, **beside)
    assert whole == pytest.approx(model.score(repeated[0], **again), abs=1e-10)
    resp = model.predict_proba(w, **beside)
    np.testing.assert_array_equal(model.predict(w, **beside), resp.argmax(axis=1))
    lazy = {
        name: da.from_array(part, chunks=(77, *part.shape[1:])) for name, part in beside.items()
    }
    rows = da.from_array(w, chunks=(100, 2))
    np.testing.assert_allclose(np.asarray(model.predict_proba(rows, **lazy)), resp, atol=1e-12)
    mean, covariance = model.deconvolve(w, **beside)
    later = model.deconvolve(rows, **lazy)
    np.testing.assert_allclose(np.asarray(later[0]), mean, rtol=1e-12)
    assert covariance.shape == (300, 3, 3)
    twin = GaussianMixture(2, **words)
    twin.fit(rows, sample_weight=da.from_array(weight, chunks=50), **lazy)
    np.testing.assert_array_equal(twin.means_, model.means_)
    labels = model.predict(mean, noise=np.zeros_like(mean))  # rows of the columns themselves
    assert labels.shape == (300,)
    assert model.icl(w, **beside) >= model.bic(w, **beside)


def test_the_start_explains_every_row():
    w, noise, R = planted(200, 3, columns=3)
    rows = Observed(w, None, noise, projection=R)
    guess = first_guess(rows)
    np.testing.assert_allclose(np.einsum("ndj,nj->nd", R, guess), w, rtol=1e-9)
    assert np.abs(guess.mean(axis=0) - 1000.0).max() < 20.0  # the centre is found, not 0
    other = completed(rows, guess.mean(axis=0), np.array([1.0, 2.0, 3.0])).values
    np.testing.assert_allclose(np.einsum("ndj,nj->nd", R, other), w, rtol=1e-9)


def test_what_cannot_be_is_refused_in_words():
    w, noise, R = planted(50, 4)
    model = GaussianMixture(2, random_state=0, tol=0.1)
    wrong = R.copy()
    wrong[7, 0, 1] = np.inf
    with pytest.raises(DataError, match="row 7: its projection is"):
        model.fit(w, noise=noise, projection=wrong)
    missing = w.copy()
    missing[9] = np.nan
    with pytest.raises(DataError, match=r'row 9: its measurements are.*missing="marginalize"'):
        model.fit(missing, noise=noise, projection=R)
    with pytest.raises(DataError, match=r"projection has shape \(50, 2\); for rows of 1"):
        model.fit(w, noise=noise, projection=R[:, 0])
    with pytest.raises(DataError, match="row 3: its noise is"):
        model.fit(w, noise=np.where(np.arange(50) == 3, -1.0, noise[:, 0])[:, None], projection=R)
    with pytest.raises(DataError, match="x1 has no value in any row"):
        model.fit(w, noise=noise, projection=R * [1.0, 0.0])
    blind = R.copy()
    blind[5] = 0.0
    with pytest.raises(DataError, match=r"covariance .* must be positive definite"):
        model.fit(w, projection=blind)
    fitted = model.fit(w, noise=noise, projection=R)
    with pytest.raises(DataError, match="projections lead from 3 columns, the model has 2"):
        fitted.predict(w, noise=noise, projection=np.ones((50, 1, 3)))
