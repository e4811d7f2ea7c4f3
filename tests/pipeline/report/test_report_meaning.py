"""What a diagnosis adds: intervals at the weights, and the figure of the tails."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

import numpy as np
import pytest

from gmm_dask import FormatError
from pipeline.report import Results
from pipeline.report.meaning import Meaning, Tails
from pipeline.report.shape import weights_block
from pipeline.report.tails import tails_block

TAILS = Tails(
    share=np.array([0.01, 1e-3, 1e-4, 1e-5]),
    ratio=np.array([1.1, 2.0, 6.5, 0.0]),
    low=np.array([0.9, 1.2, 2.0, 0.0]),
    high=np.array([1.3, 3.1, 15.0, 90.0]),
)


@pytest.fixture
def diagnosed(digits: Results) -> Results:
    weights = np.array([component.weight for component in digits.components])
    meaning = Meaning(weight_low=weights - 0.01, weight_high=weights + 0.02, tails=TAILS)
    return replace(digits, meaning=meaning)


def csv_of(uri: str) -> list[list[str]]:
    text = unquote(uri.partition(",")[2])
    return [line.split(",") for line in text.strip().splitlines()]


def test_intervals_stand_beside_the_weights(digits: Results, diagnosed: Results) -> None:
    block = weights_block(diagnosed)
    assert "95 % intervals" in block.caption
    head, *lines = csv_of(block.links[0].uri)
    assert head[-2:] == ["weight_low", "weight_high"]
    for line, component in zip(lines, diagnosed.components, strict=True):
        low, high = float(line[-2]), float(line[-1])
        assert low == pytest.approx(component.weight - 0.01, abs=1e-5)
        assert high == pytest.approx(component.weight + 0.02, abs=1e-5)
    assert "intervals" not in weights_block(digits).caption


def test_tails_are_drawn_and_told(digits: Results, diagnosed: Results) -> None:
    block = tails_block(diagnosed)
    assert block is not None
    assert "6.5 times as many beyond the outermost 0.0001" in block.caption
    _, *lines = csv_of(block.links[0].uri)
    np.testing.assert_allclose([float(line[1]) for line in lines], TAILS.ratio)
    assert tails_block(digits) is None


def test_no_row_far_out_is_said(diagnosed: Results) -> None:
    assert diagnosed.meaning is not None
    none = replace(TAILS, ratio=np.zeros(4), low=np.zeros(4))
    block = tails_block(replace(diagnosed, meaning=replace(diagnosed.meaning, tails=none)))
    assert block is not None
    assert "No row lies so far out" in block.caption


def test_it_is_stored_and_read_again(diagnosed: Results) -> None:
    again = Results.from_json(diagnosed.to_json())
    assert again.meaning is not None
    assert again.meaning.tails is not None
    np.testing.assert_array_equal(again.meaning.tails.high, TAILS.high)


def test_parts_of_other_lengths_are_refused(diagnosed: Results) -> None:
    assert diagnosed.meaning is not None
    with pytest.raises(FormatError, match="weight_low"):
        replace(diagnosed, meaning=replace(diagnosed.meaning, weight_low=np.zeros(2)))
    with pytest.raises(FormatError, match="ratio of tails"):
        tails = replace(TAILS, ratio=np.zeros(2))
        replace(diagnosed, meaning=replace(diagnosed.meaning, tails=tails))
