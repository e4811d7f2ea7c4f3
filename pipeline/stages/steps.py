"""Fitted transform steps: what happens to the columns between the source and the mixture.

Each step maps rows forth and back, maps a covariance back, and knows the logarithm of its
Jacobian, so that densities and criteria can be given in source units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gmm_dask import DataError

FloatArray = npt.NDArray[np.float64]


class FittedStep(Protocol):
    """One step of a transform."""

    @property
    def name(self) -> str:
        """Which step this is."""
        ...

    def apply(self, rows: FloatArray, start: int = 0) -> FloatArray:
        """Map rows (n, D); `start` is the absolute number of the first, for messages."""
        ...

    def noise(self, noise: FloatArray, rows: FloatArray) -> FloatArray:
        """Map variances (n, D) or covariances (n, D, D) of rows given before the step."""
        ...

    def invert(self, rows: FloatArray) -> FloatArray:
        """Map rows back (for pca: the point of the subspace)."""
        ...

    def invert_covariance(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:
        """Map a covariance back, linearised at a mean given after the step."""
        ...

    def log_jacobian(self, rows: FloatArray) -> FloatArray:
        """Return log |d out / d in| of each row given before the step, (n,)."""
        ...

    @property
    def constant_jacobian(self) -> float | None:
        """The log Jacobian where it is the same for all rows, else None."""
        ...

    def columns(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the columns after the step."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return plain values and arrays from which `step_from` makes the step again."""
        ...


