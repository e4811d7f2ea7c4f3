from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.filters import parse
from pipeline.sources.masks import decide
from pipeline.sources.trouble import ConfigError, DataError

NUMBERS = st.one_of(st.none(), st.integers(-3, 3).map(float), st.just(float("nan")))
COLUMNS = ("x", "y", "k", "s")
Answer = Callable[[pd.DataFrame], Any]


def rows_of(number: Any, integer: Any, letter: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.tuples(number, number, integer, letter), min_size=1, max_size=25)


COMPLETE = rows_of(st.integers(-3, 3).map(float), st.integers(-2, 2), st.sampled_from("abc"))
WITH_HOLES = rows_of(NUMBERS, st.none() | st.integers(-2, 2), st.none() | st.sampled_from("abc"))

SIDES: list[tuple[str, Answer]] = [
    ("x", lambda f: f.x),
    ("y", lambda f: f.y),
    ("k", lambda f: f.k),
    ("x + y", lambda f: f.x + f.y),
    ("x - k", lambda f: f.x - f.k),
    ("2 * y", lambda f: 2 * f.y),
    ("-x", lambda f: -f.x),
    ("x / 2", lambda f: f.x / 2),
    ("(x + 1)", lambda f: f.x + 1),
]
SIGNS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("<", operator.lt),
    ("<=", operator.le),
    (">", operator.gt),
    (">=", operator.ge),
    ("==", operator.eq),
    ("!=", operator.ne),
]


def among(name: str, items: list[Any], wanted: bool) -> Answer:
    def answer(frame: pd.DataFrame) -> Any:
        # pandas has no three-valued `in`: a missing value is simply not in the list
        found = frame[name].isin(items).astype("boolean") == wanted
        return found.mask(frame[name].isna(), pd.NA)

    return answer


ATOMS: list[tuple[str, Answer]] = [
    ("k in [0, 1, 2]", among("k", [0, 1, 2], True)),
    ("k not in [1]", among("k", [1], False)),
    ("x in [0, 1.0]", among("x", [0, 1.0], True)),
    ("s in ['a', 'c']", among("s", ["a", "c"], True)),
    ("s not in ['a']", among("s", ["a"], False)),
    ("s == 'a'", lambda f: f.s == "a"),
    ("'b' != s", lambda f: f.s != "b"),
]
Pair = tuple[str, Answer]


@st.composite
def comparisons(draw: st.DrawFn) -> Pair:
    (a, left), (b, right) = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
    (sign, compare) = draw(st.sampled_from(SIGNS))
    number = draw(st.integers(-3, 3))
    form = draw(st.integers(0, 2))
    if form == 0:
        return f"{a} {sign} {b}", lambda f: compare(left(f), right(f))
    if form == 1:
        return f"{a} {sign} {number}", lambda f: compare(left(f), number)
    return f"{number} < {a} <= {b}", lambda f: (number < left(f)) & (left(f) <= right(f))


def conditions() -> st.SearchStrategy[Pair]:
    def joined(a: Pair, sign: str, b: Pair) -> Pair:
        join = operator.and_ if sign in ("and", "&") else operator.or_
        return f"({a[0]}) {sign} ({b[0]})", lambda f: join(a[1](f), b[1](f))

    def negated(a: Pair, sign: str) -> Pair:
        return f"{sign}({a[0]})", lambda f: ~a[1](f)

    return st.recursive(
        st.one_of(comparisons(), st.sampled_from(ATOMS)),
        lambda inner: st.one_of(
            st.builds(joined, inner, st.sampled_from(["and", "or", "&", "|"]), inner),
            st.builds(negated, inner, st.sampled_from(["not ", "~"])),
        ),
        max_leaves=4,
    )


def nullable(rows: list[Any]) -> pd.DataFrame:
    """The same rows in pandas' nullable types, whose logic has three values too."""
    x, y, k, s = zip(*rows, strict=True)
    floats = {
        n: pd.array(pd.Series(v, dtype=float), dtype="Float64") for n, v in (("x", x), ("y", y))
    }
    return pd.DataFrame(
        {**floats, "k": pd.array(k, dtype="Int64"), "s": pd.array(s, dtype="string")}
    )


def arrow(rows: list[Any]) -> pa.Table:
    kinds = [pa.float64(), pa.float64(), pa.int64(), pa.string()]
    columns = zip(zip(*rows, strict=True), kinds, strict=True)
    return pa.table([pa.array(list(v), kind) for v, kind in columns], names=list(COLUMNS))


@settings(max_examples=100, deadline=None)
@given(rows=COMPLETE, pair=conditions())
def test_same_rows_as_pandas_query(rows: list[Any], pair: Pair) -> None:
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    kept = decide(parse(pair[0]), arrow(rows)).kept
    np.testing.assert_array_equal(kept, frame.query(pair[0], engine="python").index)


