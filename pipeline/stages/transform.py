"""`Transform`: the chain of fitted steps, and the source seen through it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gmm_dask import (
    Block,
    Observed,
    RowLayout,
    Source,
)
from pipeline.stages.colours import RgbToHsv
from pipeline.stages.steps import Elementwise, FittedStep, FloatArray, Pca, step_from


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
        """Map rows with their noise; weights and groups stay as they are."""
        values, noise = rows.values.astype(np.float64), rows.noise
        for step in self.steps:
            if noise is not None:
                noise = step.noise(noise, values)
            values = step.apply(values, start)
        return Observed(np.ascontiguousarray(values), rows.sample_weight, noise, rows.group)

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
        steps = tuple(_stored(step) for step in stored["steps"])
        return Transform(tuple(stored["before"]), steps)


def _stored(step: dict[str, Any]) -> FittedStep:
    if step["name"] == "rgb_to_hsv":
        return RgbToHsv(**step)
    return step_from(step)


def _reduces(step: FittedStep) -> bool:
    return isinstance(step, Pca) and len(step.components) < len(step.mean)


def describe_step(step: FittedStep) -> str:
    """Return a step in words."""
    if isinstance(step, Pca):
        share = float(step.explained.sum())
        return f"pca: {len(step.components)} components, {share:.1%} of the variance"
    if isinstance(step, RgbToHsv):
        return f"rgb_to_hsv of {', '.join(step.labels)}: hue in degrees, saturation and value"
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
