"""What the report draws, against numpy on all rows at once."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2

from gmm_dask import ArraySource, Block, GaussianMixture, LocalEngine, posterior_rows
from pipeline.config import Step
from pipeline.stages import figures
from pipeline.stages.figures import (
    Composition,
    Figures,
    View,
    edges_of,
    ellipse,
    merged,
)
from pipeline.stages.fit_steps import fit_transform
from pipeline.stages.transform import Transform
from tests.strategies import clusters

N = 20_000


def data() -> np.ndarray:
    return np.exp(clusters(N, D=3, K=3, seed=1)[0] / 4)


def mixture_of(rows: np.ndarray) -> Any:
    return GaussianMixture(3, random_state=0, max_iter=20).fit(rows[:2000]).mixture_


def log_steps(rows: np.ndarray) -> Transform:
    return fit_transform([Step.model_validate("log")], ArraySource(rows), LocalEngine(1))


@pytest.fixture(scope="module")
def made() -> tuple[np.ndarray, Figures]:
    rows = data()
    transform = log_steps(rows)
    mixture = mixture_of(transform.apply(rows))
    views = (View((0, 2), (edges_of(rows[:, 0]), edges_of(rows[:, 2]))),)
    edges = np.linspace(-12, 0, 31)
    return rows, Figures(mixture, transform, views, after=False, density_edges=edges)


def test_counts_are_those_of_all_rows_at_once(made: tuple[np.ndarray, Figures]) -> None:
    rows, fold = made
    sums = LocalEngine(1, block_rows=4096).fold(fold, ArraySource(rows))
    seen = fold.transform.apply(rows)
    log_density, resp = posterior_rows(fold.mixture, None, seen)
    density = log_density + fold.transform.log_jacobian(rows)
    largest, labels = resp.max(axis=1), resp.argmax(axis=1)
    assert sums.n_rows == N
    (view,) = fold.views
    expected = np.histogram2d(rows[:, 0], rows[:, 2], bins=list(view.edges))[0]
    assert np.array_equal(sums.views[0], expected)
    assert np.array_equal(sums.probability, np.histogram(largest, 50, (0, 1))[0])
    inside = np.histogram(density, fold.density_edges)[0]
    assert sums.density.sum() == N
    assert np.array_equal(sums.density[1:-1], inside[1:-1])
    assert sums.density[0] == (density < fold.density_edges[1]).sum()
    assert np.array_equal(sums.labels, np.bincount(labels, minlength=3))
    assert np.allclose(sums.label_probability, [largest[labels == k].sum() for k in range(3)])
    entropy = -np.where(resp > 0, resp * np.log(np.maximum(resp, 1e-300)), 0).sum(axis=1)
    assert np.allclose(sums.label_entropy, [entropy[labels == k].sum() for k in range(3)])


def test_tiles_of_a_block_add_up(
    made: tuple[np.ndarray, Figures], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, fold = made
    block = Block(rows[:5000], 0)
    whole = fold.measure(fold.prepare(), block)
    monkeypatch.setattr(figures, "TILE", 700)
    tiled = fold.measure(fold.prepare(), block)
    assert np.array_equal(whole.views[0], tiled.views[0])
    assert np.array_equal(whole.labels, tiled.labels)
    assert np.array_equal(whole.density, tiled.density)
    assert np.allclose(whole.label_entropy, tiled.label_entropy, rtol=1e-12)


def test_figures_of_what_the_mixture_sees(made: tuple[np.ndarray, Figures]) -> None:
    rows, fold = made
    seen = fold.transform.apply(rows)
    views = (View((1,), (edges_of(seen[:, 1]),)),)
    after = Figures(fold.mixture, fold.transform, views, after=True, density_edges=np.arange(3.0))
    sums = after.measure(after.prepare(), Block(rows[:900], 0))
    assert np.array_equal(sums.views[0], np.histogram(seen[:900, 1], views[0].edges[0])[0])


def test_bytes_that_are_announced_cover_the_sums(made: tuple[np.ndarray, Figures]) -> None:
    rows, fold = made
    sums = fold.measure(fold.prepare(), Block(rows[:100], 0))
    parts = [*sums.views, *(part for part in sums if isinstance(part, np.ndarray))]
    assert sum(part.nbytes for part in parts) <= fold.stats_bytes
    again = pickle.loads(pickle.dumps(fold))
    assert np.array_equal(again.measure(again.prepare(), Block(rows[:100], 0)).labels, sums.labels)


def test_values_outside_the_view_fall_into_no_bin() -> None:
    view = View((0, 1), (np.linspace(0, 1, 5), np.linspace(0, 1, 3)))
    counts = view.counts(np.array([[0.1, 0.1], [2.0, 0.5], [0.9, -1.0], [1.0, 1.0]]))
    assert counts.shape == (4, 2)
    assert counts.sum() == 2
    assert counts[0, 0] == counts[3, 1] == 1


@pytest.mark.parametrize("values", [np.full(9, 5.0), np.zeros(3), np.array([-2.0])])
def test_edges_of_what_does_not_vary(values: np.ndarray) -> None:
    edges = edges_of(values)
    assert (np.diff(edges) > 0).all()
    assert edges[0] < values[0] < edges[-1]


def test_edges_are_not_stretched_by_outliers() -> None:
    values = np.append(np.random.default_rng(0).normal(size=100_000), [1e9, -1e9])
    edges = edges_of(values)
    assert len(edges) == figures.BINS + 1
    assert -5 < edges[0] < -3 < 3 < edges[-1] < 5


def test_ellipse_is_the_contour_of_its_radius() -> None:
    mean, covariance = np.array([3.0, -50.0]), np.array([[4.0, 3.0], [3.0, 9.0]])
    points = ellipse(mean, covariance, 2.0)
    away = points - mean
    distance = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
    assert np.allclose(distance, 4.0)
    assert np.allclose(points[0], points[-1])
    rows = np.random.default_rng(0).multivariate_normal(mean, covariance, 50_000)
    inside = np.einsum("ni,ij,nj->n", rows - mean, np.linalg.inv(covariance), rows - mean) < 4
    assert inside.mean() == pytest.approx(chi2(2).cdf(4.0), abs=0.01)


def test_ellipse_of_a_flat_covariance_is_a_line() -> None:
    points = ellipse(np.zeros(2), np.array([[1.0, 1.0], [1.0, 1.0]]), 1.0)
    assert np.isfinite(points).all()
    assert np.allclose(points[:, 0], points[:, 1], atol=1e-7)


def kinds_of(lo: int, hi: int) -> pa.Table:
    row = np.arange(lo, hi)
    kind = pa.array([None if r % 5 == 0 else "ab"[r % 2] for r in row])
    return pa.table({"row": row, "kind": kind, "plate": row % 3})


def test_composition_counts_every_label_once(made: tuple[np.ndarray, Figures]) -> None:
    rows, fold = made
    count = Composition(fold.mixture, fold.transform, kinds_of, ("kind", "plate"))
    source = ArraySource(rows)
    total = merged(LocalEngine(1, block_rows=4096).map(count, source))
    labels = LocalEngine(1).fold(fold, source).labels
    assert set(total) == {"kind", "plate"}
    assert set(total["kind"]) == {"a", "b", "missing"}
    assert set(total["plate"]) == {"0", "1", "2"}
    for counts in total.values():
        assert np.array_equal(np.sum(list(counts.values()), axis=0), labels)
    assert sum(total["kind"]["missing"]) == N // 5


def test_composition_of_a_block_larger_than_a_tile(
    made: tuple[np.ndarray, Figures], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, fold = made
    count = Composition(fold.mixture, fold.transform, kinds_of, ("kind",))
    whole = count(Block(rows[100:2000], 100))
    monkeypatch.setattr(figures, "TILE", 300)
    assert count(Block(rows[100:2000], 100)) == whole
