"""The YAML reader: nothing is guessed, every value knows its line, nothing runs away."""

from __future__ import annotations

import pytest

from gmm_dask.errors import ConfigError
from pipeline.config import reader
from pipeline.config.reader import Numeral, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # YAML 1.1 would give False, True, 45000, 8, a float, a date, 1000, 10 and infinity here
        *((word, word) for word in ("no", "NO", "on", "Yes", "True", "NULL", "12:30:00", "010")),
        *((word, word) for word in ("1E5", "2026-11-20", "1_000", "0xa", ".inf", ".nan", "+5")),
        *((word, word) for word in ("1e-4", "1.", ".5", "-x", "=")),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("false", False),
        ('"true"', "true"),
        ("'null'", "null"),
        ("'5'", "5"),
    ],
)
def test_scalars_are_not_guessed(text, value):
    got = read(f"key: {text}", "f").value["key"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), ("-3", -3), ("0", 0), ("1.50", 1.5), ("-0.25", -0.25)]
)
def test_plain_numbers_keep_their_spelling(text, number):
    got = read(f"- {text}", "f").value[0]
    assert isinstance(got, Numeral)
    assert str(got) == text
    assert got.number == number
    assert type(got.number) is type(number)


def test_every_value_knows_its_line():
    text = "a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\ne: 3\n"
    origins = read(text, "f").origins
    assert origins["a", "b"] == 2
    assert origins["a", "c"] == 3
    assert origins["a", "c", 0] == 4
    assert origins["a", "c", 1, "d"] == 5
    assert origins[("e",)] == 6


def test_a_key_given_twice_names_both_lines():
    document = read("a:\n  tol: 1\n  max_iter: 5\n  tol: 2\n", "f")
    (problem,) = document.problems
    assert problem.path == ("a", "tol")
    assert "line 2 and in line 4" in problem.message
    assert document.value == {"a": {"tol": "1", "max_iter": "5"}}


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("a: !!python/object/apply:os.system [ls]", ("a",), "tags such as"),
        ("a: !!int 5", ("a",), "tags such as"),
        ("a: !mine {b: 1}", ("a",), "tags such as !mine"),
        ("base: &b {x: 1}\na: {<<: *b, y: 2}", ("a", "<<"), "merge keys are not read"),
    ],
)
def test_what_is_not_read_is_named_with_its_place(text, path, said):
    (problem,) = read(text, "f").problems
    assert problem.path == path
    assert said in problem.message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\npath: *.parquet", 2, "Put a value in quotes"),
        ("std: {column}_error", 1, "Put a value in quotes"),
        ("a:\n\tb: 1", 2, "Indent with spaces"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: *gone", 1, "no anchor &gone"),
        ("a: &x [*x]", 1, "no anchor &x"),
        ("? [a, b]\n: 1", 1, "a key must be one plain word"),
        ("a: 1\n!!str b: 2", 2, "a key must be one plain word"),
        ("'': 1", 1, "an empty key"),
        ('a: 1\nb: "\\0"', 2, "control characters"),
        ('a: "\\ud800"', 1, "control characters"),
        ('a: "\\UFFFFFFFF"', 1, "not readable as YAML"),
        ("a: 1\n\x01", 2, "not readable as YAML"),
        ("a: 'open", 1, "not readable as YAML"),
        ("%YAML 3.0\n---\na: 1", 1, "not readable as YAML"),
        ("a: [1, 2", 1, "not readable as YAML"),
    ],
)
def test_unreadable_text_is_told_with_its_line(text, line, said):
    with pytest.raises(ConfigError) as caught:
        read(text, "gaia.yaml")
    message = str(caught.value)
    assert message.startswith(f"config gaia.yaml:{line}: ")
    assert said in message
    assert "\n" not in message


def test_depth_is_limited():
    assert read("[" * 15 + "]" * 15, "f").value is not None
    with pytest.raises(ConfigError, match="nested deeper than 20 levels"):
        read("[" * 50_000, "f")


def test_aliases_are_read_but_not_without_end():
    assert read("a: &x [1, 2]\nb: *x", "f").value["b"] == ["1", "2"]
    many = "a: &x 1\nb: [" + ", ".join(["*x"] * (reader.MAX_ALIASES + 1)) + "]"
    with pytest.raises(ConfigError, match="more than 100 aliases"):
        read(many, "f")


def test_a_small_text_cannot_expand_to_a_large_tree():
    # each level names the one before ten times: 10^8 values from 400 characters
    levels = ["l0: &l0 [" + ", ".join("x" * 10) + "]"]
    levels += [f"l{i}: &l{i} [" + ", ".join([f"*l{i - 1}"] * 10) + "]" for i in range(1, 8)]
    with pytest.raises(ConfigError, match="values, aliases included"):
        read("\n".join(levels), "f")


def test_size_is_limited():
    with pytest.raises(ConfigError, match="at most 1000000"):
        read("#" * 1_000_001, "f")


def test_a_byte_order_mark_is_no_part_of_the_first_key():
    assert read("\ufeffa: 1", "f").value == {"a": "1"}


def test_an_empty_text_is_null():
    assert read("", "f").value is None
    assert read("# only a remark\n", "f").value is None
