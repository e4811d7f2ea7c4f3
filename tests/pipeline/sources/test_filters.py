from __future__ import annotations

import pytest

from pipeline.sources.filters import parse
from pipeline.sources.trouble import ConfigError


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("ruwe < 1.4", ("ruwe",)),
        ("b > a and a > 0", ("b", "a")),
        ("obs.doublet_score < 0.3", ("obs.doublet_score",)),
        ("`BP-RP` > 0.5 & `class` == 'x'", ("BP-RP", "class")),
        ("flag == true or x is not null", ("flag", "x")),
        ("s in ['true', \"`b`\"]", ("s",)),
        ("`null` is null", ("null",)),
        ("a <\n1", ("a",)),
    ],
)
def test_columns_are_found_in_order(text: str, columns: tuple[str, ...]) -> None:
    assert parse(text).columns == columns


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("f(x) > 1", "`f(x)`"),
        ("__import__('os').system('true')", "`__import__('os').system('true')`"),
        ("x[0] > 1", "`x[0]`"),
        ("x ** 2 > 1", "`x ** 2`"),
        ("x % 2 == 0", "`x % 2`"),
        ("(y := 1) < x", "`(y := 1)`"),
        ("x if y else z", "`x if y else z`"),
        ("[x for x in y]", "`[x for x in y]`"),
        ("lambda: x", "`lambda: x`"),
        ("f'{x}' == y", "`f'{x}'`"),
        ("x == b'a'", "`b'a'`"),
        ("x == 1j", "`1j`"),
        ("x == null", "`null`"),
        ("x is 3", "`x is 3`"),
        ("x in y", "`x in y`"),
        ("x in [y]", "`y`"),
        ("x in [null]", "`null`"),
        ("x > 99999999999999999999", "`99999999999999999999`"),
        ("`my x` ** 2 > 0", "`my x`"),
        ("x # > 3", "#"),
        ("x > `y", "`"),
        ("1 < 2", "1 < 2"),
        ("", "''"),
        ("x >", "'x >'"),
        ("(" * 500 + "x" + ")" * 500, "cannot be read"),
        ("x > 1 " * 5000, "characters"),
    ],
)
def test_anything_else_is_refused_and_quoted(text: str, piece: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith("source.filter: ")
    assert piece in str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("x = 1", "=="),
        ("x > 1 AND y > 2", "small letters"),
        ("x && y", "write and, or"),
        ("class == 'a'", "`class`"),
        ("x == null", "is null"),
    ],
)
def test_common_slips_get_a_hint(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        parse(text)


def test_signs_inside_text_are_left_alone() -> None:
    assert parse("s == 'a & b | ~c # `d`  e'").columns == ("s",)
