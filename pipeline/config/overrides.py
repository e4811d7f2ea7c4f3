"""Overrides from the command line: ``--set key=value`` on top of the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gmm_dask import ConfigError
from pipeline.config import reader
from pipeline.config.convert import show
from pipeline.config.reader import Document, Path, Problem
from pipeline.config.secrecy import MASK, mask_address


def with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Apply overrides in order; the last one of a key holds.

    A value that begins with ``[``, ``{`` or a quote is read as YAML, anything else is one plain
    word by the rules of the file, so that ``--set source.path=*.parquet`` needs no quotes.

    Parameters
    ----------
    document : Document
        What the file says; it is left as it is.
    overrides : sequence of str
        Such as ``model.n_components=2..20``.
    """
    problems = list(document.problems)
    value = {} if document.value is None else _copy(document.value)
    origins = dict(document.origins)
    if not isinstance(value, dict):
        return document
    for override in overrides:
        try:
            path, new = _parse(override)
            _assign(value, path, new)
        except ConfigError as error:
            whole_key = (override.partition("=")[0],)
            problems.append(Problem(whole_key, str(error)))
            origins[whole_key] = _label(override)
            continue
        for old in [old for old in origins if old[: len(path)] == path]:
            del origins[old]
        for length in range(1, len(path)):
            origins.setdefault(path[:length], _label(override))
        origins[path] = _label(override)
    return Document(document.name, value, origins, tuple(problems))


def _copy(value: Any) -> Any:
    """Copy without keeping aliases, which an override would change in both places."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _parse(override: str) -> tuple[tuple[str, ...], Any]:
    key, equals, text = override.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path) or reader.unwritable(override):
        raise ConfigError("write --set section.key=value, as in --set model.tol=1e-4")
    text = text.strip()
    if not text.startswith(("[", "{", '"', "'")):
        return path, reader.plain(text)
    try:
        parsed = reader.read(text, "--set")
    except ConfigError as error:
        raise ConfigError(str(error).partition(": ")[2]) from None
    if parsed.problems:
        raise ConfigError(parsed.problems[0].message)
    return path, parsed.value


def _assign(value: dict[str, Any], path: Path, new: Any) -> None:
    section = value
    for part in path[:-1]:
        inner = section.get(str(part))
        if inner is None:
            inner = section[str(part)] = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{part} is {show(inner)} in the file; set {part} as a whole")
        section = inner
    section[str(path[-1])] = new


def _label(override: str) -> str:
    """Name the override in messages; values that may be secret are left out."""
    key, equals, text = override.partition("=")
    shown = show(mask_address(text)) if text.strip() else ""
    if "option" in key:
        shown = MASK
    return f"--set {' '.join(key.split())}{equals}{shown if equals else ''}"
