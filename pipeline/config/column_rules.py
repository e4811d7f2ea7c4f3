"""Rules on names: columns that other keys name must be fitted, placeholders must be known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial

from pipeline.config.schema import Config
from pipeline.config.words import near

HSV = ("hue", "saturation", "value")
"""Names of the columns that rgb_to_hsv makes of red, green and blue, in this order."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _features(config: Config) -> Iterable[str]:
    pairs = (config.report.features or ()) if config.report is not False else ()
    return [column for pair in pairs for column in pair]


def _step_columns(config: Config) -> Iterable[str]:
    return [column for step in config.transform for column in step.columns or ()]


def _exact(config: Config) -> Iterable[str]:
    return config.source.noise.exact if config.source.noise else ()


def _unknown(named: Callable[[Config], Iterable[str]], config: Config) -> str | None:
    columns = config.source.columns
    unknown = [name for name in named(config) if columns is not None and name not in columns]
    if columns is None or not unknown:
        return None
    hint = near(unknown[0], columns)
    listed = ", ".join(columns) if len(columns) <= 20 else f"{len(columns)} columns"
    return f"{unknown[0]} is not among source.columns ({listed})" + (f". {hint}" if hint else "")


def _sides(config: Config) -> Iterable[str]:
    box = config.model.background
    return box if isinstance(box, dict) else ()


def _unseen(named: Callable[[Config], Iterable[str]], config: Config) -> str | None:
    """Return what speaks against names of columns that the model sees, after the transform."""
    columns = config.source.columns
    if columns is None:
        return None
    after = names_after(config, columns)
    unknown = [name for name in named(config) if name not in after]
    if not unknown:
        return None
    listed = ", ".join(after) if len(after) <= 20 else f"{len(after)} columns"
    hint = near(unknown[0], after)
    what = "source.columns" if after == columns else "the columns after the transform"
    return f"{unknown[0]} is not among {what} ({listed})" + (f". {hint}" if hint else "")


def names_after(config: Config, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the columns that the model sees, from those of the source."""
    for step in config.transform:
        if step.n_components:
            columns = tuple(f"pc{i + 1}" for i in range(step.n_components))
        elif step.name == "rgb_to_hsv":
            rgb = step.columns or columns
            new = dict(zip(rgb, HSV, strict=False))
            columns = tuple(new.get(name, name) for name in columns)
    return columns


def _pca(config: Config) -> str | None:
    width = len(config.source.columns) if config.source.columns is not None else None
    for position, step in enumerate(config.transform):
        if step.n_components is None:
            continue
        if width is not None and step.n_components > width:
            return f"pca: {step.n_components} of only {width} columns"
        width = step.n_components
        if any(later.columns for later in config.transform[position + 1 :]):
            return "after pca the columns have other names; put steps that name columns before it"
    return None


def _placeholders(
    section: str, key: str, allowed: tuple[str, ...]
) -> Callable[[Config], str | None]:
    def against(config: Config) -> str | None:
        values = getattr(config, section)
        found = _PLACEHOLDER.findall(getattr(values, key)) if values is not False else []
        unknown = [word for word in found if word not in allowed]
        if not unknown:
            return None
        known = " and ".join(f"{{{word}}}" for word in allowed)
        return f"{{{unknown[0]}}} is not known here; {known} is filled in"

    return against


RULES = (
    (("source.units", "source.columns"), partial(_unknown, lambda config: config.source.units)),
    (("source.noise.exact", "source.columns"), partial(_unknown, _exact)),
    (("transform", "source.columns"), partial(_unknown, _step_columns)),
    (("transform", "source.columns"), _pca),
    (("model.circular", "source.columns"), partial(_unseen, lambda c: c.model.circular)),
    (("model.background", "source.columns"), partial(_unseen, _sides)),
    (("report.features", "source.columns"), partial(_unknown, _features)),
    (("run.dir",), _placeholders("run", "dir", ("name",))),
    (("checkpoint.path",), _placeholders("checkpoint", "path", ("dir", "name"))),
    (("output.path",), _placeholders("output", "path", ("dir", "name"))),
    (("sample.path",), _placeholders("sample", "path", ("dir", "name"))),
    (("report.path",), _placeholders("report", "path", ("dir", "name"))),
)
