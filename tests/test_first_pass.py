"""What is refused before any fit, and with which words."""

from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.blocks import ArraySource
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import DataError, DataWarning
from gmm_dask.first_pass import find_frame
from gmm_dask.folds.rows import RowShare
from tests.strategies import clusters

NAMES = ("mass", "size", "age")


def look(X: np.ndarray, **options):
    engine = LocalEngine(1, block_rows=4096)
    frame, stats = find_frame(engine, ArraySource(X, NAMES[: X.shape[1]]), **options)
    return frame, stats, len(engine.history)


def test_one_pass_as_a_rule():
    X, _ = clusters(9000, 3, 3)
    _, stats, passes = look(X + 1e9)
    assert passes == 1
    assert float(stats.n_rows) == 9000


def test_an_outlier_beyond_the_head_takes_one_more_pass():
    X, _ = clusters(9000, 3, 3)
    X[8000, 0] = 1e120
    frame, _, passes = look(X)
    assert passes <= 2
    assert np.isfinite(frame.scatter).all()


def test_nan_and_inf_are_counted_by_column_with_the_first_row():
    X, _ = clusters(9000, 3, 3)
    X[[5000, 8000], 1] = np.nan
    X[7000, 0] = -np.inf
    with pytest.raises(DataError) as raised:
        look(X)
    message = str(raised.value)
    assert "Input contains NaN: 2 of 9000 rows have no size (first: row 5000)" in message
    assert "Input contains infinity: 1 of 9000 rows have infinite mass (first: row 7000)" in message
    assert "Filter these rows" in message


def test_the_first_row_of_each_trouble_is_its_own():
    X, _ = clusters(100, 2, 2)
    X[3, 0], X[50, 0] = np.inf, np.nan  # one column with both
    with pytest.raises(DataError, match=r"NaN: 1 of 100 rows have no mass \(first: row 50\)"):
        look(X)


def test_many_bad_columns_are_summed_up():
    X = np.full((10, 3), np.nan)
    with pytest.raises(DataError, match=r"10 of 10 rows have no mass; 10 of 10 rows have no size"):
        look(X)


@pytest.mark.parametrize("shape", [(0, 3), (5, 0)])
def test_no_rows_or_no_columns(shape):
    with pytest.raises(DataError, match=rf"shape \({shape[0]}, {shape[1]}\)"):
        look(np.empty(shape))


def test_constant_columns():
    X, _ = clusters(100, 3, 2)
    X[:, 1] = 4.25
    with pytest.raises(DataError, match=r"1 of 3 columns are constant: size \(always 4\.25\)"):
        look(X)
    with pytest.warns(DataWarning, match="size"):
        look(X, constant="warn")


def test_only_the_share_is_looked_at_for_moments():
    X, _ = clusters(5000, 2, 2)
    share = RowShare(0, "held out", 0.5)
    from gmm_dask.blocks import Block

    inside = share.mask(Block(X, 0))
    frame, stats, _ = look(X, rows=share)
    assert float(stats.n_rows) == inside.sum()
    S = frame.scatter * np.outer(frame.scale, frame.scale)
    np.testing.assert_allclose(S, np.cov(X[inside].T, bias=True), rtol=1e-10)


def test_a_share_without_a_row_is_refused():
    X, _ = clusters(50, 2, 2)
    with pytest.raises(DataError, match="row"):
        look(X, rows=RowShare(0, "held out", 0.0))


def test_two_magnitudes_that_no_frame_can_hold_are_refused_in_words():
    X = np.random.default_rng(0).normal(size=(5000, 2))
    X[0, 0], X[4500, 0] = 1e308, -1e308
    try:
        frame, _, _ = look(X)
    except DataError as error:
        assert "mass" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(frame.scatter).all()
        assert np.isfinite(frame.scale).all()
