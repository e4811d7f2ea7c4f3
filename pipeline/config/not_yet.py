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


def _not(word: str) -> Callable[[Any], bool]:
    return lambda value: value != word


def _has_step(word: str) -> Callable[[Any], bool]:
    return lambda steps: any(step.name == word for step in steps)


LATER = (
    Later("source.group", _given, "groups of rows"),
    Later("transform", _has_step("rgb_to_hsv"), "step rgb_to_hsv"),
    Later("model.weights", _not("free"), "weights held to a law"),
    Later("model.weights_by", _is("group"), "weights by group"),
    Later("model.background", _not("none"), "uniform background"),
    Later("model.circular", _given, "columns that are angles"),
    Later("model.frozen", _given, "frozen parameters"),
    Later("model.start_from", _given, "start from an earlier model"),
    Later("model.assignment", _is("hard"), "hard assignment"),
    Later("model.components", _given, "components for droplets"),
    Later("model.copies", _given, "components for droplets"),
    Later("model.weight_tail", _given, "components for droplets"),
    Later("model.linkage", _given, "components for droplets"),
    Later("cluster.type", _is("slurm", "pbs", "lsf"), "starting of workers through a batch queue"),
    Later("cluster.type", _is("kubernetes", "gateway"), "starting of workers in a cloud"),
    Later("diagnose.concentration", _given, "components for droplets"),
)


def missing_features(config: Config) -> Iterator[Problem]:
    """Yield a refusal for each key that asks for what this version cannot do."""
    for path, asks, what in LATER:
        *above, key = path.split(".")
        section = getattr(config, above[0]) if above else config
        if section is not False and asks(getattr(section, key)):
            yield Problem(tuple(path.split(".")), f"this version has no {what} yet; take it out")
