"""`Transform`: the chain of fitted steps, and the source seen through it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gmm_dask import (
    Block,
    ConfigError,
    Engine,
    Observed,
    RowLayout,
    RowShare,
    Source,
    find_frame,
)
from pipeline.stages.steps import Elementwise, FittedStep, FloatArray, Pca, Standardize, step_from


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


@dataclass(frozen=True)
class Transform:
    """Fitted steps in order; without steps it changes nothing.

    Parameters
    ----------
    before : tuple of str
        Names of the source columns.
    steps : tuple of FittedStep
    """

    before: tuple[str, ...]
    steps: tuple[FittedStep, ...] = ()

    @property
    def after(self) -> tuple[str, ...]:
        """Names of the columns that the mixture sees."""
        names = self.before
        for step in self.steps:
            names = step.columns(names)
        return names

    @property
    def reduces(self) -> bool:
        """Whether densities are in a space of fewer dimensions than the source."""
        return len(self.after) < len(self.before)

    def apply(self, values: npt.NDArray[Any], start: int = 0) -> npt.NDArray[Any]:
        """Map rows (n, D) from source units to what the mixture sees."""
        if not self.steps:
            return values
        rows = values.astype(np.float64)
        for step in self.steps:
            rows = step.apply(rows, start)
        return np.ascontiguousarray(rows)

    def observed(self, rows: Observed, start: int = 0) -> Observed:
        """Map rows with their noise; weights stay as they are."""
        values, noise = rows.values.astype(np.float64), rows.noise
        for step in self.steps:
            if noise is not None:
                noise = step.noise(noise, values)
            values = step.apply(values, start)
        return Observed(np.ascontiguousarray(values), rows.sample_weight, noise)

    def layout(self, before: RowLayout) -> RowLayout:
        """Return the layout of rows that `observed` gives for rows of a layout."""
        turned = bool(before.noise) and any(isinstance(step, Pca) for step in self.steps)
        noise = "full" if turned else before.noise
        return before._replace(n_columns=len(self.after), noise=noise)

    def invert(self, rows: FloatArray) -> FloatArray:
        """Map rows back into source units."""
        for step in reversed(self.steps):
            rows = step.invert(rows)
        return rows

    def invert_covariance(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:
        """Map a covariance back into source units, linearised at the mean."""
        for step in reversed(self.steps):
            covariance = step.invert_covariance(mean, covariance)
            mean = step.invert(mean[None])[0]
        return covariance

    @property
    def _first_counted(self) -> int:
        """Position of the first step whose Jacobian counts.

        A pca that leaves dimensions out has no density in the units before it: what the mixture
        sees from there on is the density of the scores, whatever came before.
        """
        reducing = [i for i, step in enumerate(self.steps) if _reduces(step)]
        return max(reducing, default=-1) + 1

    def log_jacobian(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return for each row what turns its log density into source units, (n,).

        After a pca that leaves dimensions out, into the units of its scores.
        """
        rows = values.astype(np.float64)
        total = np.zeros(len(rows))
        for i, step in enumerate(self.steps):
            if i >= self._first_counted:
                total += step.log_jacobian(rows)
            rows = step.apply(rows)
        return total

    @property
    def constant_jacobian(self) -> float | None:
        """The log Jacobian where it is the same for all rows, else None."""
        parts = [step.constant_jacobian for step in self.steps[self._first_counted :]]
        known = [part for part in parts if part is not None]
        return sum(known, 0.0) if len(known) == len(parts) else None

    def describe(self) -> list[str]:
        """Return the steps in words."""
        return [describe_step(step) for step in self.steps]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values and arrays for a model file."""
        return {"before": self.before, "steps": tuple(step.as_dict() for step in self.steps)}

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> Transform:
        """Return the transform that `as_dict` stored."""
        steps = tuple(step_from(step) for step in stored["steps"])
        return Transform(tuple(stored["before"]), steps)


def _reduces(step: FittedStep) -> bool:
    return isinstance(step, Pca) and len(step.components) < len(step.mean)


def describe_step(step: FittedStep) -> str:
    """Return a step in words."""
    if isinstance(step, Pca):
        share = float(step.explained.sum())
        return f"pca: {len(step.components)} components, {share:.1%} of the variance"
    if isinstance(step, Elementwise):
        of = ", ".join(step.labels)
        by = f" with cofactor {step.cofactor:g}" if step.name == "arcsinh" else ""
        return f"{step.name}{by} of {of}"
    return "standardize: each column to mean 0 and standard deviation 1"


@dataclass(frozen=True)
class TransformedSource:
    """A source whose rows pass through a transform as they are read.

    Parameters
    ----------
    source : Source
    transform : Transform
    layout : RowLayout, optional
        Which of the source's numbers are values, weight and noise; None: all are values.
    """

    source: Source
    transform: Transform
    layout: RowLayout | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.source.n_rows

    @property
    def columns(self) -> tuple[str, ...]:
        """Names after the transform, of values, weight and noise."""
        if self.layout is None:
            return self.transform.after
        return self.transform.layout(self.layout).names(self.transform.after)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 once there are steps."""
        return np.dtype(np.float64) if self.transform.steps else self.source.dtype

    @property
    def fingerprint(self) -> str:
        """Digest of the source and of what the steps are.

        What the steps found (means, directions) follows from the source, up to rounding, and must
        not count: the last bits of it differ between machines.
        """
        digest = hashlib.sha256(self.source.fingerprint.encode())
        for step in self.transform.steps:
            for key, value in sorted(step.as_dict().items()):
                found = isinstance(value, np.ndarray) and value.dtype.kind == "f"
                digest.update(f"{key} {value.shape if found else value!r};".encode())
        return digest.hexdigest()

    def read(self, lo: int, hi: int) -> Block:
        """Return transformed rows lo to hi."""
        block = self.source.read(lo, hi)
        if self.layout is None or self.layout.width == self.layout.n_columns:
            return Block(self.transform.apply(block.values, lo), lo)
        if not self.transform.steps:
            return block
        rows = self.transform.observed(self.layout.split(block.values), lo)
        return Block(self.transform.layout(self.layout).join(rows), lo)


def fit_transform(
    steps: Sequence[StepSettings],
    source: Source,
    engine: Engine,
    layout: RowLayout | None = None,
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
        else:
            strict = "raise" if step.name == "standardize" else "allow"
            so_far = TransformedSource(source, transform, layout)
            moments = moments or _moments(so_far, engine, strict)
            fitted = _linear(step, *moments)
            mean, covariance = moments
            moments = _after(fitted, mean, covariance)
        transform = Transform(transform.before, (*transform.steps, fitted))
    return transform


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
