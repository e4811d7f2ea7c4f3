"""A uniform background: one component more, whose density is the same all over a box.

The box is given or is the range of the training rows, not fitted to them by likelihood; so the
background has a weight and no free parameter beside it, and criteria count it so. Its density is
one over the volume of the box inside, and zero outside. Of a row with missing values, the box of
the observed columns counts; the box of an angle is its period.

Where a value has an error, the density is that of the box convolved with a normal distribution of
the error's variance, column by column: exact for variances, and an approximation (correlations of
the errors are left out) for covariances.

References
----------
Banfield and Raftery 1993, Biometrics 49:803 (a uniform component for noise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr

from gmm_dask.blocks import FloatArray, Frame, IntArray, Observed
from gmm_dask.families.floors import Floor
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.families.prior import CovariancePrior
from gmm_dask.families.product import Product
from gmm_dask.kernels.types import GaussianPrepared

TINY = 1e-12
"""Share of a normal distribution inside the box below which it lies at the nearer edge."""


@dataclass(frozen=True)
class WithBackground:
    """Components of a family, and behind them a uniform one.

    Parameters
    ----------
    inner : Gaussian or Product
    lowest, highest : (D,) float64
        The box, source units; for an angle, 0 and its period.
    frame : Frame
        Of the run: draws are made in it.
    """

    inner: Gaussian | Product
    lowest: FloatArray
    highest: FloatArray
    frame: Frame

    compound: ClassVar[bool] = True
    kept: ClassVar[tuple[int, ...]] = ()
    n_extra: ClassVar[int] = 1

    @property
    def covariance_type(self) -> str:
        """Of the inner family."""
        return self.inner.covariance_type

    @property
    def floor(self) -> Floor:
        """Of the inner family."""
        return self.inner.floor

    @property
    def prior(self) -> CovariancePrior | None:
        """Of the inner family."""
        return self.inner.prior

    @property
    def angles(self) -> IntArray:
        """Positions of the angles, (C,)."""
        if isinstance(self.inner, Product):
            return self.inner.angles
        return np.empty(0, dtype=np.int64)

    def log_density(self, rows: Observed) -> FloatArray:
        """Return the log density (n,) of the background in the observed columns, source units."""
        low, high, x = self.lowest, self.highest, rows.values.astype(np.float64, copy=False)
        seen = ~np.isnan(x)
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = ((x >= low) & (x <= high)).astype(np.float64)
            inside[:, self.angles] = 1.0
            if rows.noise is not None:
                inside = self._convolved(x, rows.noise, inside)
            of_columns = np.log(inside) - np.log(high - low)
        total: FloatArray = np.where(seen, of_columns, 0.0).sum(axis=1)
        return total

    def _convolved(self, x: FloatArray, noise: FloatArray, inside: FloatArray) -> FloatArray:
        """Return the share of the box that the errors of each value reach, (n, D)."""
        variance = noise if noise.ndim == 2 else np.diagonal(noise, axis1=1, axis2=2)
        deviation = np.sqrt(variance)
        above, below = (self.highest - x) / deviation, (self.lowest - x) / deviation
        # on the side of the nearer edge nothing cancels
        flip = below > 0
        reached = ndtr(np.where(flip, -below, above)) - ndtr(np.where(flip, -above, below))
        result: FloatArray = np.where(variance > 0, reached, inside)
        return result

    def true_values(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return means and variances (n, D) of the true values of rows of the background.

        Each column by itself: a normal distribution cut off at the edges of the box (Johnson,
        Kotz and Balakrishnan 1994, Continuous Univariate Distributions, section 10.1).
        """
        x = rows.values.astype(np.float64, copy=False)
        low, high = np.broadcast_to(self.lowest, x.shape), np.broadcast_to(self.highest, x.shape)
        missing = np.isnan(x)
        mean = np.where(missing, 0.5 * (low + high), np.clip(x, low, high))
        variance = np.where(missing, (high - low) ** 2 / 12.0, 0.0)
        if rows.noise is None:
            return mean, variance
        noise = rows.noise
        noise = noise if noise.ndim == 2 else np.diagonal(noise, axis1=1, axis2=2)
        inexact = ~missing & (noise > 0)
        found = _cut_off(*(part[inexact] for part in (x, noise, low, high)))
        mean[inexact], variance[inexact] = found
        return mean, variance

    def prepare(self, params: Any, frame: Frame) -> GaussianPrepared:
        """Return constants of the inner family for one pass."""
        return self.inner.prepare(params, frame)

    def factors(self, params: Any) -> tuple[FloatArray, FloatArray]:
        """Return those of the inner family."""
        return self.inner.factors(params)

    def dense(self, params: Any) -> FloatArray:
        """Return those of the inner family."""
        return self.inner.dense(params)

    def validate(self, params: Any) -> None:
        """Raise DataError as the inner family does."""
        self.inner.validate(params)

    def clipped(self, params: Any) -> Any:
        """Return parameters raised to the floor."""
        return self.inner.clipped(params)

    def maximize(self, params: Any, count: FloatArray, moments: Any) -> Any:
        """Return the M-step of the inner family; the last count is the background's."""
        return self.inner.maximize(params, count[:-1], moments)

    def log_prior(self, params: Any) -> float:
        """Return the log prior density of the inner family."""
        return self.inner.log_prior(params)

    def n_free(self, n_components: int, n_columns: int) -> int:
        """Return those of the inner family: the box is not fitted."""
        return self.inner.n_free(n_components - 1, n_columns)

    def sample(self, params: Any, labels: IntArray, rng: np.random.Generator) -> FloatArray:
        """Return one draw (n, D), in the frame, for each label (n,)."""
        K, D = params.means.shape
        uniform = self.lowest + (self.highest - self.lowest) * rng.random((len(labels), D))
        rows = self.inner.sample(params, np.minimum(labels, K - 1), rng)
        drawn: FloatArray = np.where((labels == K)[:, None], self.frame.forward(uniform), rows)
        return drawn

    def check(self, params: Any) -> tuple[str, ...]:
        """Return the sentences of the inner family."""
        return self.inner.check(params)

    def restored(self, params: Any, origin: Any) -> Any:  # noqa: ARG002
        """Return parameters as they are: nothing is held."""
        return params

    def reorder(self, params: Any, order: IntArray) -> Any:
        """Return the components in another order; the background stays behind them."""
        return self.inner.reorder(params, order)

    def zero_moments(self, n_components: int, n_columns: int) -> Any:
        """Return the moments of no rows: the background has none."""
        return self.inner.zero_moments(n_components - 1, n_columns)


def _cut_off(
    x: FloatArray, noise: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of normal distributions cut off outside an interval."""
    root = np.sqrt(noise)
    a, b = (low - x) / root, (high - x) / root
    reached = np.where(a > 0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))
    known = reached > TINY
    Z = np.where(known, reached, 1.0)
    at_a, at_b = (np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) for z in (a, b))
    step = (at_a - at_b) / Z
    narrower = 1.0 + (a * at_a - b * at_b) / Z - step**2
    mean = np.clip(np.where(known, x + root * step, x), low, high)
    return mean, np.where(known, noise * np.maximum(narrower, 0.0), 0.0)
