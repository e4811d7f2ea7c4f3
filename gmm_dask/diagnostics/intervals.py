"""Estimates with standard errors and intervals, each on the scale on which it is nearly Gaussian.

Weights on the logit scale, variances and widths on the log scale, correlations on Fisher's: an
interval there never leaves the values that are possible.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from gmm_dask.blocks import FloatArray


class Estimates(NamedTuple):
    """Numbers with their uncertainty, all of one shape."""

    value: FloatArray
    error: FloatArray
    """Standard error."""
    low: FloatArray
    high: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return nested lists, None where a number is not finite."""
        return {name: plain(part) for name, part in zip(self._fields, self, strict=True)}


def normal_quantile(level: float) -> float:
    """Return how many standard errors an interval reaches to each side."""
    return float(norm.ppf(0.5 + 0.5 * level))


def symmetric(value: FloatArray, error: FloatArray, level: float) -> Estimates:
    """Return value and interval value +- z error."""
    reach = normal_quantile(level) * error
    return Estimates(value, error, value - reach, value + reach)


def on_log(value: FloatArray, error: FloatArray, level: float) -> Estimates:
    """Return intervals of positive numbers."""
    with np.errstate(over="ignore"):
        factor = np.exp(normal_quantile(level) * error / value)
        return Estimates(value, error, value / factor, value * factor)


def on_logit(value: FloatArray, error: FloatArray, level: float) -> Estimates:
    """Return intervals of shares; of one whole, itself."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = normal_quantile(level) * error / (value * (1.0 - value))
        low, high = expit(logit(value) - reach), expit(logit(value) + reach)
    sure = value >= 1.0
    return Estimates(value, error, np.where(sure, value, low), np.where(sure, value, high))


def on_fisher(value: FloatArray, error: FloatArray, level: float) -> Estimates:
    """Return intervals of correlations; of those that are 1 (of a column with itself), itself."""
    inside = np.abs(value) < 1.0 - 1e-12
    bounded = np.where(inside, value, 0.0)
    reach = normal_quantile(level) * error / (1.0 - bounded**2)
    middle = np.arctanh(bounded)
    low, high = np.tanh(middle - reach), np.tanh(middle + reach)
    return Estimates(value, error, np.where(inside, low, value), np.where(inside, high, value))


def covariance_intervals(value: FloatArray, error: FloatArray, level: float) -> Estimates:
    """Return intervals of covariances (..., D, D): variances on the log scale, others symmetric."""
    on_diagonal = np.eye(value.shape[-1], dtype=bool)
    variances = on_log(np.where(on_diagonal, value, 1.0), error, level)
    others = symmetric(value, error, level)
    low = np.where(on_diagonal, variances.low, others.low)
    return Estimates(value, error, low, np.where(on_diagonal, variances.high, others.high))


def plain(value: Any) -> Any:
    """Return numbers and arrays as JSON has them: nested lists, None where not finite."""
    if isinstance(value, np.ndarray):
        return [plain(part) for part in value] if value.ndim else plain(value.item())
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