@settings(max_examples=150, deadline=None)
@given(rows=WITH_HOLES, pair=conditions())
def test_same_rows_as_nullable_pandas_where_values_are_missing(rows: list[Any], pair: Pair) -> None:
    verdict = decide(parse(pair[0]), arrow(rows))
    answer = pair[1](nullable(rows)).astype("boolean")
    np.testing.assert_array_equal(verdict.kept, np.flatnonzero(answer.fillna(False)))
    assert verdict.dropped.get("filter false", 0) == int((~answer).fillna(False).sum())
    assert sum(verdict.dropped.values()) == len(rows) - len(verdict.kept)


@settings(max_examples=50, deadline=None)
@given(rows=WITH_HOLES)
def test_null_tests_see_nan_and_null_alike(rows: list[Any]) -> None:
    frame = nullable(rows)
    for text, expected in [
        ("x is null", frame.x.isna()),
        ("x is not null", frame.x.notna()),
        ("s is null or k is not null", frame.s.isna() | frame.k.notna()),
    ]:
        kept = decide(parse(text), arrow(rows)).kept
        np.testing.assert_array_equal(kept, np.flatnonzero(expected))


def test_drops_are_counted_by_the_first_missing_column() -> None:
    rows = pa.table({"a": [1.0, None, np.nan, 1.0, 9.0], "b": [1.0, 1.0, None, None, 1.0]})
    verdict = decide(parse("a < 5 and b < 5"), rows)
    assert verdict.kept.tolist() == [0]
    assert verdict.dropped == {"filter false": 1, "a missing": 2, "b missing": 1}


def test_an_or_that_is_decided_needs_no_missing_value() -> None:
    rows = pa.table({"a": [np.nan, np.nan], "b": [1.0, 9.0]})
    verdict = decide(parse("a < 5 or b < 5"), rows)
    assert verdict.kept.tolist() == [0]
    assert verdict.dropped == {"a missing": 1}


def test_zero_over_zero_is_undefined_not_false() -> None:
    rows = pa.table({"a": [0, 4, 4], "b": [0, 2, 0]})
    verdict = decide(parse("a / b >= 2"), rows)
    assert verdict.kept.tolist() == [1, 2]
    assert verdict.dropped == {"filter undefined": 1}


def test_sentinels_are_missing() -> None:
    rows = pa.table({"a": pa.array([-999.0, 1.0], pa.float32()), "k": [1, -999]})
    assert decide(parse("a < 5"), rows, [-999.0]).dropped == {"a missing": 1}
    assert decide(parse("k < 5"), rows, [-999.0]).dropped == {"k missing": 1}


def test_wanted_stops_after_so_many_rows() -> None:
    rows = pa.table({"a": [9, 1, 9, 1, 9, 1]})
    verdict = decide(parse("a < 5"), rows, wanted=2)
    assert (verdict.kept.tolist(), verdict.seen, verdict.dropped) == (
        [1, 3],
        4,
        {"filter false": 2},
    )


def test_literals_take_the_precision_of_the_column() -> None:
    rows = pa.table({"a": pa.array([0.1], pa.float32())})
    assert decide(parse("a == 0.1"), rows).kept.tolist() == [0]


def test_dictionaries_decimals_times_and_large_unsigned_numbers() -> None:
    rows = pa.table(
        {
            "d": pa.array(["u", "v"]).dictionary_encode(),
            "m": pa.array([Decimal("1.00"), Decimal("2.00")]),
            "t": pa.array([0, 10**15], pa.timestamp("us")),
            "h": pa.array([2**64 - 1, 1], pa.uint64()),
            "b": [True, False],
        }
    )
    for text, kept in [
        ("d == 'u'", [0]),
        ("m + 1 > 2.5", [1]),
        ("t > '1990-01-01'", [1]),
        ("h > 5", [0]),
        ("b", [0]),
        ("not b", [1]),
        ("b == false", [1]),
    ]:
        assert decide(parse(text), rows).kept.tolist() == kept, text


@pytest.mark.parametrize(
    "text", ["s < 3", "x == 'a'", "x and s == 'a'", "x + 1", "not x", "-s < 1"]
)
def test_types_that_do_not_fit_are_told_with_the_piece(text: str) -> None:
    with pytest.raises(ConfigError, match=r"source\.filter: `.*(string|double)"):
        decide(parse(text), arrow([(1.0, 1.0, 1, "a")]).slice(0, 0))


def test_integer_overflow_is_an_error_not_a_wrap() -> None:
    with pytest.raises(DataError, match="overflow"):
        decide(parse("k + k > 0"), pa.table({"k": [2**62]}))
