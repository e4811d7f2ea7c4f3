"""What every weight law must do. A new law joins by one line in `LAWS`."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.laws.simple import Free

LAWS = [Free()]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)


@laws
def test_weights_are_shares(law):
    count = np.random.default_rng(0).uniform(0, 50, (3, 4))
    count[1, 2] = 0.0
    weights = law.weights(count)
    assert weights.shape == count.shape
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-14)


@laws
def test_weights_maximise_their_likelihood(law):
    rng = np.random.default_rng(1)
    count = rng.uniform(1, 50, (1, 5))
    best = (count * np.log(law.weights(count))).sum()
    for _ in range(50):
        other = law.weights(count * rng.uniform(0.5, 2.0, count.shape))
        assert (count * np.log(other)).sum() <= best + 1e-12


@laws
def test_free_parameters_grow_with_the_components(law):
    assert law.n_free(1) == 0
    assert law.n_free(5) == 4


@laws
def test_counts_scale_out(law):
    count = np.array([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(law.weights(count), law.weights(1e12 * count), rtol=1e-15)
