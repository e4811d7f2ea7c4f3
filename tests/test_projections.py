"""Rows with projections of their own, against the likelihood of what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, ortho_group

from gmm_dask import DataError, GaussianMixture, unproject
from tests.strategies import clusters

V, _ = clusters(200, 3, 2, apart=4.0)
RNG = np.random.default_rng(6)


def measured() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows seen turned, in some columns, or as sums and differences of two of three."""
    n = len(V)
    R = ortho_group(3, seed=4).rvs(n)
    R[50:100] = np.eye(3)[[2, 0, 1]]  # columns in another order
    R[100:] = [[1.0, 1.0, 0.0], [2.0, -1.0, 0.0], [0.0, 0.0, 0.0]]
    half = RNG.normal(0, 0.2, (n, 3, 3))
    C = half @ half.transpose(0, 2, 1) + 0.01 * np.eye(3)
    errors = (np.linalg.cholesky(C) @ RNG.normal(size=(n, 3, 1)))[:, :, 0]
    w = np.einsum("nij,nj->ni", R, V) + errors
    w[60:80, 1] = np.nan  # of the columns in another order, one is missing
    w[100:, 2] = np.nan  # measures nothing
    return w, R, C


def log_joint(model, w, R, C):
    """Return log weights plus log densities of measurements, by SciPy (Bovy et al. 2011)."""
    found = np.empty((len(w), model.n_components))
    for i in range(len(w)):
        o = ~np.isnan(w[i])
        P = R[i][o]
        for k in range(model.n_components):
            T = P @ model.covariances_[k] @ P.T + C[i][np.ix_(o, o)]
            found[i, k] = multivariate_normal(P @ model.means_[k], T).logpdf(w[i, o])
    return found + np.log(model.weights_)


def test_fits_are_those_of_the_measurements():
    w, R, C = measured()
    X, noise = unproject(w, R, C)
    assert np.isnan(X[60:80]).sum() == 20
    assert np.isnan(X[100:, 2]).all()
    words = {"missing": "marginalize", "random_state": 0, "max_iter": 500}
    model = GaussianMixture(2, **words).fit(X, noise=noise)
    joint = log_joint(model, w, R, C)
    norm = np.logaddexp.reduce(joint, axis=1)
    resp = model.predict_proba(X, noise=noise)
    np.testing.assert_allclose(resp, np.exp(joint - norm[:, None]), atol=1e-9)
    # log densities differ by the volume of R alone: 0 for turns and selections, log 3 for sums
    apart = model.score_samples(X, noise=noise) - norm
    np.testing.assert_allclose(apart[:100], 0.0, atol=1e-9)
    np.testing.assert_allclose(apart[100:], np.log(3.0), atol=1e-9)


def test_variances_are_covariances_without_correlation():
    w, R, C = measured()
    variance = np.diagonal(C, axis1=1, axis2=2)
    a, b = unproject(w, R, variance), unproject(w, R, variance[:, :, None] * np.eye(3))
    np.testing.assert_array_equal(a[0], b[0])
    np.testing.assert_array_equal(a[1], b[1])
    lost = np.where(np.isnan(w), np.inf, variance)
    np.testing.assert_array_equal(unproject(np.nan_to_num(w), R, lost)[0], a[0])


def test_what_cannot_be_solved_is_refused_with_its_row():
    w, R, C = measured()
    sight = R[:, :1]  # one speed of three
    with pytest.raises(DataError, match="row 0: its 1 measurements combine 3 columns"):
        unproject(w[:50, :1], sight[:50], C[:50, :1, :1])
    R[70] = [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [2.0, 4.0, 0.0]]
    with pytest.raises(DataError, match="row 70: its 2 measurements"):
        unproject(w, R, C)


def test_shapes_and_numbers_are_checked():
    w, R, C = measured()
    with pytest.raises(DataError, match=r"\(200, 3\), projections \(200, 2, 3\)"):
        unproject(w, R[:, :2], C)
    with pytest.raises(DataError, match=r"noise \(200, 2\)"):
        unproject(w, R, C[:, :2, 0])
    R[9, 0, 0] = np.nan
    with pytest.raises(DataError, match="row 9: its projection"):
        unproject(w, R, C)
