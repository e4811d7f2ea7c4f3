"""Row outputs: the same numbers whatever the tile, and errors that name the row."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from gmm_dask.blocks import RowLayout
from gmm_dask.errors import DataError
from gmm_dask.rows import RowFunction, draw_rows, posterior_rows
from tests.oracle import Oracle, e_step
from tests.strategies import KINDS, clusters, mixture_near, mixture_of

X, _ = clusters(9000, 2, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_equal_the_loop(kind):
    mixture = mixture_near(X, kind, 3)
    model = Oracle(mixture.weights[0], mixture.means, mixture.dense_covariances)
    total, resp = e_step(model, X)
    np.testing.assert_allclose(RowFunction(mixture, "resp")(X), resp, atol=1e-10)
    np.testing.assert_array_equal(RowFunction(mixture, "label")(X), resp.argmax(axis=1))
    assert RowFunction(mixture, "log_prob_norm")(X).sum() == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("output", ["label", "resp", "log_prob_norm"])
def test_a_row_does_not_depend_on_its_neighbours(output):
    function = RowFunction(mixture_near(X, "full", 3), output)
    whole = function(X)
    for lo, hi in ((0, 1), (4090, 4100), (8999, 9000)):
        np.testing.assert_allclose(function(X[lo:hi]), whole[lo:hi], rtol=1e-12)
    assert function(X[:0]).shape == (0, *whole.shape[1:])
    assert function(X[:0]).dtype == whole.dtype


def test_it_pickles_without_its_factorisations():
    function = RowFunction(mixture_near(X, "full", 3), "resp")
    size = len(pickle.dumps(function))
    values = function(X[:10])
    assert len(pickle.dumps(function)) == size
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(function))(X[:10]), values)


@pytest.mark.parametrize("noise", ["", "diag", "full"])
@pytest.mark.parametrize("output", ["label", "resp", "log_prob_norm", "imputed", "true"])
def test_a_row_with_holes_and_noise_does_not_depend_on_its_neighbours(output, noise):
    layout = RowLayout(2, noise=noise, missing=True)
    rng = np.random.default_rng(3)
    values = np.where(rng.random(X.shape) < 0.3, np.nan, X)
    numbers = rng.gamma(1.0, size=(len(X), layout.width - 2))
    if noise == "full":
        numbers[:, 1] = 0.3 * np.sqrt(numbers[:, 0] * numbers[:, 2])  # a correlation of 0.3
    rows = np.concatenate([values, numbers], axis=1)[:2500]
    function = RowFunction(mixture_near(X, "full", 3), output, layout)
    whole = function(rows)
    assert whole.ndim == (1 if function.n_outputs is None else 2)
    for lo, hi in ((0, 1), (1020, 1030), (2499, 2500)):
        # rows are measured with those of the same pattern: products of other sizes, last bits
        np.testing.assert_allclose(function(rows[lo:hi]), whole[lo:hi], rtol=1e-9, atol=1e-11)
    assert function(rows[:0]).shape == (0, *whole.shape[1:])
    size = len(pickle.dumps(function))
    assert size < 5000  # travels without what it has prepared
    again = pickle.loads(pickle.dumps(function))
    np.testing.assert_array_equal(again(rows[:9]), function(rows[:9]))


def test_bad_rows_are_named():
    function = RowFunction(mixture_near(X, "full", 3), "label")
    rows = X[:5].copy()
    rows[3, 0] = np.inf
    with pytest.raises(DataError, match=r"1 of 5 rows .*row 3"):
        function(rows)
    with pytest.raises(DataError, match="NaN or infinity"):
        posterior_rows(function.mixture, None, rows)


def test_a_bad_row_beyond_the_first_tile_is_named_by_its_number():
    function = RowFunction(mixture_near(X, "full", 3), "label")
    rows = X.copy()
    rows[5000, 0] = np.nan
    with pytest.raises(DataError, match=r"row 5000\b"):
        function(rows)


def test_drawn_rows_do_not_depend_on_the_range():
    mixture = mixture_near(X, "full", 3)
    values, labels = draw_rows(mixture, 3, 0, 9000)
    for lo, hi in ((0, 1), (4095, 4097), (5000, 9000)):
        part, part_labels = draw_rows(mixture, 3, lo, hi)
        np.testing.assert_array_equal(part, values[lo:hi])
        np.testing.assert_array_equal(part_labels, labels[lo:hi])


def test_a_component_of_weight_zero_is_never_drawn():
    mixture = mixture_of("spherical", [0.5, 0.0, 0.5], [[0.0], [5.0], [9.0]], [1.0, 1.0, 1.0])
    _, labels = draw_rows(mixture, 0, 0, 20000)
    assert set(labels) == {0, 2}


def test_far_rows_keep_a_component():
    mixture = mixture_of("diag", [0.5, 0.5], [[0.0], [10.0]], [[1.0], [4.0]])
    rows = np.array([[1e200], [-1e180]])
    np.testing.assert_array_equal(RowFunction(mixture, "label")(rows), [1, 1])
    assert np.isfinite(RowFunction(mixture, "log_prob_norm")(rows)).all()
