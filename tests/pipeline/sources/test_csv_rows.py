from __future__ import annotations

import gzip
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmm_dask import DataError
from pipeline.sources import SourceSpec, Table, csv_head, csv_scan, open_table


def opened(folder: Path, text: str | bytes, name: str = "x.csv", **settings_: Any) -> Table:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return open_table(SourceSpec(str(path), **settings_), folder / "scratch")


def rows(table: Table) -> np.ndarray:
    table = table.ingest()
    return table.read(0, table.n_rows).values


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.tuples(
            st.floats(allow_infinity=False),
            st.integers(-(2**40), 2**40) | st.none(),
            st.text('a,"\n '),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_same_numbers_as_pandas(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[Any, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    frame = pd.DataFrame(values, columns=["a", "b", "s"])
    text = frame.to_csv(index=False)
    table = opened(folder, text, columns=["b", "a"])
    path = folder / "x.csv"
    expected = pd.read_csv(path, float_precision="round_trip")[["b", "a"]].astype(float)
    np.testing.assert_array_equal(rows(table), expected)


def test_blocks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK_BYTES", 1000)
    frame = pd.DataFrame({"a": np.arange(3000) * 0.25, "k": np.arange(3000) % 7})
    table = opened(tmp_path, frame.to_csv(index=False), filter="k != 3 and a > 10")
    kept = frame[(frame.k != 3) & (frame.a > 10)]
    table = table.ingest()
    np.testing.assert_array_equal(rows(table), kept)
    np.testing.assert_array_equal(table.origin_rows(0, table.n_rows), kept.index)


def test_line_ends_inside_quotes_may_fall_on_the_end_of_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_scan, "BLOCK_BYTES", 100)
    text = "s,a\n" + "".join(f'"{"u" * (i % 7)}\n,1",{i}.5\n' for i in range(200))
    np.testing.assert_array_equal(rows(opened(tmp_path, text))[:, 0], np.arange(200) + 0.5)


def test_the_plan_knows_the_rows_of_a_small_file_and_guesses_those_of_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "a\n" + "1.5\n" * 1000
    described = opened(tmp_path, text).described
    assert (described["rows"], described["rows_exact"]) == (1000, True)
    monkeypatch.setattr(csv_head, "HEAD_BYTES", 400)
    large = opened(tmp_path, text)
    assert large.described["rows_exact"] is False
    assert 900 < large.n_rows < 1100
    assert len(pickle.dumps(large)) < 5000
    assert rows(large).shape == (1000, 1)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", b"a;b\n1;2\n3;4\n"),
        ("x.tsv", b"a\tb\r\n1\t2\r\n3\t4"),
        ("x.csv", b"\xef\xbb\xbfa, b\n1, 2\n3, 4\n"),
        ("x.csv", b"# %ECSV 1.0\n# more\na,b\n1,2\n3,4\n"),
        ("x.csv", b'"a","b"\n"1","2"\n\n"3","4"\n\n'),
        ("x.csv.gz", gzip.compress(b"a,b\n1,2\n3,4\n")),
    ],
)
def test_dialects(tmp_path: Path, name: str, text: bytes) -> None:
    np.testing.assert_array_equal(rows(opened(tmp_path, text, name)), [[1, 2], [3, 4]])


def test_words_and_numbers_that_mean_missing(tmp_path: Path) -> None:
    text = "a,b\n1,-999\n--,2\nNA,\n"
    table = opened(tmp_path, text, missing_values=["--", -999])
    np.testing.assert_array_equal(rows(table), [[1, np.nan], [np.nan, 2], [np.nan, np.nan]])


def test_text_that_comes_late_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_head, "HEAD_BYTES", 100)
    text = "# c\na,b\n" + "1,2\n" * 500 + "1,n/k\n"
    table = opened(tmp_path, text)
    assert table.columns == ("a", "b")
    with pytest.raises(DataError, match=r"x\.csv line 503: b is 'n/k', not a number"):
        table.ingest()
    np.testing.assert_array_equal(rows(opened(tmp_path, text, columns=["a"])), np.ones((501, 1)))


