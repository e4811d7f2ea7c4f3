"""From a file and overrides to a ``Config``, or to one error that lists everything wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from gmm_dask import ConfigError
from pipeline.config import messages, not_yet, reader, rules
from pipeline.config.convert import free
from pipeline.config.overrides import with_overrides
from pipeline.config.reader import Document, Path, Problem
from pipeline.config.schema import VERSION, Config

# Stands for a required value that is missing, so that the rest can still be read.
_ABSENT: dict[Path, Any] = {("source", "path"): "missing"}


def load(path: str | PathLike[str], overrides: Sequence[str] = ()) -> Config:
    """Read and validate a configuration file.

    Parameters
    ----------
    path : path
        A YAML file of at most 1 MB, UTF-8.
    overrides : sequence of str
        ``key=value`` with dotted keys, as after ``--set``.

    Returns
    -------
    Config
        Frozen, every default filled in.

    Raises
    ------
    ConfigError
        One line for each thing wrong, with file, line and dotted path.
    """
    name = str(path)
    return loads(_text(FilePath(path), name), name, overrides)


def loads(text: str, name: str, overrides: Sequence[str] = ()) -> Config:
    """Validate the text of a configuration; see ``load``.

    Parameters
    ----------
    text : str
        YAML.
    name : str
        Name of the file, for messages and for the name of the run.
    overrides : sequence of str
        ``key=value`` with dotted keys.

    Raises
    ------
    ConfigError
        One line for each thing wrong.
    """
    return _checked(with_overrides(reader.read(text, name), overrides))


def from_resolved(value: Mapping[str, Any], name: str = "run.json") -> Config:
    """Read back what ``Config.resolved`` gave, for example from a manifest.

    Raises
    ------
    ConfigError
        As ``load``; also when a later version wrote it.
    """
    return _checked(Document(name, dict(value), {}))


def _text(path: FilePath, name: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(reader.MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"config {name}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"config {name}: a folder; name the YAML file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"config {name}: cannot be read: {error}") from None
    if len(raw) > reader.MAX_BYTES:
        raise ConfigError(f"config {name}: larger than {reader.MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"config {name}:{line}: not UTF-8; save the file as UTF-8") from None


def _checked(document: Document) -> Config:
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigError(f"config {document.name}: needs sections such as source: and model:")
    _check_version(document, value.get("version"))
    config, problems = _validated(value)
    doubtful = {problem.path for problem in problems}
    if config is not None:
        problems += not_yet.missing_features(config)
        problems += rules.broken_rules(config, doubtful)
    problems += document.problems
    if problems or config is None:
        raise messages.refuse(document, problems)
    return _substituted(config, document.name)


def _check_version(document: Document, version: Any) -> None:
    number = free(version)
    if isinstance(number, int) and number > VERSION:
        newer = f"{number} is newer than this program reads ({VERSION}); update gmm-dask"
        raise messages.refuse(document, [Problem(("version",), newer)])


def _validated(value: dict[str, Any]) -> tuple[Config | None, list[Problem]]:
    """Validate; where that fails leave the wrong keys out and go on, to find all errors at once."""
    problems: list[Problem] = []
    for _ in range(4):
        try:
            return Config.model_validate(value), problems
        except ValidationError as error:
            known = {problem.path for problem in problems}
            found = messages.problems_of(error, Config)
            problems += [item for item in found if not _below(item.path, known)]
            for item in found:
                value = _without(value, _cut(item))
    return None, problems


def _below(path: Path, known: set[Path]) -> bool:
    return any(path[: len(other)] == other for other in known)


def _cut(problem: Problem) -> Path:
    """Name the key to leave out: the wrong one, or what needs a missing one; never a list item."""
    path = problem.path
    if problem.is_missing and path not in _ABSENT:
        path = path[:-1]
    for length, part in enumerate(path):
        if isinstance(part, int):
            return path[:length]
    return path


def _without(value: dict[str, Any], path: Path) -> dict[str, Any]:
    """Copy a tree of dicts without one key, or with a stand-in where the key is required."""
    if not path:
        return value
    key, rest = str(path[0]), path[1:]
    inner = value.get(key)
    if path in _ABSENT:
        kept = inner if isinstance(inner, dict) else {}
        return {**value, key: {**kept, str(path[1]): _ABSENT[path]}}
    if rest and isinstance(inner, dict):
        return {**value, key: _without(inner, rest)}
    return {other: item for other, item in value.items() if other != key}


def _substituted(config: Config, document_name: str) -> Config:
    """Fill in ``{stem}``, ``{name}`` and ``{dir}``."""
    name = config.run.name.replace("{stem}", _stem(document_name))
    folder = config.run.dir.replace("{name}", name)
    changes: dict[str, Any] = {"run": config.run.model_copy(update={"name": name, "dir": folder})}
    for key in ("checkpoint", "output", "sample", "report"):
        section = getattr(config, key)
        if section is not False:
            filled = section.path.replace("{name}", name).replace("{dir}", folder)
            changes[key] = section.model_copy(update={"path": filled})
    return config.model_copy(update=changes)


def _stem(document_name: str) -> str:
    """Make a run name from a file name; what may not stand in one becomes a dash."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePath(document_name).stem)[:128].strip("-")
    return stem if stem.strip(".") else "run"
