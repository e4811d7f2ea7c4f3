"""Triangular factors and the error that names a component."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.errors import DataError
from gmm_dask.families.linalg import cholesky, inverse_factor, log_det_factor


def spd(K: int, D: int, seed: int = 0) -> np.ndarray:
    A = np.random.default_rng(seed).normal(size=(K, D, D))
    return A @ A.transpose(0, 2, 1) + 0.1 * np.eye(D)


def test_factor_whitens():
    S = spd(3, 4)
    factor = inverse_factor(cholesky(S))
    for k in range(3):
        np.testing.assert_allclose(factor[k].T @ S[k] @ factor[k], np.eye(4), atol=1e-12)
        np.testing.assert_allclose(factor[k], np.triu(factor[k]))
    np.testing.assert_allclose(log_det_factor(factor), -0.5 * np.linalg.slogdet(S)[1], rtol=1e-12)


def test_the_first_bad_component_is_named():
    S = spd(3, 2)
    S[1] = [[1.0, 2.0], [2.0, 1.0]]
    with pytest.raises(DataError, match=r"component 1: .*smallest eigenvalue -1\b.*reg_covar"):
        cholesky(S)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(bad):
    # LAPACK factorises NaN without a word: it must not travel on as parameters
    S = spd(2, 2)
    S[1, 0, 0] = bad
    with pytest.raises(DataError, match="component 1"):
        cholesky(S)
