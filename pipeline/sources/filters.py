"""The language of `source.filter`: one query such as ``ruwe < 1.4 or ruwe is null``.

Grammar: comparisons (chained too), ``and or not``, ``& | ~``, ``x is null``, ``x is not null``,
``x in ["a", "b"]``, ``not in``, numbers, quoted text, true, false, ``+ - * /``, parentheses, dotted
names (``obs.x``) and `names in backticks`. Everything else is refused. Python's parser reads the
text; nothing is ever executed.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.sources.trouble import ConfigError

MAX_LENGTH = 10_000
MAX_DEPTH = 100

_TOKENS = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|`(?P<name>[^`]+)`|(?P<sign>[&|~#`])"""
)
_SIGNS = {"&": " and ", "|": " or ", "~": " not "}
NULLS = ("null", "None")
BOOLS = {"true": True, "false": False, "True": True, "False": False}

_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)


@dataclass(frozen=True)
class Condition:
    """A parsed filter.

    Parameters
    ----------
    text : str
        As it was written.
    tree : ast.expr
        Made of the allowed nodes only.
    names : tuple of (name, column)
        What each backticked name stands for in the tree.
    columns : tuple of str
        The columns it reads, in order of appearance.
    """

    text: str
    tree: ast.expr = field(repr=False, compare=False)
    names: tuple[tuple[str, str], ...] = field(repr=False, compare=False)
    columns: tuple[str, ...]

    def column(self, node: ast.expr) -> str:
        """Return the column that a name in the tree stands for."""
        name = _dotted(node)
        return dict(self.names).get(name, name)

    def piece(self, node: ast.AST) -> str:
        """Return the text of a part of the filter, for messages."""
        return _written(node, self.names)


@lru_cache(maxsize=64)
def parse(text: str) -> Condition:
    """Read a filter.

    Parameters
    ----------
    text : str

    Returns
    -------
    Condition

    Raises
    ------
    ConfigError
        If a part is not in the language; the part is quoted.
    """
    if len(text) > MAX_LENGTH:
        raise ConfigError(f"source.filter: {len(text)} characters came; at most {MAX_LENGTH}")
    names: dict[str, str] = {}
    one_line = text.replace("\n", " ").replace("\r", " ")
    python = _TOKENS.sub(lambda match: _rewrite(match, text, names), one_line)
    try:
        tree = ast.parse(python.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(text, error) from None
    pairs = tuple(names.items())
    _check_depth(tree)
    _check(tree, pairs)
    found = [node for node in _names(tree) if _dotted(node) not in (*NULLS, *BOOLS)]
    columns = dict.fromkeys(names.get(_dotted(node), _dotted(node)) for node in found)
    if not columns:
        raise ConfigError(f"source.filter: {text!r} names no column")
    return Condition(text, tree, pairs, tuple(columns))


def _check_depth(tree: ast.expr) -> None:
    """Raise ConfigError for a tree too deep to be walked by recursion, here and on workers."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ConfigError(f"source.filter: nested deeper than {MAX_DEPTH} levels; write it shorter")


def _rewrite(match: re.Match[str], text: str, names: dict[str, str]) -> str:
    if match["text"]:
        return match["text"]
    if match["name"]:
        name = f"column_{len(names)}_"
        while name in text:
            name += "_"
        names[name] = match["name"]
        return f" {name} "
    if match["sign"] not in _SIGNS:
        raise ConfigError(f"source.filter: {match['sign']} cannot stand in {text!r}")
    return _SIGNS[match["sign"]]


def _unreadable(text: str, error: BaseException) -> ConfigError:
    words = [w for w in re.findall(r"[A-Za-z_]+", text) if keyword.iskeyword(w)]
    words = [w for w in words if w not in ("and", "or", "not", "in", "is", *NULLS, *BOOLS)]
    hint = ""
    if words:
        hint = f"; write the column {words[0]} as `{words[0]}`"
    elif re.search(r"(?<![<>=!])=(?!=)", text):
        hint = "; write == to compare"
    elif re.search(r"\b(AND|OR|NOT|IS|IN)\b", text):
        hint = "; write and, or, not, is, in in small letters"
    elif "&&" in text or "||" in text:
        hint = "; write and, or"
    place = f" near character {error.offset}" if isinstance(error, SyntaxError) else ""
    return ConfigError(f"source.filter: {text!r} cannot be read{place}{hint}")


def _names(tree: ast.AST) -> list[ast.expr]:
    """Names and dotted names, in order of appearance, without the parts of dotted ones."""
    if isinstance(tree, ast.Name | ast.Attribute):
        return [tree]
    return [name for child in ast.iter_child_nodes(tree) for name in _names(child)]


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_null(node: ast.expr) -> bool:
    """Return whether a node is the word null."""
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Name) and node.id in NULLS


def _written(node: ast.AST, names: tuple[tuple[str, str], ...]) -> str:
    text = ast.unparse(node)
    for name, column in names:
        text = text.replace(name, f"`{column}`")
    return text


def _check(node: ast.expr, names: tuple[tuple[str, str], ...]) -> None:
    """Raise ConfigError for the first part of the tree that is not in the language."""
    why = _objection(node)
    if why is not None:
        raise ConfigError(f"source.filter: `{_written(node, names)}` {why}")
    if isinstance(node, ast.Compare):
        _check(node.left, names)
        for operator, side in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn):
                _check_list(side, names)
            elif not isinstance(operator, ast.Is | ast.IsNot):
                _check(side, names)
    elif not isinstance(node, ast.Attribute):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                _check(child, names)


def _objection(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return "is tested with `is null` or `is not null`" if node.id in NULLS else None
    if isinstance(node, ast.Attribute):
        return None if _dotted(node)[0] != "." else "is not a column name"
    if isinstance(node, ast.Constant):
        return _objection_to_constant(node.value)
    if isinstance(node, ast.BinOp):
        known = isinstance(node.op, _ARITHMETIC)
        return None if known else "is not known here; + - * / are"
    if isinstance(node, ast.UnaryOp):
        return None if isinstance(node.op, ast.Not | ast.USub | ast.UAdd) else "is not known here"
    if isinstance(node, ast.Compare):
        return _objection_to_compare(node)
    if isinstance(node, ast.BoolOp):
        return None
    return "is not known here; comparisons, and, or, not, in, is null and + - * / are"


def _objection_to_constant(value: object) -> str | None:
    if value is None:
        return "is tested with `is null` or `is not null`"
    if isinstance(value, int) and abs(value) >= 2**63:
        return "is too large an integer (64 bits are kept)"
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return "is half a character"
    return None if isinstance(value, bool | int | float | str) else "is no number, text or truth"


def _objection_to_compare(node: ast.Compare) -> str | None:
    for operator, side in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.Is | ast.IsNot) and not is_null(side):
            return "is not known here; `is` goes with null only, == compares"
        if isinstance(operator, ast.In | ast.NotIn) and not isinstance(side, ast.List | ast.Tuple):
            return 'is not known here; `in` needs a list such as ["a", "b"]'
    return None


def _check_list(node: ast.expr, names: tuple[tuple[str, str], ...]) -> None:
    for item in node.elts if isinstance(node, ast.List | ast.Tuple) else ():
        number = item.operand if isinstance(item, ast.UnaryOp) else item
        word = isinstance(number, ast.Name) and number.id in BOOLS
        if not word and (not isinstance(number, ast.Constant) or _objection(number)):
            raise ConfigError(
                f"source.filter: `{_written(item, names)}` cannot stand in a list; "
                "numbers, text, true and false can"
            )
