"""von Mises components: directions and concentrations of angles.

The density of an angle is ``exp(kappa cos(a - mu)) / (2 pi I0(kappa))``. Columns of angles are
independent of each other, and of all other columns, within a component.

References
----------
Mardia and Jupp 2000, Directional Statistics, section 5.3.1 (maximum likelihood); Banerjee,
Dhillon, Ghosh and Sra 2005, J. Mach. Learn. Res. 6:1345, equation 4.4 (the first guess of kappa);
Best and Fisher 1979, Appl. Stat. 28:152 (draws, by NumPy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import i0e, i1e

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import DataError
from gmm_dask.kernels.angles import AngleMoments

TURN = 2 * np.pi
LARGE = 1e4
"""Concentration from which the asymptotic series is exact to 1e-12 of ``1 - A``."""
STEPS = 60


@dataclass(frozen=True)
class VonMises:
    """Angles of one mixture.

    Parameters
    ----------
    periods : (C,) float64
        A whole turn, source units.
    least : (C,) float64
        Floor of ``1 / kappa``, square radians, positive: no component collapses on a direction.
    added : (C,) float64
        Added to every ``1 / kappa``, square radians: what ``reg_covar`` as a number does.
    """

    periods: FloatArray
    least: FloatArray
    added: FloatArray

    def radians(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Return values (n, C) in source units as angles from 0 to 2 pi; NaN stays.

        Whole turns are taken off in source units, where that is exact.
        """
        turned = np.remainder(values.astype(np.float64, copy=False), self.periods)
        result: FloatArray = turned * (TURN / self.periods)
        return result

    def maximize(
        self, means: FloatArray, kappa: FloatArray, moments: AngleMoments, empty: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return mean directions and concentrations (K, C) of the M-step.

        Parameters
        ----------
        means, kappa : (K, C)
            The asking ones; those without rows stay.
        moments : AngleMoments
        empty : float
            Count at or below which there are no rows.
        """
        alive = moments.count > empty
        n = np.where(alive, moments.count, 1.0)
        versine = np.where(alive, moments.versine, 0.0)
        sine = np.where(alive, moments.sine, 0.0)
        step = np.arctan2(sine, n - versine)
        spread = (versine * (2 * n - versine) - sine**2) / (n * (n + np.hypot(n - versine, sine)))
        spread = np.clip(np.where(alive, spread, one_minus_ratio(kappa)), 0.0, 1.0)
        return wrapped(means + step), self.floored(np.where(alive, concentration(spread), kappa))

    def floored(self, kappa: FloatArray) -> FloatArray:
        """Return concentrations after the floor and what is added."""
        with np.errstate(divide="ignore"):
            narrow = 1.0 / kappa + self.added
        result: FloatArray = 1.0 / np.maximum(narrow, self.least)
        return result

    def sample(
        self, means: FloatArray, kappa: FloatArray, labels: IntArray, rng: np.random.Generator
    ) -> FloatArray:
        """Return one draw (n, C) in radians, from 0 to 2 pi, for each label (n,)."""
        drawn: FloatArray = rng.vonmises(means[labels], kappa[labels])
        return wrapped(drawn)

    def validate(self, means: FloatArray, kappa: FloatArray) -> None:
        """Raise DataError, naming the component, unless all are directions and concentrations."""
        sound = np.isfinite(means) & np.isfinite(kappa) & (kappa >= 0)
        if not sound.all():
            k, c = (int(i[0]) for i in np.nonzero(~sound))
            raise DataError(
                f"component {k}: angle {c} has direction {means[k, c]:.3g} and concentration "
                f"{kappa[k, c]:.3g}; finite ones are needed, concentrations from 0"
            )


def wrapped(angles: FloatArray) -> FloatArray:
    """Return angles from 0 up to, but without, 2 pi."""
    turned = np.remainder(angles, TURN)
    # so near to a whole turn that it would be one in other units
    result: FloatArray = np.where(turned > TURN * (1 - 4 * np.finfo(float).eps), 0.0, turned)
    return result


def one_minus_ratio(kappa: FloatArray) -> FloatArray:
    """Return ``1 - A(kappa)``, where A = I1 / I0 is the mean of ``cos(a - mu)``."""
    far = np.maximum(kappa, LARGE)
    series = (0.5 + (0.125 + 0.125 / far) / far) / far
    near = np.minimum(kappa, LARGE)
    result: FloatArray = np.where(kappa > LARGE, series, 1.0 - i1e(near) / i0e(near))
    return result


def ratio_slope(kappa: FloatArray) -> FloatArray:
    """Return ``dA / dkappa``, the variance of ``cos(a - mu)``."""
    far = np.maximum(kappa, LARGE)
    series = (0.5 + (0.25 + 0.375 / far) / far) / far**2
    near = np.minimum(kappa, LARGE)
    A = i1e(near) / i0e(near)
    over = np.divide(A, near, out=np.full_like(A, 0.5), where=near > 1e-8)
    result: FloatArray = np.where(kappa > LARGE, series, 1.0 - A**2 - over)
    return result


def concentration(spread: FloatArray) -> FloatArray:
    """Return the kappa with ``1 - A(kappa) = spread``, by Newton's method between bounds.

    Parameters
    ----------
    spread : array
        From 0 (inf comes back) to 1 (0 comes back).
    """
    q = np.asarray(spread, dtype=np.float64)
    inside = np.clip(q, 1e-150, 1.0)
    R = 1.0 - inside
    low = 2.0 * R  # A <= kappa / 2
    # A >= sqrt(1 + 1/kappa^2) - 1/kappa, so kappa is at most 2 R / (1 - R^2)
    high = 2.0 * R / (inside * (2.0 - inside)) + 1e-300
    kappa = np.clip(R * (2.0 - R**2) / (inside * (2.0 - inside)), low, high)
    for _ in range(STEPS):
        excess = one_minus_ratio(kappa) - inside  # positive: kappa is too small
        low, high = np.where(excess > 0, kappa, low), np.where(excess < 0, kappa, high)
        slope = ratio_slope(kappa)
        step = kappa + np.divide(excess, slope, out=np.zeros_like(kappa), where=slope > 0)
        following = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        still = np.abs(following - kappa) <= 1e-15 * kappa
        kappa = following
        if still.all():
            break
    result: FloatArray = np.where(q <= 0, np.inf, kappa)
    return result
