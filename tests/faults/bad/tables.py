"""Tables whose columns are no numbers, or not those that were asked for: parquet and text."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from tests.faults.bad.case import Case, csv_of, parquet_bytes
from tests.faults.bad.values import good_rows

DATA = (3,)
SETTING = (2,)
EITHER = (2, 3)
N = 24


def plain_table(n: int = N, names: str = "ab", seed: int = 0) -> pa.Table:
    """Return a table of columns that can be fitted."""
    rows = good_rows(n, len(names), seed)
    return pa.table(dict(zip(names, np.ascontiguousarray(rows.T), strict=True)))


def odd_columns() -> dict[str, pa.Array]:
    """Return columns of N rows that are no numbers, by what they hold."""
    day = datetime.date(2026, 1, 1)
    words = [f"w{i % 5}" for i in range(N)]
    return {
        "text": pa.array(words),
        "large text": pa.array(words, pa.large_string()),
        "numbers as text": pa.array([str(i) for i in range(N)]),
        "bytes": pa.array([b"x"] * N),
        "truths": pa.array([i % 2 == 0 for i in range(N)]),
        "categories": pa.array(words).dictionary_encode(),
        "dates": pa.array([day] * N),
        "times": pa.array([datetime.datetime(2026, 1, 1, i) for i in range(N)]),
        "zoned": pa.array(range(N), pa.timestamp("ns", "UTC")),
        "clock": pa.array(range(N), pa.time64("us")),
        "durations": pa.array(range(N), pa.duration("s")),
        "lists": pa.array([[1.0, 2.0]] * N),
        "fixed lists": pa.array([[1.0, 2.0]] * N, pa.list_(pa.float64(), 2)),
        "records": pa.array([{"x": 1.0}] * N),
        "maps": pa.array([[("x", 1.0)]] * N, pa.map_(pa.string(), pa.float64())),
        "nothing": pa.nulls(N),
    }


@st.composite
def odd_types(draw: Any) -> Case:
    """A named column that is no number: refused with its name and what it holds."""
    columns = odd_columns()
    kind = draw(st.sampled_from(sorted(columns)))
    name = draw(st.sampled_from(["odd", "a.b", "ü", "x y", "0"]))
    table = plain_table().append_column(name, columns[kind])
    source = {"path": "t.parquet", "columns": draw(st.permutations(["a", "b", name]))}
    files = {"t.parquet": parquet_bytes(table)}
    told = rf"{name} holds "
    return Case(f"parquet with {kind} called {name!r}", files, source, {}, DATA, told)


@st.composite
def large_integers(draw: Any) -> Case:
    """A column of integers or decimals beyond what float64 holds."""
    row = draw(st.integers(0, N - 1))
    whole = draw(st.sampled_from([pa.int64(), pa.uint64(), pa.decimal128(38, 0)]))
    low = 2**54 + 1
    value = draw(st.integers(low, 2**63 - 1))
    numbers: list[Any] = [(7 * i) % 5 for i in range(N)]
    numbers[row] = value
    if pa.types.is_decimal(whole):
        numbers = [decimal.Decimal(number) for number in numbers]
    table = plain_table().append_column("big", pa.array(numbers, whole))
    exact = pa.types.is_decimal(whole)
    files = {"t.parquet": parquet_bytes(table, draw(st.integers(1, N)))}
    source = {"path": "t.parquet", "columns": ["a", "big"]}
    codes = (0, 3, 5) if exact else DATA
    return Case(f"{whole} {value} in row {row}", files, source, {}, codes, "big|t[.]parquet")


@st.composite
def names(draw: Any) -> Case:
    """Settings that name columns which are not there, or twice, or nothing."""
    setting = draw(st.sampled_from(["columns", "id", "carry", "units", "filter"]))
    word = draw(
        st.sampled_from(
            ["c", "A", "a ", "ab", "../a", "a;b", "a`b", "\u00e9", "x" * 500, "*", "a.b"]
        )
        | st.text(min_size=1, max_size=8)
    )
    value: Any = {
        "columns": draw(st.sampled_from([[word], ["a", word], [word, word], [], ["a", "a"]])),
        "id": draw(st.sampled_from([word, [word], ["a", word], ["a", "a"]])),
        "carry": draw(st.sampled_from([[word], ["row"], ["a", "a"]])),
        "units": {word: "mas"},
        "filter": draw(st.sampled_from(["`{}` < 1", "{} < 1", "a < {}", "a in [{}]"])).format(word),
    }[setting]
    files = {"t.parquet": parquet_bytes(plain_table())}
    fine = word.strip() in ("a", "b") or (setting == "filter" and word.strip().isdigit())
    # a column carried twice is carried once
    codes = (0, 2, 3, 5) if fine or setting == "filter" or value == ["a", "a"] else EITHER
    source = {"path": "t.parquet", setting: value}
    return Case(f"source.{setting}: {value!r}", files, source, {}, codes)


FILTERS = [
    *("a <", "a = 1", "a < 'x'", "a.b.c", "a and b", "not a", "a + 1", "1 < 2", "", " ", "()"),
    *("__import__('os')", "a.__class__", "a < (lambda: 1)()", "[x for x in a]", "a if b else c"),
    *(
        "a < 1e999",
        "a < 10**10**10",
        "a < 9" + "9" * 400,
        "a == nan",
        "a is a",
        "a in a",
        "a in []",
    ),
    *("a < 1 < ", "(" * 300 + "a < 1" + ")" * 300, "a < 1 and " * 2000 + "a < 1", "`", "``", "`a"),
    *("a < '\\ud800'", "a < 1\0", "\\", "a @ b > 1", "a < 1; b < 1", "a := 1", "a % 2 == 0"),
    *("a < 1/0", "a / 0 > 1", "not not not a", "~a", "a < True", "a < null", "null", "true", "a"),
    *("-" * 2000 + "a < 1", "a > 1e6", "a is null", "1 / a is null and a > 1e9"),
]


@st.composite
def filters(draw: Any) -> Case:
    """Filters that cannot be read, do not fit the types, or keep nothing."""
    pieces = st.sampled_from(
        ["a", "b", "<", "1", "and", "not", "(", ")", "is null", "'x'", "-", "in"]
    )
    made = st.lists(pieces, min_size=1, max_size=9).map(" ".join)
    text = draw(st.sampled_from(FILTERS) | made)
    files = {"t.parquet": parquet_bytes(plain_table())}
    return Case(f"filter {text[:80]!r}", files, {"path": "t.parquet", "filter": text})


@st.composite
def differing(draw: Any) -> Case:
    """Files of one source of which one differs: in columns, types or rows."""
    others = {
        "lacks a column": plain_table(names="a"),
        "text": plain_table(names="a").append_column("b", pa.array(["x"] * N)),
        "lists": plain_table(names="a").append_column("b", pa.array([[1.0]] * N)),
        "truths": plain_table(names="a").append_column("b", pa.array([True] * N)),
        "times": plain_table(names="a").append_column("b", pa.array(range(N), pa.timestamp("s"))),
        "other names": plain_table(names="cd"),
        "capitals": plain_table(names="AB"),
        "no rows": plain_table(n=0),
        "no columns": pa.table({}),
        "twice": pa.Table.from_arrays([plain_table().column(0)] * 2, ["a", "a"]),
    }
    kind = draw(st.sampled_from(sorted(others)))
    tables = [plain_table(seed=i) for i in range(draw(st.integers(1, 3)))]
    tables.insert(draw(st.integers(0, len(tables))), others[kind])
    files = {f"t/{i}.parquet": parquet_bytes(table) for i, table in enumerate(tables)}
    columns = draw(st.sampled_from([None, ["a", "b"], ["b"]]))
    codes = (0, 5) if kind == "no rows" else (0, 3, 5) if columns is None else DATA
    source = {"path": "t", "columns": columns}
    return Case(f"one of {len(tables)} {kind}, {columns}", files, source, {}, codes, r"t\b")


@st.composite
def empty_tables(draw: Any) -> Case:
    """Tables without rows, without columns, or without any that can be fitted."""
    made = {
        "no rows": plain_table(n=0),
        "no columns": pa.table({}),
        "only text": pa.table({"t": ["x"] * N}),
        "only nothing": pa.table({"t": pa.nulls(N)}),
        "only identifiers": pa.table({"i": range(N)}),
        "twice": pa.Table.from_arrays([plain_table().column(0)] * 2, ["a", "a"]),
        "a name of nothing": plain_table().rename_columns(["", "b"]),
        "all null": pa.table({"a": pa.nulls(N, pa.float64())}),
        "all null integers": pa.table({"a": pa.nulls(N, pa.int64())}),
    }
    kind = draw(st.sampled_from(sorted(made)))
    files = {"t.parquet": parquet_bytes(made[kind])}
    codes = (0, 3, 5) if kind == "a name of nothing" else DATA
    limit = draw(st.sampled_from([None, 1, 10]))
    return Case(
        kind,
        files,
        {"path": "t.parquet", "limit": limit},
        {},
        codes,
        r"t\.parquet|\ba\b|n_samples = 1",
    )


BROKEN = [
    "",
    "\n",
    "\n\n\n",
    "a,b",
    "a,b\n",
    "1,2\n3,4\n",
    "a,a\n1,2\n",
    ",\n1,2\n",
    "a,b\n1,2,3\n",
    "a,b\n1\n",
    'a,b\n"1,2\n3,4\n',
    'a,b\n"1""2",3\n',
    "a;b\n1,5;2,5\n2,5;3,5\n",
    "a b\n1 2\n3 4\n",
    "a,b\r1,2\r3,4\r",
    "a,b\nx,y\n",
    "a,b\n1,2\n3,four\n",
    "a,b\n1,N/A\n2,3\n",
    "a,b\n1,-999\n2,-999\n",
    "a,b\n1,2\n\0\0\0\n",
    "\ufeffa,b\n1,\n",
    "a,b\n1e999,2\n-1e999,3\n",
    "a,b\n0x10,2\n0x11,3\n",
    "a,b\n1_000,2\n2_000,3\n",
    "a,b\n1 000,2\n2 000,3\n",
    "a,b\n$1,2\n$2,3\n",
    "a,b\nTrue,2\nFalse,3\n",
    "a,b\n2026-01-01,2\n2026-01-02,3\n",
    "a,b\n12:00,2\n12:01,3\n",
    "#only\n#comments\n",
    "a" * 70_000 + "\n1\n2\n",
    "a,b\n" + "9" * 100_000 + ",2\n1,2\n",
    "a\n" + "1\n" * 40 + "x\n",
    "a,b\n" + "1,2\n" * 40 + "1,2,3\n",
    "a,b\n" + "9" * 30 + ",1\n1,2\n",
    "{}",
    "<html><body>404</body></html>",
    "%PDF-1.4",
]


@st.composite
def texts(draw: Any) -> Case:
    """Text that is no table of numbers, in odd encodings and with odd delimiters."""
    text = draw(st.sampled_from(BROKEN))
    codec = draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"]))
    name = draw(st.sampled_from(["t.csv", "t.tsv", "t.txt", "t.csv.gz", "t.csv.zst", "t.csv.bz2"]))
    name = name if draw(st.booleans()) else "t.csv"
    columns = draw(st.sampled_from([None, None, ["a", "b"], ["b"]]))
    source = {"path": name, "columns": columns}
    return Case(f"{name} in {codec}: {text[:60]!r}", {name: text.encode(codec)}, source)


@st.composite
def random_texts(draw: Any) -> Case:
    """Random characters and bytes as text tables."""
    letters = st.text("ab1,;\t\n\r\"' .-#\u00fc\0\ud7ff", max_size=60).map(str.encode)
    raw = draw(letters | st.binary(max_size=60))
    if draw(st.booleans()):
        raw = b"a,b\n1,2\n2,1\n" + raw
    return Case(f"text {raw[:80]!r}", {"t.csv": raw}, {"path": "t.csv"})


@st.composite
def changed_cells(draw: Any) -> Case:
    """A good text table in which one cell was overwritten: told with its line."""
    n = draw(st.integers(4, 40))
    lines = csv_of(good_rows(n, 2, draw(st.integers(0, 9))))["rows.csv"].decode().split("\n")
    row, j = draw(st.integers(0, n - 1)), draw(st.integers(0, 1))
    cell = draw(
        st.sampled_from(["x", "1,5", "--", "?", "1.2.3", "12e", "0x1", "\u221e", "n.a.", "12 %"])
    )
    cells = lines[row + 1].split(",")
    cells[j] = f'"{cell}"'
    lines[row + 1] = ",".join(cells)
    source = {"path": "rows.csv", "columns": ["x0", "x1"]}
    raw = "\n".join(lines).encode()
    told = rf"x{j} (holds text|is )|line {row + 2}"
    return Case(f"{cell!r} in row {row} column {j}", {"rows.csv": raw}, source, {}, DATA, told)


STRATEGIES = {
    "odd types": odd_types(),
    "large integers": large_integers(),
    "names": names(),
    "filters": filters(),
    "differing": differing(),
    "empty tables": empty_tables(),
    "texts": texts(),
    "random texts": random_texts(),
    "changed cells": changed_cells(),
}
"""All of these, for the tests."""
