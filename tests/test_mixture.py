"""The mixture as a value: units, order, fingerprint."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from gmm_dask.folds.e_step import EStep
from gmm_dask.mixture import in_order, m_step
from tests.strategies import KINDS, ask, clusters, mixture_near, mixture_of

X, _ = clusters(400, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_scikit_learns(kind):
    mixture = mixture_near(X * 50.0, kind, 3)
    shape = {"full": (3, 2, 2), "tied": (2, 2), "diag": (3, 2), "spherical": (3,)}[kind]
    assert mixture.covariances.shape == shape
    assert mixture.dense_covariances.shape == (3, 2, 2)
    assert mixture.means.shape == (3, 2)
    assert (mixture.n_components, mixture.n_columns) == (3, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_dense_covariances_are_the_covariances(kind):
    mixture = mixture_near(X * 50.0, kind, 3)
    S = mixture.covariances
    for k in range(3):
        wanted = {
            "full": lambda k=k: S[k],
            "tied": lambda: S,
            "diag": lambda k=k: np.diag(S[k]),
            "spherical": lambda k=k: S[k] * np.eye(2),
        }[kind]()
        np.testing.assert_allclose(mixture.dense_covariances[k], wanted, rtol=1e-14)


def test_order_is_by_weight_then_by_mean():
    mixture = mixture_of(
        "spherical",
        [0.125, 0.25, 0.125, 0.25, 0.25],
        [[5.0, 1.0], [9.0, 0.0], [4.0, 7.0], [2.0, 8.0], [2.0, 3.0]],
        [1.0, 2.0, 3.0, 4.0, 5.0],
    )
    ordered = in_order(mixture)
    np.testing.assert_array_equal(ordered.means, [[2, 3], [2, 8], [9, 0], [4, 7], [5, 1]])
    np.testing.assert_array_equal(ordered.weights, [[0.25, 0.25, 0.25, 0.125, 0.125]])
    np.testing.assert_array_equal(ordered.covariances, [5.0, 4.0, 2.0, 3.0, 1.0])
    assert in_order(ordered).fingerprint == ordered.fingerprint


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_changes_no_density(kind):
    mixture = mixture_near(X, kind, 3)
    a, b = ask(EStep(mixture), X), ask(EStep(in_order(mixture)), X)
    assert float(a.log_likelihood) == pytest.approx(float(b.log_likelihood), rel=1e-13)


def test_it_never_changes():
    mixture = mixture_near(X, "full", 3)
    before = mixture.fingerprint
    m_step(mixture, ask(EStep(mixture), X))
    in_order(mixture)
    assert mixture.fingerprint == before
    with pytest.raises(FrozenInstanceError):
        mixture.weights = None  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(mixture)).fingerprint == before


@pytest.mark.parametrize("part", ["means", "covariances"])
def test_the_fingerprint_sees_one_bit(part):
    mixture = mixture_near(X, "full", 3)
    value = getattr(mixture.params, part).copy()
    value.flat[0] = np.nextafter(value.flat[0], np.inf)
    other = replace(mixture, params=mixture.params._replace(**{part: value}))
    assert other.fingerprint != mixture.fingerprint


def test_a_weight_of_zero_prepares():
    mixture = mixture_of("diag", [1.0, 0.0], [[0.0], [1.0]], [[1.0], [1.0]])
    assert mixture.prepare().log_weights.tolist() == [[0.0, -np.inf]]
