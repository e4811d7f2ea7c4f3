"""Read YAML without guessing: text, null, true, false, plain numbers, and the line of each.

YAML 1.1 turns ``NO`` into false, ``6:00:00`` into 21600 and ``010`` into 8. Here a scalar stays
text unless it is ``null``, ``true``, ``false``, a plain integer or a plain decimal, and even these
last two keep their spelling, so that a column called ``1.50`` is found. The field that receives
the text converts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from gmm_dask import ConfigError

Path = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_ALIASES = 100
MAX_NODES = 100_000

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,299})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,199})\.[0-9]{1,99}")
_NEEDS_QUOTES = re.compile(r"(?:^|[:,\[{-])\s+([*&!%@`{\[])")
# Control characters would end up in file names and terminals; half a surrogate cannot be written.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Numeral(str):
    """The text of a plain integer or decimal, which still knows how it was written."""

    __slots__ = ()

    @property
    def is_integer(self) -> bool:
        """Whether the text is an integer, not a decimal."""
        return "." not in self

    @property
    def number(self) -> int | float:
        """The value: ``int`` for an integer, ``float`` for a decimal."""
        return int(self) if self.is_integer else float(self)


class Problem(NamedTuple):
    """One thing wrong with a configuration: where, and a sentence."""

    path: Path
    message: str

    @property
    def is_missing(self) -> bool:
        """Whether a required key is not there."""
        return self.message.startswith("required")


class Document(NamedTuple):
    """What a file says, and where each part of it stands.

    ``value`` holds dicts with text keys, lists, ``None``, ``bool`` and text (``Numeral`` for plain
    numbers). ``origins`` gives for each path the line in the file, or the text of a ``--set``.
    """

    name: str
    value: Any
    origins: Mapping[Path, int | str]
    problems: tuple[Problem, ...] = ()


class _UnreadableError(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def plain(text: str) -> bool | str | None:
    """Resolve an unquoted scalar: null, true, false, a plain number, else the text itself."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text):
        return Numeral(text)
    return text


def unwritable(text: str) -> bool:
    """Whether a text holds control characters or parts of characters."""
    return _UNWRITABLE.search(text) is not None


def writable(text: str) -> str:
    """Replace what cannot be written, for messages."""
    return _UNWRITABLE.sub("\ufffd", text)


def read(text: str, name: str) -> Document:
    """Parse the text of one YAML document.

    Parameters
    ----------
    text : str
        At most 1 MB; one document.
    name : str
        The file's name, for messages.

    Raises
    ------
    ConfigError
        When the text is not YAML, too large or nested too deep. What can be told together with
        errors of the content (duplicate keys, tags) is returned in ``problems`` instead.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise ConfigError(f"config {name}: {size} bytes; a configuration has at most {MAX_BYTES}")
    builder = _Builder(yaml.parse(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader))
    try:
        value = builder.document()
    except _UnreadableError as error:
        raise ConfigError(f"config {name}:{error.line}: {error}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ConfigError(_syntax_message(error, text, name)) from None
    return Document(name, value, builder.origins, tuple(builder.problems))


def _syntax_message(error: Exception, text: str, name: str) -> str:
    """Say in one line what the YAML parser did not understand."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is None:
        at = getattr(error, "position", None)
        line = text.count("\n", 0, at) + 1 if isinstance(at, int) else 1
    else:
        line = mark.line + 1
    lines = text.splitlines()
    hint = _hint(lines[line - 1]) if line <= len(lines) else ""
    return f"config {name}:{line}: not readable as YAML: {' '.join(str(what).split())}{hint}"


def _hint(line: str) -> str:
    if "\t" in line:
        return ". Indent with spaces, not with tabs"
    if _NEEDS_QUOTES.search(line):
        return ". Put a value in quotes when it begins with * & ! % @ ` { or ["
    return ""


class _Builder:
    """Turns parser events into plain values; the only state of a reading."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._aliases = 0
        self._nodes = 0
        self.origins: dict[Path, int | str] = {}
        self.problems: list[Problem] = []

    def document(self) -> Any:
        next(self._events)  # start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        value = self._node(next(self._events), (), 0)
        next(self._events)  # end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise _UnreadableError(_line(event), "a second document (---); one file holds one")
        return value

    def _node(self, event: Any, path: Path, depth: int) -> Any:
        self.origins.setdefault(path, _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(event, 1)
        if depth > MAX_DEPTH:
            raise _UnreadableError(_line(event), f"nested deeper than {MAX_DEPTH} levels")
        if event.tag is not None:
            self.problems.append(Problem(path, f"tags such as {event.tag} are not read; remove it"))
        value = self._value(event, path, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, self._nodes - before)
        return value

    def _value(self, event: Any, path: Path, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _scalar(self, event: Any) -> Any:
        if unwritable(event.value):
            raise _UnreadableError(_line(event), "a text with control characters")
        return event.value if event.style else plain(event.value)

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event)
            here = (*path, key)
            first = self.origins.get(here)
            self.origins.setdefault(here, _line(event))
            value = self._node(next(self._events), here, depth + 1)
            if key == "<<" and not event.style:
                self.problems.append(Problem(here, "merge keys are not read; write the keys out"))
            elif key in items:
                twice = f"given twice, in line {first} and in line {_line(event)}; keep one"
                self.problems.append(Problem(here, twice))
            else:
                items[key] = value
        return items

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise _UnreadableError(_line(event), "a key must be one plain word")
        if unwritable(event.value) or not event.value:
            raise _UnreadableError(_line(event), "an empty key, or one with control characters")
        self._count(event, 1)
        return str(event.value)

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            hint = (
                f'no anchor &{event.anchor} before *{event.anchor}; a pattern needs quotes: "*.."'
            )
            raise _UnreadableError(_line(event), hint)
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _UnreadableError(_line(event), f"more than {MAX_ALIASES} aliases")
        value, size = self._anchors[event.anchor]
        self._count(event, size)
        return value

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _UnreadableError(_line(event), f"more than {MAX_NODES} values, aliases included")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
