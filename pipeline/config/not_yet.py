"""What the schema knows and this version cannot do; a row goes when its feature arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pipeline.config.reader import Problem
from pipeline.config.schema import Config


class Later(NamedTuple):
    """A key, when its value asks for something missing, and what that is."""

    path: str
    asks: Callable[[Any], bool]
    what: str


def _given(value: Any) -> bool:
    return value not in (None, (), {}, False)


def _is(*words: str) -> Callable[[Any], bool]:
    return lambda value: value in words


LATER = (
    Later("cluster.type", _is("slurm", "pbs", "lsf"), "starting of workers through a batch queue"),
    Later("cluster.type", _is("kubernetes", "gateway"), "starting of workers in a cloud"),
)


def missing_features(config: Config) -> Iterator[Problem]:
    """Yield a refusal for each key that asks for what this version cannot do."""
    for path, asks, what in LATER:
        *above, key = path.split(".")
        section = getattr(config, above[0]) if above else config
        if section is not False and asks(getattr(section, key)):
            yield Problem(tuple(path.split(".")), f"this version has no {what} yet; take it out")