def test_labels_widen_when_later_rows_ask_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_head, "HEAD_BYTES", 100)
    text = "x,chr,size,k\n" + "0.5,1,2,3\n" * 100 + "0.5,X,2.5,3.5\n"
    table = opened(tmp_path, text, columns=["x"], id="chr", carry="size", filter="k > 3").ingest()
    assert table.identity(0, 1).to_pydict() == {"chr": ["X"], "size": [2.5]}
    assert table.dropped == {"filter false": 100}


def test_a_value_that_is_carried_too_keeps_its_type_while_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_head, "HEAD_BYTES", 20)
    text = "a,b\n" + "1,2\n" * 50
    table = opened(tmp_path, text, columns=["a", "b"], carry="b").ingest()
    assert table.identity(0, 1).to_pydict() == {"row": [0], "b": [2]}
    table = opened(tmp_path, text + "1,2.5\n", columns=["a", "b"], carry="b").ingest()
    assert table.identity(50, 51).to_pydict() == {"row": [50], "b": [2.5]}
    assert str(table.identity(0, 1).schema.field("b").type) == "double"
    with pytest.raises(DataError, match=r"line 52: b is 'u', not a number"):
        opened(tmp_path, text + "1,u\n", columns=["a", "b"], carry="b").ingest()


def test_large_identifiers_keep_their_digits(tmp_path: Path) -> None:
    text = "source_id,x\n5188146427133990144,1.5\n5188146598932119681,2.5\n"
    table = opened(tmp_path, text, id="source_id").ingest()
    assert table.identity(1, 2).to_pydict() == {"source_id": [5188146598932119681]}
    query = "source_id == 5188146598932119681"
    table = opened(tmp_path, text, columns=["x"], id="source_id", filter=query).ingest()
    assert table.identity(0, 1).to_pydict() == {"source_id": [5188146598932119681]}


def test_a_column_counting_the_rows_is_left_out(tmp_path: Path) -> None:
    table = opened(tmp_path, "n,x\n1,0.5\n2,0.1\n3,0.7\n")
    assert table.columns == ("x",)
    assert "n looks like an identifier (all 3 values" in table.described["notes"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"a,b\n", "no rows, only a header"),
        (b"1.5,2\n3,4\n", "line 1 holds numbers where column names"),
        (b"a,a\n1,2\n", "more than one column called a"),
        (b"a,b\n1,2\n3,4,5\n", r"line 3 has 3 fields, the header has 2: '3,4,5'"),
        (b"a,b\n1,2\n3\n", r"line 3 has 1 fields, the header has 2"),
        (b"a,b\n1,caf\xe9\n", "line 2: byte 0xe9 is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8 text"),
        (b"s,t\nu,v\n", r"no numeric column to fit; it has s \(string\), t \(string\)"),
    ],
)
def test_bad_files(tmp_path: Path, text: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(tmp_path, text)


def test_late_damage_is_told_in_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_head, "HEAD_BYTES", 64)
    good = b"a,b\n" + b"1,u\n" * 100
    for bad, message in [
        (b"1,2,3\n", r"line 102 has 3 fields"),
        (b"1,\xe9\n", r"line 102: b holds UTF8 data; save it as UTF-8"),
    ]:
        with pytest.raises(DataError, match=message):
            opened(tmp_path, good + bad, carry="b").ingest()


def test_named_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.csv: s holds text"):
        opened(tmp_path, "a,s\n1,u\n", columns=["a", "s"])


def test_odd_names_in_a_filter_get_the_hint_of_backticks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no BP; .* in backticks: `BP-RP`"):
        opened(tmp_path, "BP-RP,x\n1.5,2\n", filter="BP-RP > 1")


def test_files_with_another_header_are_named(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2.5\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"2\.csv has no column b, which .*1\.csv has"):
        open_table(SourceSpec(str(tmp_path / "*.csv")), tmp_path)
