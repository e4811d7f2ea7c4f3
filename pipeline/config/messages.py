"""Errors of the schema in the words of the file's author."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gmm_dask import ConfigError
from pipeline.config import words
from pipeline.config.convert import show
from pipeline.config.reader import Document, Path, Problem, writable

MAX_SHOWN = 50

_NEEDED = {
    "source.path": "the file, folder, glob or URL to read",
    "transform.arcsinh.cofactor": "it has no default; 150 is usual for fluorescence, 5 for mass "
    "cytometry",
    "diagnose.concentration.partition_volume": "it has no default; 0.91 nL in old QuantaSoft, "
    "0.85 nL since 1.7",
}
_SHAPES = {
    "model_type": "needs key: value pairs",
    "model_attributes_type": "needs key: value pairs",
    "dict_type": "needs key: value pairs",
    "tuple_type": "needs a list such as [a, b]",
    "list_type": "needs a list such as [a, b]",
}
_SWITCHES = (("output",), ("sample",), ("report",), ("diagnose",))


def problems_of(error: ValidationError, root: type[BaseModel]) -> list[Problem]:
    """Translate what pydantic found into sentences at paths."""
    found = error.errors(include_url=False)
    return [Problem(tuple(item["loc"]), _sentence(item, root)) for item in found]


def _sentence(item: Mapping[str, Any], root: type[BaseModel]) -> str:
    kind, value, path = item["type"], item["input"], tuple(item["loc"])
    if kind == "extra_forbidden":
        return words.no_such_key(root, path)
    if kind == "missing":
        needed = _NEEDED.get(".".join(part for part in path if isinstance(part, str)))
        return "required" + (f": {needed}" if needed else "")
    if kind == "literal_error":
        return _one_of(str(value), re.findall(r"'([^']*)'", item["ctx"]["expected"]))
    if kind in _SHAPES:
        or_false = " or false" if path in _SWITCHES else ""
        got = "another value" if "storage_options" in path else show(value)
        return f"{_SHAPES[kind]}{or_false}, got {got}"
    if kind == "value_error":
        return str(item["ctx"]["error"])
    return f"{item['msg']}, got {show(value)}"


def _one_of(value: str, allowed: list[str]) -> str:
    near = words.near(value, allowed)
    return f"{show(value)} is not one of {', '.join(allowed)}" + (f". {near}" if near else "")


def dotted(path: Path) -> str:
    """Write a path as ``source.columns[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return " ".join(text.removeprefix(".").split())


def refuse(document: Document, problems: Iterable[Problem]) -> ConfigError:
    """Make the error that lists all problems, in the order of the file."""
    told = _without_echoes(list(problems))
    placed = sorted((_place(document, problem) for problem in told), key=lambda item: item[0])
    lines = list(dict.fromkeys(writable(line) for _, line in placed))
    if len(lines) > MAX_SHOWN:
        lines = [*lines[:MAX_SHOWN], f"... and {len(lines) - MAX_SHOWN} more"]
    return ConfigError("\n".join(lines))


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """Leave out that a key is required where another line says that it was misspelt."""
    said = " ".join(problem.message for problem in problems)
    return [
        problem
        for problem in problems
        if not problem.is_missing
        or (
            f"Did you mean {problem.path[-1]}?" not in said
            and f"write {dotted(problem.path)}" not in said
            and f"belongs to {dotted(problem.path)}" not in said
        )
    ]


def _place(document: Document, problem: Problem) -> tuple[tuple[bool, int], str]:
    path = problem.path
    origin = next(
        (
            document.origins[path[:length]]
            for length in range(len(path), 0, -1)
            if path[:length] in document.origins
        ),
        None,
    )
    where = dotted(path)
    if isinstance(origin, str):
        key = origin.partition("=")[0].removeprefix("--set ")
        detail = "" if where in ("", key) else f"{where}: "
        return (True, 0), f"{origin}: {detail}{problem.message}"
    line = f":{origin}" if origin is not None else ""
    detail = f"{where}: " if where else ""
    return (False, origin or 0), f"config {document.name}{line}: {detail}{problem.message}"
