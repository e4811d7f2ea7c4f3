"""Times, sizes, grids and numbers: what is read, what is refused, what is written back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import convert, quantities
from pipeline.config.reader import plain


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("5m", 300), ("2h", 7200), ("1.5h", 5400), ("0.5s", 0.5), ("10 s", 10)],
)
def test_durations(text, seconds):
    assert quantities.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["60", "1:00", "5min", "1h30m", "-5s", "0s", "s", "5 days", "1e3s"]
)
def test_durations_refused(text):
    with pytest.raises(ValueError, match="time"):
        quantities.duration(plain(text))


def test_a_time_without_a_unit_is_told_what_to_write():
    with pytest.raises(ValueError, match="write 60s for seconds"):
        quantities.duration(plain("60"))


@given(st.floats(min_value=1e-3, max_value=9e8))
def test_a_duration_written_is_read_back(seconds):
    assert quantities.duration(quantities.show_duration(seconds)) == seconds


@pytest.mark.parametrize(("seconds", "text"), [(60, "60s"), (300, "5m"), (7200, "2h"), (90, "90s")])
def test_durations_are_written_as_people_write_them(seconds, text):
    assert quantities.show_duration(float(seconds)) == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("16GiB", 16 * 2**30),
        ("4GB", 4 * 10**9),
        ("512 MiB", 512 * 2**20),
        ("1.5kB", 1500),
        ("100B", 100),
        ("2TiB", 2**41),
        ("16gib", 16 * 2**30),
    ],
)
def test_sizes(text, number):
    assert quantities.size(text) == number


@pytest.mark.parametrize("text", ["16", "16G", "16Gi", "0GB", "-1GB", "all", "0.5", "1iB", "9e9B"])
def test_sizes_refused(text):
    with pytest.raises(ValueError, match="size"):
        quantities.size(plain(text))


@given(st.integers(min_value=1, max_value=2**53))
def test_a_size_written_is_read_back(number):
    assert quantities.size(quantities.show_size(number)) == number


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ("8", (8,)),
        ("2..5", (2, 3, 4, 5)),
        ("2 .. 4", (2, 3, 4)),
        ("10..60 by 25", (10, 35, 60)),
        ("10..60 by 30", (10, 40)),
        ("7..7", (7,)),
        (8, (8,)),
        ([4, 8], (4, 8)),
    ],
)
def test_grids(value, numbers):
    assert quantities.grid(1)(plain(value) if isinstance(value, str) else value) == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2:20", "two dots"),
        ("2-20", "two dots"),
        ("20..2", "must rise"),
        ("2..20 by 0", "must rise"),
        ("0..3", "must rise from 1"),
        ("1..5000", "5000 values"),
        ("8.0", "whole number"),
        ("0", "at least 1"),
        ("010", "needs a number, a list"),
        ("true", "whole number"),
        ("eight", "needs a number, a list"),
        ("1..2..3", "needs a number, a list"),
    ],
)
def test_grids_refused(text, said):
    with pytest.raises(ValueError, match=said):
        quantities.grid(1)(plain(text))


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["4", "4"], "twice"),
        ([], "empty"),
        (["4", "x"], "whole number"),
        (["2..3"], "whole number"),
        ([str(n) for n in range(1, 1002)], "1001 values"),
    ],
)
def test_lists_of_numbers_refused(items, said):
    with pytest.raises(ValueError, match=said):
        quantities.grid(1)([plain(item) for item in items])


@pytest.mark.parametrize(
    ("text", "number"), [("1e-4", 1e-4), ("1", 1.0), (".5", 0.5), ("1E5", 1e5), ("-2.5", -2.5)]
)
def test_decimals(text, number):
    got = convert.decimal(plain(text))
    assert got == number
    assert type(got) is float


@pytest.mark.parametrize(
    "text", [".nan", "nan", ".inf", "inf", "1e999", "true", "null", "1,5", "1_0"]
)
def test_decimals_refused(text):
    with pytest.raises(ValueError, match="finite number"):
        convert.decimal(plain(text))


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400])
def test_numbers_from_json_are_finite_too(value):
    with pytest.raises(ValueError, match="finite number"):
        convert.decimal(value)


@pytest.mark.parametrize("text", ["true", "010", "1.0", "1e3", "null", "'5'", "five", "0x5"])
def test_integers_are_strict(text):
    with pytest.raises(ValueError, match="whole number"):
        convert.whole(0)(plain(text))


@pytest.mark.parametrize(("text", "said"), [("0", "at least 1"), ("1" * 30, "at most")])
def test_integers_have_limits(text, said):
    with pytest.raises(ValueError, match=said):
        convert.whole(1)(plain(text))


@pytest.mark.parametrize("text", ["yes", "True", "on", "1", "null", "'true'"])
def test_only_true_and_false_are_flags(text):
    with pytest.raises(ValueError, match="true or false"):
        convert.flag(plain(text))


@pytest.mark.parametrize("text", [".", "..", "a/b", "../x", "a b", "é", "x\ny", "", "a" * 129])
def test_run_names_refused(text):
    with pytest.raises(ValueError, match=r"run name|needs a text"):
        convert.name(text)


@pytest.mark.parametrize("text", ["2026-11-20", "a.b", "...", "-x_Y", "7"])
def test_run_names(text):
    assert convert.name(plain(text)) == text


@pytest.mark.parametrize(
    ("text", "number"), [("0.91 nL", 0.91), ("0.91nL", 0.91), ("1 uL", 1e3), ("500 pL", 0.5)]
)
def test_volumes(text, number):
    assert quantities.volume(text) == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize("text", ["0.91", "0 nL", "nL", "1 L", "-1 nL"])
def test_volumes_refused(text):
    with pytest.raises(ValueError, match="volume with its unit"):
        quantities.volume(plain(text))


def test_sentinels_are_numbers_where_they_look_like_numbers():
    assert [convert.sentinel(plain(text)) for text in ("-999", "-99.9", "1e20", "NA")] == [
        -999.0,
        -99.9,
        1e20,
        "NA",
    ]