@dataclass(frozen=True)
class Standardize:
    """Subtract the mean and divide by the standard deviation of each column.

    Parameters
    ----------
    mean, deviation : (D,) float64, source units
    """

    mean: FloatArray
    deviation: FloatArray
    name: str = "standardize"

    def apply(self, rows: FloatArray, start: int = 0) -> FloatArray:  # noqa: ARG002
        """Map rows (n, D)."""
        result: FloatArray = (rows - self.mean) / self.deviation
        return result

    def noise(self, noise: FloatArray, rows: FloatArray) -> FloatArray:  # noqa: ARG002
        """Map variances or covariances, exactly."""
        scale = self.deviation**2 if noise.ndim == 2 else np.outer(self.deviation, self.deviation)
        return noise / scale

    def invert(self, rows: FloatArray) -> FloatArray:
        """Map rows back."""
        result: FloatArray = rows * self.deviation + self.mean
        return result

    def invert_covariance(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:  # noqa: ARG002
        """Map a covariance back."""
        return covariance * np.outer(self.deviation, self.deviation)

    def log_jacobian(self, rows: FloatArray) -> FloatArray:
        """Return the same value for each row; of missing values nothing counts."""
        each = np.where(np.isnan(rows), 0.0, np.log(self.deviation))
        total: FloatArray = -each.sum(axis=1)
        return total

    @property
    def constant_jacobian(self) -> float | None:
        """Minus the sum of the log deviations."""
        return -float(np.log(self.deviation).sum())

    def columns(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names unchanged."""
        return before

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"name": self.name, "mean": self.mean, "deviation": self.deviation}


@dataclass(frozen=True)
class Elementwise:
    """log, or arcsinh(x / cofactor), of some columns.

    Parameters
    ----------
    name : {"log", "arcsinh"}
    where : tuple of int
        Positions of the columns.
    labels : tuple of str
        Their names, for messages.
    cofactor : float
        Source units; 1 for log.
    """

    name: str
    where: tuple[int, ...]
    labels: tuple[str, ...]
    cofactor: float = 1.0

    def apply(self, rows: FloatArray, start: int = 0) -> FloatArray:
        """Map rows (n, D).

        Raises
        ------
        DataError
            The logarithm of a value that is not positive.
        """
        result = rows.copy()
        part = rows[:, self.where]
        if self.name == "arcsinh":
            result[:, self.where] = np.arcsinh(part / self.cofactor)
            return result
        self._check_positive(part, start)
        result[:, self.where] = np.log(part)
        return result

    def noise(self, noise: FloatArray, rows: FloatArray) -> FloatArray:
        """Map variances or covariances, linearised at the rows (delta method)."""
        slope = np.ones(rows.shape)
        slope[:, self.where] = self._slope(rows[:, self.where])
        by = slope**2 if noise.ndim == 2 else slope[:, :, None] * slope[:, None, :]
        # of missing values the slope is not known, and their noise does not count
        return np.where(np.isnan(by), 0.0, noise / by)

    def _check_positive(self, part: FloatArray, start: int) -> None:
        bad = part <= 0
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise DataError(
                f"transform log: {self.labels[column]} is {part[row, column]:g} in row "
                f"{start + row}; positive values are needed. Filter the rows, name other columns "
                "in log: {columns: [...]}, or use arcsinh: {cofactor: ...}"
            )

    def invert(self, rows: FloatArray) -> FloatArray:
        """Map rows back."""
        result = rows.copy()
        part = rows[:, self.where]
        back = np.sinh(part) * self.cofactor if self.name == "arcsinh" else np.exp(part)
        result[:, self.where] = back
        return result

    def _slope(self, before: FloatArray) -> FloatArray:
        """Return d in / d out at rows before the step, for the transformed columns."""
        slope: FloatArray = np.hypot(before, self.cofactor) if self.name == "arcsinh" else before
        return slope

    def invert_covariance(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:
        """Map a covariance back, linearised at the mean (delta method)."""
        slope = np.ones(len(mean))
        before = self.invert(mean[None])[0]
        slope[list(self.where)] = self._slope(before[list(self.where)])
        return covariance * np.outer(slope, slope)

    def log_jacobian(self, rows: FloatArray) -> FloatArray:
        """Return minus the summed logs of d in / d out."""
        part = rows[:, self.where]
        logs = np.where(np.isnan(part), 0.0, np.log(self._slope(part)))
        total: FloatArray = -logs.sum(axis=1)
        return total

    @property
    def constant_jacobian(self) -> float | None:
        """None: it depends on the row."""
        return None

    def columns(self, before: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names unchanged."""
        return before

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "where": self.where,
            "labels": self.labels,
            "cofactor": self.cofactor,
        }


@dataclass(frozen=True)
class Pca:
    """Scores of the leading principal components: an orthogonal projection, in source units.

    Parameters
    ----------
    mean : (D,)
    components : (m, D)
        Orthonormal rows; the largest loading of each is positive.
    explained : (m,)
        Share of the total variance.
    """

    mean: FloatArray
    components: FloatArray
    explained: FloatArray
    name: str = "pca"

    def apply(self, rows: FloatArray, start: int = 0) -> FloatArray:  # noqa: ARG002
        """Map rows (n, D) to scores (n, m)."""
        return (rows - self.mean) @ self.components.T

    def noise(self, noise: FloatArray, rows: FloatArray) -> FloatArray:  # noqa: ARG002
        """Map variances or covariances to covariances (n, m, m) of scores, exactly."""
        A = self.components
        if noise.ndim == 2:
            return np.matmul(A * noise[:, None, :], A.T)
        turned: FloatArray = A @ noise @ A.T
        return turned

    def invert(self, rows: FloatArray) -> FloatArray:
        """Map scores to the points of the subspace."""
        return rows @ self.components + self.mean

    def invert_covariance(self, mean: FloatArray, covariance: FloatArray) -> FloatArray:  # noqa: ARG002
        """Map a covariance of scores into the subspace."""
        return self.components.T @ covariance @ self.components

    def log_jacobian(self, rows: FloatArray) -> FloatArray:
        """Return zeros: distances in the subspace are kept."""
        return np.zeros(len(rows))

    @property
    def constant_jacobian(self) -> float | None:
        """Zero."""
        return 0.0

    def columns(self, before: tuple[str, ...]) -> tuple[str, ...]:  # noqa: ARG002
        """Return pc1, pc2, ..."""
        return tuple(f"pc{i + 1}" for i in range(len(self.components)))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "mean": self.mean,
            "components": self.components,
            "explained": self.explained,
        }


def step_from(stored: dict[str, Any]) -> FittedStep:
    """Return the step that `as_dict` stored."""
    fields = {key: value for key, value in stored.items() if key != "name"}
    if stored["name"] == "standardize":
        return Standardize(**fields)
    if stored["name"] == "pca":
        return Pca(**fields)
    return Elementwise(stored["name"], **fields)
