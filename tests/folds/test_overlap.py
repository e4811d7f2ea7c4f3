from __future__ import annotations

import numpy as np
import pytest

from gmm_dask.blocks import RowLayout
from gmm_dask.errors import DataError
from gmm_dask.folds.overlap import FARTHEST, Overlap
from gmm_dask.folds.rows import RowShare
from tests.oracle import Oracle, e_step
from tests.strategies import KINDS, ask, clusters, mixture_near

X, _ = clusters(700, 3, 3, seed=2, apart=2.0)


def oracle_of(mixture) -> Oracle:
    return Oracle(mixture.weights[0], mixture.means, mixture.dense_covariances)


@pytest.mark.parametrize("kind", KINDS)
def test_sums_are_those_of_the_definition(kind):
    mixture = mixture_near(X, kind, 3)
    found = ask(Overlap(mixture), X)
    oracle = oracle_of(mixture)
    log_likelihood, resp = e_step(oracle, X)
    assert float(found.n_rows) == 700
    assert float(found.log_likelihood) == pytest.approx(log_likelihood, rel=1e-10)
    shared = [[sum(resp[:, i] * resp[:, j]) for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(found.shared, shared, rtol=1e-8)
    for k in range(3):
        # any whitening will do, up to a rotation: compare what a rotation leaves alone
        lower = np.linalg.cholesky(oracle.matrices[k])
        z = np.linalg.solve(lower, (X - oracle.means[k]).T).T
        square = (z**2).sum(axis=1)
        r = resp[:, k]
        assert found.count[k] == pytest.approx(r.sum(), rel=1e-9)
        first, third = r @ z, (r * square) @ z
        second, fourth = (z * r[:, None]).T @ z, (z * (r * square)[:, None]).T @ z
        assert np.linalg.norm(found.first[k]) == pytest.approx(np.linalg.norm(first), rel=1e-7)
        assert np.linalg.norm(found.third[k]) == pytest.approx(np.linalg.norm(third), rel=1e-7)
        for ours, theirs in ((found.second[k], second), (found.fourth[k], fourth)):
            np.testing.assert_allclose(
                np.linalg.eigvalsh(ours), np.linalg.eigvalsh(theirs), rtol=1e-7, atol=1e-9
            )


def test_a_weight_of_two_is_a_row_twice():
    mixture = mixture_near(X, "full", 3)
    times = np.random.default_rng(0).integers(1, 4, len(X))
    rows = RowShare.all_rows(RowLayout(3, sample_weight=True))
    weighted = ask(Overlap(mixture, rows), np.column_stack([X, times]).astype(float))
    repeated = ask(Overlap(mixture), np.repeat(X, times, axis=0))
    for ours, theirs in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_rows_with_holes_count_where_they_can():
    mixture = mixture_near(X, "full", 3)
    holes = X.copy()
    holes[::7, 1] = np.nan
    rows = RowShare.all_rows(RowLayout(3, missing=True))
    found = ask(Overlap(mixture, rows), holes)
    whole = ask(Overlap(mixture), np.ascontiguousarray(X[np.isfinite(holes).all(axis=1)]))
    assert float(found.n_rows) == 700
    assert found.count.sum() == pytest.approx(700.0)
    np.testing.assert_allclose(found.fourth, whole.fourth, rtol=1e-10, atol=1e-8)
    assert (found.shared > whole.shared).all()


def test_a_hole_that_is_not_expected_is_an_error():
    holes = X.copy()
    holes[5, 0] = np.nan
    with pytest.raises(DataError, match="first: row 5"):
        ask(Overlap(mixture_near(X, "full", 3)), holes)


def test_far_rows_are_drawn_in():
    mixture = mixture_near(X, "full", 3)
    plain = ask(Overlap(mixture), X)
    for size in (1e9, 1e200):
        far = ask(Overlap(mixture), np.concatenate([X, np.full((1, 3), size)]))
        added = np.trace(far.fourth - plain.fourth, axis1=1, axis2=2).sum()
        assert added == pytest.approx((FARTHEST**2 * 3) ** 2, rel=1e-6)
        assert all(np.isfinite(part).all() for part in far)
