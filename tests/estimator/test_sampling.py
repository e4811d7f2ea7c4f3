"""Samples: reproducible for any chunking, and distributed as the model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, kstest, norm

from gmm_dask import ConfigError, GaussianMixture
from gmm_dask.rows import draw_rows
from tests.strategies import KINDS, clusters, mixture_of

X, _ = clusters(300, 2, 3, apart=5.0)
MODEL = GaussianMixture(3, random_state=4).fit(X)


def test_rows_do_not_depend_on_how_many_or_on_chunks():
    values, labels = MODEL.sample(10000)
    some, some_labels = MODEL.sample(4500)
    np.testing.assert_array_equal(values[:4500], some)
    np.testing.assert_array_equal(labels[:4500], some_labels)
    for chunks in (1000, 4096, 9999):
        lazy, lazy_labels = MODEL.sample(10000, chunks=chunks)
        assert lazy.chunks[0][0] == min(chunks, 10000)
        np.testing.assert_array_equal(lazy.compute(scheduler="sync"), values)
        np.testing.assert_array_equal(lazy_labels.compute(scheduler="sync"), labels)


def test_billions_of_rows_cost_nothing_until_they_are_read():
    lazy, _ = MODEL.sample(3_000_000_000, chunks=50_000_000)
    assert lazy.shape == (3_000_000_000, 2)
    part, _ = draw_rows(MODEL.mixture_, 4, 2_999_999_990, 3_000_000_000)
    assert part.shape == (10, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_the_sample(kind):
    model = GaussianMixture(3, covariance_type=kind, random_state=1).fit(X)
    values, labels = model.sample(30000)
    n = len(values)
    for k in range(3):
        count = int((labels == k).sum())
        assert binomtest(count, n, model.weights_[k]).pvalue > 1e-5
        part = values[labels == k]
        S = model.mixture_.dense_covariances[k]
        sd = np.sqrt(np.diag(S))
        # five standard errors of a mean; 8 % of a variance is five of them at 8000 rows
        np.testing.assert_allclose(part.mean(0), model.means_[k], atol=5 * sd.max() / count**0.5)
        scale = np.outer(sd, sd)
        np.testing.assert_allclose(np.cov(part.T) / scale, S / scale, atol=5 * np.sqrt(2 / count))


def test_marginals_of_the_sample():
    mixture = mixture_of("spherical", [0.7, 0.3], [[-2.0], [3.0]], [1.0, 0.25])
    values, _ = draw_rows(mixture, 0, 0, 20000)

    def cdf(x):
        return 0.7 * norm.cdf(x, -2, 1) + 0.3 * norm.cdf(x, 3, 0.5)

    assert kstest(values[:, 0], cdf).pvalue > 1e-4


def test_rows_are_shuffled_unless_asked_otherwise():
    values, labels = MODEL.sample(2000)
    changes = (np.diff(labels) != 0).mean()
    expected = 1 - (MODEL.weights_**2).sum()
    assert abs(changes - expected) < 0.06
    ordered, ordered_labels = MODEL.sample(2000, ordered=True)
    assert (np.diff(ordered_labels) >= 0).all()
    np.testing.assert_array_equal(np.sort(ordered[:, 0]), np.sort(values[:, 0]))
    for k in range(3):
        np.testing.assert_array_equal(ordered[ordered_labels == k], values[labels == k])


def test_seeds_differ_and_repeat():
    again = GaussianMixture(3, random_state=4).fit(X)
    np.testing.assert_array_equal(again.sample(50)[0], MODEL.sample(50)[0])
    again.set_params(random_state=5)
    assert not np.array_equal(again.sample(50)[0], MODEL.sample(50)[0])
    again.set_params(random_state=None)
    assert not np.array_equal(again.sample(50)[0], again.sample(50)[0])


def test_the_draws_are_not_those_of_the_fit():
    one = GaussianMixture(1, random_state=0).fit(X)
    values, _ = one.sample(300)
    assert not np.allclose(values[:5], X[:5])


@pytest.mark.parametrize("n", [0, -3])
def test_no_rows_are_refused(n):
    with pytest.raises(ConfigError, match="n_samples"):
        MODEL.sample(n)


def test_ordered_chunks_are_refused():
    with pytest.raises(ConfigError, match="ordered"):
        MODEL.sample(10, ordered=True, chunks=5)


@pytest.mark.parametrize("chunks", [0, -1])
def test_chunks_of_nothing_are_refused(chunks):
    with pytest.raises(ConfigError, match="chunks"):
        MODEL.sample(10, chunks=chunks)
