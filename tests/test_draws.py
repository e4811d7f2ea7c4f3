"""Random numbers of absolute rows."""

from __future__ import annotations

import zlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, pearsonr

from gmm_dask import draws

FIRST = [0.2174157865344376, 0.3493782897963248, 0.3914460455796033, 0.6278813680966466]


@settings(max_examples=30, deadline=None)
@given(lo=st.integers(0, 20000), n=st.integers(1, 9000), seed=st.integers(0, 2**40))
def test_a_row_has_one_number_whoever_asks(lo, n, seed):
    whole = draws.uniform(seed, "p", 1, lo, lo + n)
    assert len(whole) == n
    cut = lo + n // 2
    parts = [draws.uniform(seed, "p", 1, a, b) for a, b in ((lo, cut), (cut, lo + n)) if b > a]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_far_rows_cost_nothing():
    assert len(draws.uniform(0, "p", 0, 10**12, 10**12 + 5)) == 5


def test_numbers_are_uniform_and_streams_independent():
    n = 40000
    streams = [
        draws.uniform(seed, purpose, restart, lo, lo + n)
        for seed, purpose, restart, lo in (
            (0, "a", 0, 0),
            (1, "a", 0, 0),
            (0, "b", 0, 0),
            (0, "a", 1, 0),
            (0, "a", 0, 4096 * 20),
        )
    ]
    for i, one in enumerate(streams):
        assert kstest(one, "uniform").pvalue > 1e-5
        assert ((one >= 0) & (one < 1)).all()
        for other in streams[:i]:
            assert pearsonr(one, other).pvalue > 1e-5
    assert pearsonr(streams[0][:-1], streams[0][1:]).pvalue > 1e-5


def test_by_rows_slices_variates_of_any_shape():
    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((draws.CELL, 3))

    whole = draws.by_rows(draw, 1, "n", 0, 100, 9000)
    np.testing.assert_array_equal(draws.by_rows(draw, 1, "n", 0, 4000, 4200), whole[3900:4100])


def test_chosen_share():
    mask = draws.chosen(0, "held out", 0.25, 0, 100000)
    assert abs(mask.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 100000)
    assert not draws.chosen(0, "held out", 0.0, 0, 10).any()
    assert draws.chosen(0, "held out", 1.0, 0, 10).all()
    # shares of one purpose are nested
    assert (draws.chosen(0, "held out", 0.5, 0, 100000) >= mask).all()


def test_the_stream_is_this_one():
    """Drawn rows are part of the format: another NumPy or another key would change results."""
    first = draws.uniform(7, "held out", 0, 4094, 4098)
    key = [7, zlib.crc32(b"held out"), 0, 1]
    cell = np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).random(4096)
    np.testing.assert_array_equal(first[2:], cell[:2])
    # fixed numbers, so that a change of the keys shows as well
    np.testing.assert_allclose(first, FIRST, rtol=1e-15)
