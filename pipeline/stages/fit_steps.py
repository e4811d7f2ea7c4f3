"""Fitting the steps of a transform: what standardize and pca need to know of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gmm_dask import ConfigError, Engine, RowLayout, RowShare, Source, find_frame
from pipeline.stages.colours import RgbToHsv
from pipeline.stages.steps import Elementwise, FittedStep, FloatArray, Pca, Standardize
from pipeline.stages.transform import Transform, TransformedSource


class StepSettings(Protocol):
    """One configured step; see the ``transform`` section."""

    @property
    def name(self) -> str:
        """standardize, log, arcsinh or pca."""
        ...

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Columns to limit the step to."""
        ...

    @property
    def cofactor(self) -> float | None:
        """Of arcsinh."""
        ...

    @property
    def n_components(self) -> int | None:
        """Of pca."""
        ...


def fit_transform(
    steps: Sequence[StepSettings],
    source: Source,
    engine: Engine,
    layout: RowLayout | None = None,
    angles: Sequence[str] = (),
) -> Transform:
    """Return the fitted transform of a source.

    One pass for each run of linear steps (standardize, pca), none for log and arcsinh. Means and
    deviations are those of the rows as they are, with their noise, by their weights, each from the
    values that are there.

    Parameters
    ----------
    steps : sequence of StepSettings
    source : Source
    engine : Engine
    layout : RowLayout, optional
        Which of the source's numbers are values, weight and noise; None: all are values.
    angles : sequence of str
        Columns that standardize leaves alone.

    Raises
    ------
    ConfigError
        Unknown columns, or more principal components than columns.
    DataError
        Values that are not finite, or constant columns before standardize.
    """
    transform = Transform(source.columns[: layout.n_columns] if layout else source.columns)
    moments: tuple[FloatArray, FloatArray] | None = None
    for step in steps:
        if step.name in ("log", "arcsinh"):
            fitted: FittedStep = _elementwise(step, transform.after)
            moments = None
        elif step.name == "rgb_to_hsv":
            fitted, moments = _colours(step, transform.after), None
        else:
            strict = "raise" if step.name == "standardize" else "allow"
            so_far = TransformedSource(source, transform, layout)
            moments = moments or _moments(so_far, engine, strict)
            fitted = _linear(step, *moments)
            if isinstance(fitted, Standardize):
                fitted = _but(fitted, [transform.after.index(name) for name in angles])
            mean, covariance = moments
            moments = _after(fitted, mean, covariance)
        transform = Transform(transform.before, (*transform.steps, fitted))
    return transform


def _but(step: Standardize, columns: list[int]) -> Standardize:
    """Return the step with some columns left alone."""
    mean, deviation = step.mean.copy(), step.deviation.copy()
    mean[columns], deviation[columns] = 0.0, 1.0
    return Standardize(mean, deviation)


def _colours(step: StepSettings, names: tuple[str, ...]) -> RgbToHsv:
    labels = step.columns or names
    unknown = [label for label in labels if label not in names]
    if unknown or len(labels) != 3:
        raise ConfigError(
            f"transform.rgb_to_hsv: three columns, red, green and blue, are needed of "
            f"{', '.join(names)}; got {', '.join(labels)}"
        )
    return RgbToHsv(tuple(names.index(label) for label in labels), tuple(labels))


def _elementwise(step: StepSettings, names: tuple[str, ...]) -> Elementwise:
    labels = step.columns or names
    unknown = [label for label in labels if label not in names]
    if unknown:
        raise ConfigError(
            f"transform.{step.name}.columns: {', '.join(unknown)} not among {', '.join(names)}"
        )
    where = tuple(names.index(label) for label in labels)
    return Elementwise(step.name, where, tuple(labels), step.cofactor or 1.0)


def _moments(
    source: TransformedSource, engine: Engine, constant: str
) -> tuple[FloatArray, FloatArray]:
    inner = source.transform.layout(source.layout) if source.layout is not None else None
    frame, _ = find_frame(engine, source, RowShare.all_rows(inner), constant=constant)
    scatter = frame.scatter * np.outer(frame.scale, frame.scale)
    return frame.backward(frame.centre), scatter


def _linear(step: StepSettings, mean: FloatArray, covariance: FloatArray) -> FittedStep:
    if step.name == "standardize":
        return Standardize(mean, np.sqrt(np.diagonal(covariance)))
    D, m = len(mean), step.n_components or 1
    if m > D:
        raise ConfigError(f"transform.pca: {m} components of {D} columns; at most {D} are possible")
    values, vectors = np.linalg.eigh(covariance)
    _check_directions(values[::-1], m)
    leading = vectors[:, ::-1][:, :m].T
    largest = np.take_along_axis(leading, np.abs(leading).argmax(axis=1)[:, None], axis=1)
    components = np.ascontiguousarray(leading * np.sign(largest))
    return Pca(mean, components, values[::-1][:m] / values.sum())


def _check_directions(variances: FloatArray, wanted: int) -> None:
    """Raise ConfigError if rounding is all that varies in the last of the wanted directions."""
    rounding = 10 * len(variances) * np.finfo(np.float64).eps * float(variances[0])
    found = int((variances > rounding).sum())
    if wanted > found:
        raise ConfigError(
            f"transform.pca: {wanted} components, but the {len(variances)} columns vary in only "
            f"{found} directions (some are constant, or sums of others); set pca: {max(found, 1)} "
            "or fewer"
        )


def _after(
    step: FittedStep, mean: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and covariance after a linear step."""
    if isinstance(step, Pca):
        return np.zeros(len(step.components)), step.components @ covariance @ step.components.T
    assert isinstance(step, Standardize)
    scale = np.outer(step.deviation, step.deviation)
    return np.zeros(len(mean)), covariance / scale
