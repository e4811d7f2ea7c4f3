"""Gaussian columns beside angles: log densities add, moments go in pairs.

Within a component the angles are independent of each other and of the Gaussian columns; a
dependence between an angle and a line is not modelled, other than by several components.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Frame, IntArray
from gmm_dask.families.floors import Floor
from gmm_dask.families.gaussian import Gaussian, GaussianParams, empty_below
from gmm_dask.families.prior import CovariancePrior
from gmm_dask.families.von_mises import VonMises, one_minus_ratio, wrapped
from gmm_dask.kernels.angles import AngleMoments
from gmm_dask.kernels.angles import zero_moments as no_angles
from gmm_dask.kernels.types import GaussianMoments, GaussianPrepared, second_shape


class ProductParams(NamedTuple):
    """Parameters of K components, in the frame, where angles are radians from 0 to 2 pi."""

    means: FloatArray
    """(K, D): means, and mean directions in the columns of angles."""
    covariances: FloatArray
    """Of the L columns that are not angles, in the shape of the covariance type."""
    kappa: FloatArray
    """(K, C) concentrations."""


class ProductMoments(NamedTuple):
    """Sums about the asking parameters."""

    lines: GaussianMoments
    """In the L columns that are not angles."""
    angles: AngleMoments


@dataclass(frozen=True)
class Product:
    """Gaussian in some columns, von Mises in the others.

    Parameters
    ----------
    gaussian : Gaussian
        Its floor and prior have L columns, which may be none.
    von_mises : VonMises
    angles : (C,) int64
        Positions of the angles among the D columns, ascending.
    n_columns : int
        D = L + C.
    """

    gaussian: Gaussian
    von_mises: VonMises
    angles: IntArray
    n_columns: int

    compound: ClassVar[bool] = True
    kept: ClassVar[tuple[int, ...]] = ()
    n_extra: ClassVar[int] = 0

    @cached_property
    def lines(self) -> IntArray:
        """Positions of the columns that are not angles, (L,)."""
        return np.setdiff1d(np.arange(self.n_columns), self.angles)

    @property
    def covariance_type(self) -> str:
        """Of the Gaussian columns."""
        return self.gaussian.covariance_type

    @property
    def floor(self) -> Floor:
        """Of the Gaussian columns."""
        return self.gaussian.floor

    @property
    def prior(self) -> CovariancePrior | None:
        """Of the Gaussian columns."""
        return self.gaussian.prior

    def of_lines(self, params: ProductParams) -> GaussianParams:
        """Return the parameters of the Gaussian columns."""
        return GaussianParams(params.means[:, self.lines], params.covariances)

    def of_angles(self, params: ProductParams) -> tuple[FloatArray, FloatArray]:
        """Return mean directions and concentrations, (K, C)."""
        return params.means[:, self.angles], params.kappa

    def joined(
        self, lines: GaussianParams, directions: FloatArray, kappa: FloatArray
    ) -> ProductParams:
        """Return parameters of all columns."""
        means = np.empty((len(kappa), self.n_columns))
        means[:, self.lines], means[:, self.angles] = lines.means, directions
        return ProductParams(means, lines.covariances, kappa)

    def frame_of_lines(self, frame: Frame) -> Frame:
        """Return the frame of the Gaussian columns."""
        return frame.of_columns(self.lines)

    def prepare(self, params: ProductParams, frame: Frame) -> GaussianPrepared:
        """Return constants of the Gaussian columns for one pass."""
        return self.gaussian.prepare(self.of_lines(params), self.frame_of_lines(frame))

    def factors(self, params: ProductParams) -> tuple[FloatArray, FloatArray]:
        """Return inverse Cholesky factors of the Gaussian columns."""
        return self.gaussian.factors(self.of_lines(params))

    def dense(self, params: ProductParams) -> FloatArray:
        """Return covariance matrices (K, D, D), angles by their circular variance.

        That of an angle is ``-2 log A(kappa)`` (Mardia and Jupp 2000, section 2.3.1), at most that
        of a uniform angle, ``pi^2 / 3``.
        """
        D = self.n_columns
        matrices: FloatArray = np.zeros((len(params.means), D, D))
        lines, angles = self.lines, self.angles
        matrices[:, lines[:, None], lines] = self.gaussian.dense(self.of_lines(params))
        with np.errstate(divide="ignore"):
            circular = -2.0 * np.log1p(-one_minus_ratio(params.kappa))
        matrices[:, angles, angles] = np.minimum(circular, np.pi**2 / 3)
        return matrices

    def validate(self, params: ProductParams) -> None:
        """Raise DataError, naming the component, if parameters have no density."""
        if len(self.lines):
            self.gaussian.validate(self.of_lines(params))
        self.von_mises.validate(*self.of_angles(params))

    def clipped(self, params: ProductParams) -> ProductParams:
        """Return parameters raised to the floors."""
        lines = self.of_lines(params)
        lines = self.gaussian.clipped(lines) if len(self.lines) else lines
        directions, kappa = self.of_angles(params)
        return self.joined(lines, directions, np.minimum(kappa, 1.0 / self.von_mises.least))

    def maximize(
        self, params: ProductParams, count: FloatArray, moments: ProductMoments
    ) -> ProductParams:
        """Return the M-step, each kind of column by its own moments."""
        lines = self.of_lines(params)
        if len(self.lines):
            lines = self.gaussian.maximize(lines, count, moments.lines)
        directions, kappa = self.of_angles(params)
        found = self.von_mises.maximize(directions, kappa, moments.angles, empty_below(count))
        return self.joined(lines, *found)

    def log_prior(self, params: ProductParams) -> float:
        """Return the log prior density of the Gaussian columns."""
        return self.gaussian.log_prior(self.of_lines(params)) if len(self.lines) else 0.0

    def n_free(self, n_components: int, n_columns: int) -> int:
        """Return the number of free parameters; an angle has two in each component."""
        L, C = n_columns - len(self.angles), len(self.angles)
        of_lines = self.gaussian.n_free(n_components, L) if L else 0
        return of_lines + 2 * n_components * C

    def sample(
        self, params: ProductParams, labels: IntArray, rng: np.random.Generator
    ) -> FloatArray:
        """Return one draw (n, D), in the frame, for each label (n,)."""
        rows = np.empty((len(labels), self.n_columns))
        if len(self.lines):
            rows[:, self.lines] = self.gaussian.sample(self.of_lines(params), labels, rng)
        rows[:, self.angles] = self.von_mises.sample(*self.of_angles(params), labels, rng)
        return rows

    def check(self, params: ProductParams) -> tuple[str, ...]:
        """Return one sentence for every component that lies on a floor."""
        flat = self.gaussian.check(self.of_lines(params)) if len(self.lines) else ()
        on_floor = (params.kappa * self.von_mises.least > 0.99).any(axis=1)
        return flat + tuple(
            f"component {k} is narrow: the spread of an angle lies on the floor"
            for k in np.flatnonzero(on_floor)
        )

    def restored(self, params: ProductParams, origin: ProductParams) -> ProductParams:  # noqa: ARG002
        """Return parameters as they are: nothing is held."""
        return params

    def reorder(self, params: ProductParams, order: IntArray) -> ProductParams:
        """Return the components in another order."""
        lines = self.gaussian.reorder(self.of_lines(params), order)
        return self.joined(lines, params.means[order][:, self.angles], params.kappa[order])

    def zero_moments(self, n_components: int, n_columns: int) -> ProductMoments:
        """Return the moments of no rows."""
        L = n_columns - len(self.angles)
        second = np.zeros(second_shape(self.covariance_type, n_components, L))
        lines = GaussianMoments(np.zeros((n_components, L)), second)
        return ProductMoments(lines, no_angles(n_components, len(self.angles)))

    def wrapped(self, means: FloatArray) -> FloatArray:
        """Return means (K, D) of the frame, their angles from 0 to 2 pi."""
        result = means.copy()
        result[:, self.angles] = wrapped(means[:, self.angles])
        return result
