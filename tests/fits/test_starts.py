"""Every start: sound on easy data, independent of blocks, and what it says it is."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from gmm_dask import GaussianMixture
from gmm_dask.blocks import ArraySource
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import DataError
from gmm_dask.fits.clustering import kmeans_centres, plusplus_centres
from gmm_dask.fits.starts import FromCentres, KMeansParallel, choose_rows, distinct, started
from gmm_dask.folds.assign import sums_of
from gmm_dask.initial import INIT_PARAMS, Ground, metric_of
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid, restarts
from tests.strategies import KINDS, ask, clusters, frame_of, mixture_near

X, LABELS = clusters(450, 2, 3, seed=12, apart=25.0)


def begun(init: str, kind: str = "full", K: int = 3, block_rows: int = 4096, rows=None) -> Mixture:
    """Return the mixture from which EM begins."""
    rows = X if rows is None else rows
    grid = Grid((K,), (kind,), init_params=init, seed=4)
    (fit,) = restarts(grid, Ground(frame_of(rows), rows))
    engine, source = LocalEngine(1, block_rows), ArraySource(rows)
    while fit.em is None:
        fit = fit.tell(engine.fold(fit.ask(), source))
    return fit.em.mixture


@pytest.mark.parametrize("init", INIT_PARAMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_start_finds_well_separated_clusters(init, kind):
    model = GaussianMixture(
        3, covariance_type=kind, init_params=init, n_init=6, random_state=1, tol=1e-5, max_iter=900
    ).fit(X)
    assert adjusted_rand_score(LABELS, model.predict(X)) > 0.99


@pytest.mark.parametrize("init", INIT_PARAMS)
def test_starts_do_not_depend_on_blocks(init):
    rows, _ = clusters(20000, 2, 4, seed=3)
    one = begun(init, rows=rows, K=4, block_rows=4096)
    other = begun(init, rows=rows, K=4, block_rows=5 * 4096)
    np.testing.assert_allclose(one.params.means, other.params.means, atol=1e-10)
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-10)


@pytest.mark.parametrize("init", INIT_PARAMS)
def test_starts_are_reproducible_and_differ_by_restart(init):
    def means() -> list[np.ndarray]:
        grid = Grid((5,), ("full",), n_init=4, init_params=init, seed=2)
        fits = restarts(grid, Ground(frame_of(X), X))
        engine, source = LocalEngine(1), ArraySource(X)
        found = []
        for fit in fits:
            while fit.em is None:
                fit = fit.tell(engine.fold(fit.ask(), source))
            found.append(fit.em.mixture.params.means)
        return found

    first, second = means(), means()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    assert any(not np.allclose(np.sort(first[i], 0), np.sort(first[j], 0)) for i, j in pairs)


def test_kmeans_start_is_the_m_step_of_its_labels():
    mixture = begun("kmeans")
    order = np.argsort(mixture.means[:, 0])
    for rank, k in enumerate(order):
        label = np.argsort([X[j == LABELS, 0].mean() for j in range(3)])[rank]
        rows = X[label == LABELS]
        np.testing.assert_allclose(mixture.means[k], rows.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(
            mixture.covariances[k], np.cov(rows.T, bias=True), rtol=1e-9, atol=1e-9
        )
        assert mixture.weights[0, k] == pytest.approx(len(rows) / len(X), rel=1e-12)


def test_random_from_data_is_rows_with_equal_weights_and_the_total_covariance():
    mixture = begun("random_from_data")
    np.testing.assert_allclose(mixture.weights, 1 / 3)
    for mean, S in zip(mixture.means, mixture.covariances, strict=True):
        assert np.abs(X - mean).max(axis=1).min() < 1e-9
        np.testing.assert_allclose(S, np.cov(X.T, bias=True), rtol=1e-9)


def test_k_means_parallel_is_good():
    rows, _ = clusters(6000, 3, 8, seed=5, apart=12.0)
    frame = frame_of(rows)
    metric = metric_of(frame)
    base = mixture_near(rows, "full", 8)
    costs = []
    for restart in range(5):
        first = frame.forward(rows[restart : restart + 1])
        start = KMeansParallel(base, metric, first, 0, restart)
        while isinstance(start, KMeansParallel):
            start = start.tell(ask(start.ask(), rows))
        assert isinstance(start, FromCentres)
        sums = ask(start.ask(), rows)
        costs.append(-float(sums.log_likelihood))
    z = frame.forward(rows)
    best = min(
        -float(
            ask(
                FromCentres(
                    base.__class__(
                        base.family,
                        base.params._replace(means=kmeans_centres(z, None, 8, metric, seed)),
                        base.weights,
                        base.frame,
                    ),
                    metric,
                ).ask(),
                rows,
            ).log_likelihood
        )
        for seed in range(10)
    )
    assert np.median(costs) < 1.3 * best  # before any further Lloyd step


def test_metric_standardises_and_whitens():
    frame = frame_of(X * np.array([1.0, 500.0]))
    plain, white = metric_of(frame), metric_of(frame, "whitened")
    rows = frame.forward(X * np.array([1.0, 500.0]))
    np.testing.assert_allclose((rows @ plain).var(axis=0), 1.0, rtol=1e-9)
    np.testing.assert_allclose(np.cov((rows @ white).T, bias=True), np.eye(2), atol=1e-9)


def test_centres_without_rows_keep_a_share():
    mixture = mixture_near(X, "full", 3)
    resp = np.zeros((len(X), 3))
    resp[:, 0] = 1.0
    begun_there = started(mixture, sums_of(mixture.prepare(), X, resp, 0.0))
    assert (begun_there.weights > 0).all()
    assert begun_there.weights.sum() == pytest.approx(1.0, rel=1e-14)
    np.testing.assert_array_equal(begun_there.params.means[1:], mixture.params.means[1:])


def test_chosen_rows_have_distinct_values():
    sample = np.repeat(np.arange(5.0)[:, None], 50, axis=0)
    for seed in range(20):
        assert len(np.unique(choose_rows(sample, 5, seed))) == 5
    with pytest.raises(DataError, match="5 distinct rows among 250 drawn, 6 components"):
        choose_rows(sample, 6, 0)


def test_distinct_sums_weights():
    points, weights = distinct(np.array([[1.0], [0.0], [1.0]]), np.array([2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(points, [[0.0], [1.0]])
    np.testing.assert_array_equal(weights, [3.0, 6.0])


def test_clustering_on_fewer_points_than_clusters():
    points = np.array([[0.0, 1.0], [2.0, 3.0]])
    centres = kmeans_centres(points, None, 5, np.eye(2), 0)
    assert centres.shape == (5, 2)
    assert len(np.unique(centres, axis=0)) == 2


def test_plusplus_centres_are_rows():
    centres = plusplus_centres(X, 6, np.array([[1.0, 0.5], [0.0, 2.0]]), 0)
    assert len(np.unique(centres, axis=0)) == 6
    assert all((centre == X).all(axis=1).any() for centre in centres)


def test_weighted_clustering_follows_the_weights():
    points = np.array([[0.0], [1.0], [10.0], [11.0]])
    centres = kmeans_centres(points, np.array([3.0, 1.0, 1.0, 1.0]), 2, np.eye(1), 0)
    np.testing.assert_allclose(np.sort(centres[:, 0]), [0.25, 10.5])
