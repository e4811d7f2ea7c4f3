"""Units, offsets, the order of columns and float32 do not change the answer."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import GaussianMixture
from tests.strategies import KINDS, clusters

EVERY = pytest.mark.parametrize("kind", KINDS)
X, _ = clusters(800, 3, 3, seed=6, apart=5.0)


def fit(rows: np.ndarray, kind: str, **words) -> GaussianMixture:
    words = {"tol": 1e-6, "max_iter": 500, "random_state": 0, **words}
    return GaussianMixture(3, covariance_type=kind, **words).fit(rows)


def covariance_units(kind: str, unit: np.ndarray) -> np.ndarray:
    if kind in ("full", "tied"):
        return np.outer(unit, unit)
    return unit**2 if kind == "diag" else unit[0] ** 2


def units_of(kind: str, size: float) -> list[np.ndarray]:
    every = [np.full(3, size)]
    return every if kind == "spherical" else [*every, np.array([size, 1.0, 1.0 / size])]


@EVERY
@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_units_map_the_answer(kind, size):
    plain = fit(X, kind)
    for unit in units_of(kind, size):
        scaled = fit(X * unit, kind)
        assert scaled.n_iter_ == plain.n_iter_
        # every row rounds once in the other units: 1e-16 each, over some tens of passes
        np.testing.assert_allclose(scaled.weights_, plain.weights_, rtol=1e-10)
        np.testing.assert_allclose(scaled.means_ / unit, plain.means_, rtol=1e-9, atol=1e-10)
        mapped = scaled.covariances_ / covariance_units(kind, unit)
        np.testing.assert_allclose(mapped, plain.covariances_, rtol=1e-9, atol=1e-10)
        lost = np.log(unit).sum()
        assert scaled.lower_bound_ + lost == pytest.approx(plain.lower_bound_, rel=1e-11)
        np.testing.assert_array_equal(scaled.predict(X * unit), plain.predict(X))


@EVERY
def test_power_of_two_units_give_the_same_bits(kind):
    plain = fit(X, kind)
    unit = np.full(3, 2.0**-31) if kind == "spherical" else np.array([2.0**40, 2.0**-17, 8.0])
    scaled = fit(X * unit, kind)
    np.testing.assert_array_equal(scaled.weights_, plain.weights_)
    np.testing.assert_array_equal(scaled.means_, plain.means_ * unit)
    np.testing.assert_array_equal(
        scaled.covariances_, plain.covariances_ * covariance_units(kind, unit)
    )
    np.testing.assert_array_equal(scaled.predict_proba(X * unit), plain.predict_proba(X))


@EVERY
@pytest.mark.parametrize("init", ["k-means||", "k-means++", "random_from_data", "auto", "random"])
def test_starts_do_not_depend_on_units(kind, init):
    unit = np.full(3, 2.0**21) if kind == "spherical" else np.array([2.0**40, 2.0**-17, 8.0])
    words = {"init_params": init, "n_init": 3, "max_iter": 3, "tol": 1e3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # three passes are enough to compare
        plain, scaled = fit(X, kind, **words), fit(X * unit, kind, **words)
    # the same start to the last bit, then passes that may round otherwise
    np.testing.assert_allclose(scaled.means_, plain.means_ * unit, rtol=1e-10)


@EVERY
@pytest.mark.parametrize("offset", [1e8, -1e8])
def test_an_offset_of_1e8_loses_nothing(kind, offset):
    moved = X + offset
    near = moved - offset  # exact: the same rounded rows
    far, reference = fit(moved, kind), fit(near, kind)
    deviation = near.std(axis=0)
    np.testing.assert_allclose(far.weights_, reference.weights_, rtol=1e-7)
    np.testing.assert_allclose(
        (far.means_ - offset) / deviation, reference.means_ / deviation, atol=1e-7
    )
    np.testing.assert_allclose(far.covariances_, reference.covariances_, rtol=1e-7, atol=1e-7)
    assert far.lower_bound_ == pytest.approx(reference.lower_bound_, rel=1e-9)
    np.testing.assert_allclose(far.score_samples(moved), reference.score_samples(near), rtol=1e-7)


def test_one_distant_group_keeps_its_digits():
    # a global shift alone loses 2 log10(1e5) digits of the second group's covariance
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (300, 2)), 1e5 + rng.normal(0, 1, (200, 2))])
    exact = np.cov((rows[300:] - 1e5).T, bias=True)
    model = GaussianMixture(2, reg_covar=0.0, random_state=0, tol=1e-9).fit(rows)
    np.testing.assert_allclose(model.covariances_[1], exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_columns(kind):
    order = [2, 0, 1]
    plain, turned = fit(X, kind), fit(X[:, order], kind)
    np.testing.assert_allclose(turned.weights_, plain.weights_, rtol=1e-9)
    np.testing.assert_allclose(turned.means_, plain.means_[:, order], rtol=1e-9, atol=1e-10)
    assert turned.lower_bound_ == pytest.approx(plain.lower_bound_, rel=1e-12)


def test_full_covariances_are_affinely_equivariant():
    # from a mapped start: x -> M x + b maps means and covariances, l falls by log |det M|
    M, b = np.array([[2.0, 0.3, 0.0], [0.0, 1.5, -0.4], [0.2, 0.0, 0.7]]), np.array([5.0, -1, 3])
    words = {"reg_covar": 0.0, "max_iter": 10, "tol": 1e3}
    precision = np.repeat(np.linalg.inv(np.cov(X.T))[None], 3, axis=0)
    inverse = np.linalg.inv(M)
    means = X[[1, 2, 3]]
    given = {"weights_init": [0.2, 0.3, 0.5]}
    plain = fit(X, "full", means_init=means, precisions_init=precision, **given, **words)
    turned = inverse.T @ precision @ inverse
    turned = 0.5 * (turned + turned.transpose(0, 2, 1))
    mapped = fit(
        X @ M.T + b, "full", means_init=means @ M.T + b, precisions_init=turned, **given, **words
    )
    np.testing.assert_allclose(mapped.weights_, plain.weights_, rtol=1e-9)
    np.testing.assert_allclose(mapped.means_, plain.means_ @ M.T + b, rtol=1e-8)
    np.testing.assert_allclose(
        mapped.covariances_, M @ plain.covariances_ @ M.T, rtol=1e-8, atol=1e-9
    )
    lost = np.log(abs(np.linalg.det(M)))
    assert mapped.lower_bound_ == pytest.approx(plain.lower_bound_ - lost, rel=1e-10)


def test_float32_at_an_offset_of_1e6():
    rows = (X + 1e6).astype(np.float32)
    exact = rows.astype(np.float64) - 1e6
    far, reference = fit(rows, "full"), fit(exact, "full")
    np.testing.assert_allclose(far.weights_, reference.weights_, rtol=1e-7)
    np.testing.assert_allclose(far.means_ - 1e6, reference.means_, atol=1e-7 * 6)
    np.testing.assert_allclose(far.covariances_, reference.covariances_, rtol=1e-7, atol=1e-7)
    assert far.score_samples(rows).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint8])
def test_integers_are_numbers(dtype):
    rows = np.random.default_rng(0).integers(0, 100, (300, 2)).astype(dtype)
    model = GaussianMixture(1).fit(rows)
    np.testing.assert_allclose(model.means_[0], rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(rows), 0)
