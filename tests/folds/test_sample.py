"""Random samples and shares of rows, the same whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, chisquare

from gmm_dask.blocks import Block
from gmm_dask.folds.rows import RowShare, select
from gmm_dask.folds.sample import Sample
from tests.strategies import ask

X = np.arange(20000.0)[:, None]


@pytest.mark.parametrize("cuts", [[1], [4096, 8192], [5, 6, 12345]])
def test_the_sample_does_not_depend_on_blocks(cuts):
    fold = Sample(300, 1, 9)
    np.testing.assert_array_equal(ask(fold, X).values, ask(fold, X, cuts).values)


def test_rows_are_distinct_and_samples_nested():
    large, small = ask(Sample(1000, 1, 9), X), ask(Sample(100, 1, 9), X)
    assert len(np.unique(large.values)) == 1000
    np.testing.assert_array_equal(large.values[:100], small.values)
    assert ask(Sample(100, 1, 10), X).values.tolist() != small.values.tolist()


def test_every_row_is_as_likely():
    drawn = np.concatenate([ask(Sample(500, 1, seed), X).values[:, 0] for seed in range(40)])
    counts, _ = np.histogram(drawn, bins=20, range=(0, 20000))
    assert chisquare(counts).pvalue > 1e-5


def test_fewer_rows_than_asked_for_are_all_rows():
    sample = ask(Sample(100, 1, 0), X[:30], [7])
    np.testing.assert_array_equal(np.sort(sample.values[:, 0]), X[:30, 0])


def test_float32_becomes_float64():
    assert ask(Sample(5, 1, 0), X.astype(np.float32)).values.dtype == np.float64


def test_share_and_its_complement_are_the_whole():
    inside, outside = RowShare(1, "a", 0.2), RowShare(1, "a", 0.2, inside=False)
    block = Block(X, 0)
    np.testing.assert_array_equal(inside.mask(block), ~outside.mask(block))
    assert binomtest(int(inside.mask(block).sum()), len(X), 0.2).pvalue > 1e-5
    assert len(select(inside, block)) + len(select(outside, block)) == len(X)
    assert select(None, block) is block.values


def test_share_of_a_row_does_not_depend_on_its_block():
    share = RowShare(1, "a", 0.2)
    whole = share.mask(Block(X, 0))
    np.testing.assert_array_equal(share.mask(Block(X[4090:4110], 4090)), whole[4090:4110])
    assert len(share.mask(Block(X[:0], 5))) == 0


def test_purposes_and_seeds_are_independent():
    masks = [RowShare(s, p, 0.5).mask(Block(X, 0)) for s, p in ((1, "a"), (1, "b"), (2, "a"))]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert binomtest(int((a == b).sum()), len(X), 0.5).pvalue > 1e-5
