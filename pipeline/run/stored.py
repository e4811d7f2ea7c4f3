"""The model of a run, read back with its transform: checked before anything is computed with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gmm_dask import FormatError, GaussianMixture
from pipeline.stages.colours import RgbToHsv
from pipeline.stages.steps import Elementwise, FittedStep, Pca, Standardize
from pipeline.stages.transform import Transform

ELEMENTWISE = ("log", "arcsinh")


class StoredModel(NamedTuple):
    """A fitted mixture and the way from rows in source units to it."""

    model: GaussianMixture
    transform: Transform
    columns: tuple[str, ...]
    """Of the source."""


def stored_model(path: Path) -> StoredModel:
    """Read ``model.zarr``.

    Parameters
    ----------
    path : Path

    Raises
    ------
    FormatError
        It is damaged, or its transform does not fit its columns and its mixture.
    """
    model = GaussianMixture.load(path)
    transform = stored_transform(model.extra_, model.mixture_.n_columns, path)
    return StoredModel(model, transform, transform.before)


def stored_transform(extra: Mapping[str, Any], n_columns: int, path: Path) -> Transform:
    """Return the transform of a stored model.

    Parameters
    ----------
    extra : mapping
        What is kept beside the model.
    n_columns : int
        Of the mixture, to which it must lead.
    path : Path
        Of the model, for messages.

    Raises
    ------
    FormatError
        It is damaged, or does not lead from the columns to the mixture.
    """
    try:
        transform = Transform.from_dict(extra["transform"])
        wrong = _wrong(transform, tuple(extra["columns"]), n_columns)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        wrong = f"{type(error).__name__}: {error}"
    if wrong:
        raise FormatError(f"model {path}: its transform is damaged: {wrong}")
    return transform


def _wrong(transform: Transform, columns: tuple[str, ...], n_columns: int) -> str:
    if not columns or not all(isinstance(name, str) for name in columns):
        return "its columns have no names"
    if transform.before != columns:
        return "it begins with other columns"
    width = len(columns)
    for step in transform.steps:
        if not _is_sound(step, width):
            return f"{step.name} is not a step of {width} columns"
        width = len(step.components) if isinstance(step, Pca) else width
    if width != n_columns:
        return f"it ends with {width} columns, the mixture has {n_columns}"
    return ""


def _is_sound(step: FittedStep, width: int) -> bool:
    if isinstance(step, Standardize):
        arrays = _finite(step.mean, (width,)) and _finite(step.deviation, (width,))
        return arrays and bool((step.deviation > 0).all())
    if isinstance(step, Pca):
        m = len(step.components)
        arrays = _finite(step.mean, (width,)) and _finite(step.explained, (m,))
        return 0 < m <= width and arrays and _finite(step.components, (m, width))
    if isinstance(step, RgbToHsv):
        return len(set(step.where)) == len(step.labels) == 3 and _are_places(step.where, width)
    return isinstance(step, Elementwise) and _is_elementwise(step, width)


def _are_places(where: tuple[int, ...], width: int) -> bool:
    return all(type(place) is int and 0 <= place < width for place in where)


def _is_elementwise(step: Elementwise, width: int) -> bool:
    places = _are_places(step.where, width)
    known = step.name in ELEMENTWISE and len(step.labels) == len(step.where)
    return places and known and isinstance(step.cofactor, int | float) and step.cofactor > 0


def _finite(array: Any, shape: tuple[int, ...]) -> bool:
    real = isinstance(array, np.ndarray) and array.dtype == np.float64
    return real and array.shape == shape and bool(np.isfinite(array).all())
