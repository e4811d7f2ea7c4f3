from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.report import words
from pipeline.report.bins import coarser, frame, usable
from pipeline.report.canvas import drawable, tick


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.06, "6 %"), (0.064, "6.4 %"), (0.5, "50 %"), (1.0, "100 %"), (0.0, "0 %"),
        (0.00001, "under 0.1 %"), (0.9996, "99.9 %"), (0.994, "99.4 %"), (0.0999, "10 %"),
        (0.12345, "12 %"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_share(value: float, text: str) -> None:
    assert words.share(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.012 s"), (8.7, "8.7 s"), (99.0, "99.0 s"), (192.0, "3 min 12 s"),
        (7500.0, "2 h 5 min"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_duration(value: float, text: str) -> None:
    assert words.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (math.nan, "–"), (math.inf, "∞"), (-math.inf, "-∞"), (1234567.0, "1,234,567"),
        (0.001234, "0.001234"), (1e-7, "1.000e-07"), (3.14159, "3.142"),
    ],
)  # fmt: skip
def test_number(value: float, text: str) -> None:
    assert words.number(value) == text


def test_a_column_shares_its_decimals() -> None:
    cells = words.with_spreads([79.61, 55.4, math.nan], [6.31, 6.2, 0.004])
    assert cells == [("79.6", "6.3"), ("55.4", "6.2"), ("–", "0.0")]
    assert words.with_spreads([3.0], [0.0]) == [("3.000", "0")]
    assert words.with_spreads([4.5e12], [2.1e10]) == [("4.500e+12", "2.1e+10")]


@pytest.mark.parametrize(("mean", "std"), [(12.3456, 0.0789), (-5e-9, 3e-10), (7e20, 1e20)])
def test_a_mean_keeps_two_digits_of_its_spread(mean: float, std: float) -> None:
    (shown, spread), = words.with_spreads([mean], [std])  # fmt: skip
    assert float(shown.replace(",", "")) == pytest.approx(mean, abs=0.051 * std)
    assert float(spread) == pytest.approx(std, rel=0.051)


def test_names_lose_what_cannot_be_shown_and_are_cut() -> None:
    assert words.name("a\x00b\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert words.name("می\u200cخواهم") == "می\u200cخواهم"
    assert words.name("x" * 500, 10) == "x" * 9 + "…"
    assert words.listed(["a", "b", "c"]) == "a, b and c"


def test_drawn_names_hold_only_signs_of_the_font() -> None:
    assert drawable("μ_α*cos δ [mas/yr]") == "μ_α*cos δ [mas/yr]"
    assert drawable("列a") == "?a"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1_200_000.0, "1.2e6"), (-2500.0, "-2,500"), (1e-5, "1e-5"), (0.25, "0.25"),
     (0.1 + 0.2, "0.3"), (math.inf, "")],
)  # fmt: skip
def test_ticks(value: float, text: str) -> None:
    assert tick(value) == text


def test_coarser_bins_keep_rows_and_ends() -> None:
    edges, counts = np.arange(258.0), np.arange(257.0)
    few_edges, few = coarser(edges, counts, 0)
    assert len(few) <= 100
    assert few.sum() == counts.sum()
    assert (few_edges[0], few_edges[-1]) == (0.0, 257.0)
    expected, _ = np.histogram(np.arange(257) + 0.5, bins=few_edges, weights=counts)
    np.testing.assert_array_equal(few, expected)
    assert len(coarser(edges[:5], counts[:4], 0)[1]) == 4


def test_the_frame_leaves_out_stray_rows_but_not_components() -> None:
    edges, counts = np.arange(101.0), np.zeros(100)
    counts[10:20] = 1e5
    counts[99] = 1
    assert frame(edges, counts, np.empty(0)) == (10.0, 20.0)
    assert frame(edges, counts, np.array([5.5, np.nan, 30.0])) == (5.5, 30.0)
    assert frame(edges, counts, np.array([-1e9])) == (-12.0, 20.0)
    assert frame(edges, np.zeros(100), np.empty(0)) == (0.0, 100.0)


def test_edges_that_cannot_be_drawn() -> None:
    assert usable(np.array([0.0, 1.0]))
    assert not usable(np.array([0.0, 0.0]))
    assert not usable(np.array([-np.inf, 0.0]))
    assert not usable(np.array([0.0]))
