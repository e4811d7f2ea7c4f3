"""Gaussian components: full, tied, diag and spherical covariances.

References
----------
Dempster, Laird and Rubin 1977, J. R. Stat. Soc. B 39:1 (EM); McLachlan and Peel 2000, Finite
Mixture Models, section 3.8 (covariance types).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gmm_dask.blocks import FloatArray, Frame, IntArray
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.families.floors import Floor, RelativeFloor, Ridge
from gmm_dask.families.linalg import cholesky, inverse_factor, log_det_factor
from gmm_dask.families.prior import CovariancePrior, covariance_mode, log_prior, shrunken_means
from gmm_dask.kernels.types import GaussianMoments, GaussianPrepared, second_shape

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


class GaussianParams(NamedTuple):
    """Parameters of K components, in the frame."""

    means: FloatArray
    """(K, D)."""
    covariances: FloatArray
    """full (K, D, D), tied (D, D), diag (K, D), spherical (K,) variances."""


@dataclass(frozen=True)
class Gaussian:
    """The Gaussian family of one covariance type.

    Parameters
    ----------
    covariance_type : {"full", "tied", "diag", "spherical"}
    floor : RelativeFloor or Ridge
    prior : CovariancePrior, optional
        EM then maximises log-likelihood plus log prior.

    Raises
    ------
    ConfigError
        An unknown covariance type; a prior beside a ridge, which has no objective to add it to.
    """

    covariance_type: str
    floor: Floor
    prior: CovariancePrior | None = None

    compound: ClassVar[bool] = False
    n_extra: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ConfigError(
                f"covariance_type is {self.covariance_type!r}; one of "
                f"{', '.join(COVARIANCE_TYPES)} is needed"
            )
        if self.prior is not None and isinstance(self.floor, Ridge) and self.floor.added.any():
            raise ConfigError(
                "covariance_prior and reg_covar as a number exclude each other: both keep "
                "covariances from collapsing; leave one of them out"
            )

    def prepare(self, params: GaussianParams, frame: Frame) -> GaussianPrepared:
        """Return factorisations and constants for one pass."""
        D = params.means.shape[1]
        factor, log_det = self.factors(params)
        log_norm = log_det - 0.5 * D * np.log(2 * np.pi)
        return GaussianPrepared(
            self.covariance_type,
            frame.shift,
            frame.scale,
            np.ascontiguousarray(params.means),
            factor,
            np.broadcast_to(log_norm, len(params.means)).copy(),
        )

    def factors(self, params: GaussianParams) -> tuple[FloatArray, FloatArray]:
        """Return inverse Cholesky factors and their log determinants, () or (K,)."""
        S = params.covariances
        if self.covariance_type == "full":
            factor = inverse_factor(cholesky(S))
            return factor, log_det_factor(factor)
        if self.covariance_type == "tied":
            factor = inverse_factor(cholesky(S[None]))
            return factor[0], log_det_factor(factor)[0]
        root = 1.0 / np.sqrt(S)
        if self.covariance_type == "diag":
            return root, np.log(root).sum(axis=1)
        return root, params.means.shape[1] * np.log(root)

    def validate(self, params: GaussianParams) -> None:
        """Raise DataError, naming the component, if a covariance is not positive definite."""
        S = params.covariances
        if self.covariance_type in ("full", "tied"):
            cholesky(S if self.covariance_type == "full" else S[None])
        elif not (S > 0).all() or not np.isfinite(S).all():
            bad = int(np.argmin(S.reshape(len(S), -1).min(axis=1)))
            raise DataError(
                f"component {bad}: a variance is {np.min(S[bad]):.3g}; it must be positive: raise "
                "reg_covar or use fewer components"
            )

    def clipped(self, params: GaussianParams) -> GaussianParams:
        """Return parameters raised to the relative floor; a ridge leaves them as they are."""
        if not isinstance(self.floor, RelativeFloor):
            return params
        S, kind = params.covariances, self.covariance_type
        if kind in ("full", "tied"):
            raised = self.floor.full(S if kind == "full" else S[None])
            return params._replace(covariances=raised if kind == "full" else raised[0])
        clip = self.floor.diag if kind == "diag" else self.floor.spherical
        return params._replace(covariances=clip(S))

    def maximize(
        self, params: GaussianParams, count: FloatArray, moments: GaussianMoments
    ) -> GaussianParams:
        """Return the M-step of means and covariances: their mode, where there is a prior.

        Parameters
        ----------
        params : GaussianParams
            The asking parameters, about whose means the moments were taken. Components without
            rows keep them, or fall back to the prior.
        count : (K,)
            Effective rows.
        moments : GaussianMoments
        """
        alive = count > empty_below(count)
        n = np.where(alive, count, 1.0)
        mean_step = np.where(alive[:, None], moments.first / n[:, None], 0.0)
        step = self._steps(params, mean_step, count)
        means = params.means + step
        second = self._about(moments.second, count, mean_step, step)
        if self.prior is None:
            return GaussianParams(means, self._covariances(params, second, n, count, alive))
        rows = np.where(alive, count, 0.0)
        mode = covariance_mode(self.prior, self.covariance_type, second, means, rows)
        return GaussianParams(shrunken_means(self.prior, means, rows), self._floored(mode))

    def log_prior(self, params: GaussianParams) -> float:
        """Return the log prior of parameters up to a constant; 0 without a prior."""
        if self.prior is None:
            return 0.0
        return log_prior(self.prior, self.covariance_type, params.means, params.covariances)

    def _steps(self, params: GaussianParams, step: FloatArray, count: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the steps of the means (K, D): those of the rows' own means, if all are free."""
        return step

    def _about(
        self,
        second: FloatArray,
        count: FloatArray,
        mean_step: FloatArray,
        step: FloatArray,  # noqa: ARG002
    ) -> FloatArray:
        """Return the second moments about the new means, from those about the asking ones."""
        return self._about_new_mean(second, count, mean_step)

    def restored(self, params: GaussianParams, origin: GaussianParams) -> GaussianParams:  # noqa: ARG002
        """Return parameters with what is held as it is in others: here nothing is."""
        return params

    @property
    def kept(self) -> tuple[int, ...]:
        """Components that keep their place when others are put in order: here none."""
        return ()

    def _about_new_mean(
        self, second: FloatArray, count: FloatArray, step: FloatArray
    ) -> FloatArray:
        """Shift the second moments from the asking means to the new means."""
        if self.covariance_type == "full":
            outer: FloatArray = step[:, :, None] * step[:, None, :]
            about: FloatArray = second - count[:, None, None] * outer
            return about
        if self.covariance_type == "tied":
            between: FloatArray = (step * count[:, None]).T @ step
            tied: FloatArray = second - between
            return tied
        if self.covariance_type == "diag":
            per_column: FloatArray = second - count[:, None] * step**2
            return per_column
        spherical: FloatArray = second - count * (step**2).sum(axis=1)
        return spherical

    def _covariances(
        self,
        params: GaussianParams,
        scatter: FloatArray,
        n: FloatArray,
        count: FloatArray,
        alive: Any,
    ) -> FloatArray:
        old = params.covariances
        if self.covariance_type == "full":
            return self._floored(np.where(alive[:, None, None], scatter / n[:, None, None], old))
        if self.covariance_type == "tied":
            return self._floored(scatter / count.sum())
        if self.covariance_type == "diag":
            return self._floored(np.where(alive[:, None], scatter / n[:, None], old))
        D = params.means.shape[1]
        return self._floored(np.where(alive, scatter / (n * D), old))

    def _floored(self, covariances: FloatArray) -> FloatArray:
        """Return covariances made symmetric and raised by the floor."""
        S = covariances
        if self.covariance_type == "full":
            return self.floor.full(0.5 * (S + S.transpose(0, 2, 1)))
        if self.covariance_type == "tied":
            common: FloatArray = self.floor.full(0.5 * (S + S.T)[None])[0]
            return common
        return self.floor.diag(S) if self.covariance_type == "diag" else self.floor.spherical(S)

    def n_free(self, n_components: int, n_columns: int) -> int:
        """Return the number of free parameters of means and covariances."""
        K, D = n_components, n_columns
        triangle = D * (D + 1) // 2
        sizes = {"full": K * triangle, "tied": triangle, "diag": K * D, "spherical": K}
        return K * D + sizes[self.covariance_type]

    def dense(self, params: GaussianParams) -> FloatArray:
        """Return every component's covariance as a matrix, (K, D, D)."""
        K, D = params.means.shape
        S = params.covariances
        if self.covariance_type == "full":
            return S
        if self.covariance_type == "tied":
            return np.broadcast_to(S, (K, D, D)).copy()
        variances = S if self.covariance_type == "diag" else np.repeat(S[:, None], D, axis=1)
        matrices: FloatArray = variances[:, :, None] * np.eye(D)
        return matrices

    def sample(
        self, params: GaussianParams, labels: IntArray, rng: np.random.Generator
    ) -> FloatArray:
        """Return one draw (n, D), in the frame, for each label (n,)."""
        noise = rng.standard_normal((len(labels), params.means.shape[1]))
        lower = np.linalg.cholesky(self.dense(params))
        rows = np.empty_like(noise)
        for k in np.unique(labels):
            of_k = labels == k
            rows[of_k] = noise[of_k] @ lower[k].T + params.means[k]
        return rows

    def check(self, params: GaussianParams) -> tuple[str, ...]:
        """Return one sentence for every component whose covariance lies on the floor."""
        ratio = self.floor.touches(self.dense(params))
        return tuple(
            f"component {k} is flat: its smallest variance lies on the floor"
            for k in np.flatnonzero(ratio < 1.01)
        )

    def reorder(self, params: GaussianParams, order: IntArray) -> GaussianParams:
        """Return the components in another order."""
        S = params.covariances
        return GaussianParams(
            params.means[order], S if self.covariance_type == "tied" else S[order]
        )

    def zero_moments(self, n_components: int, n_columns: int) -> GaussianMoments:
        """Return the moments of no rows."""
        shape = second_shape(self.covariance_type, n_components, n_columns)
        return GaussianMoments(np.zeros((n_components, n_columns)), np.zeros(shape))


def empty_below(count: FloatArray) -> float:
    """Return the count below which a component is empty: 1e-8 of all rows, or 1e-8 of a row."""
    return 1e-8 * max(float(count.sum()), 1.0)
