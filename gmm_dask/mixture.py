"""`Mixture`: a frozen value of family, parameters, weights and frame, and its M-step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from gmm_dask import tree
from gmm_dask.blocks import FloatArray, Frame, IntArray
from gmm_dask.errors import ConfigError
from gmm_dask.families.base import Family, Params
from gmm_dask.families.held import HeldGaussian
from gmm_dask.kernels import table
from gmm_dask.kernels.types import EStepSums, GaussianPrepared
from gmm_dask.laws.base import WeightLaw
from gmm_dask.laws.simple import Free


class Prepared(NamedTuple):
    """Constants of a mixture for one pass."""

    family: GaussianPrepared
    log_weights: FloatArray
    """(G, K)."""
    log_scale: float
    """Log volume of the frame: log densities in the frame minus this are those of the source."""
    ready: table.Ready
    """Constants of the kernel."""


@dataclass(frozen=True)
class Mixture:
    """A mixture: a value that never changes.

    Parameters
    ----------
    family : Family
        `Gaussian`; or one that is compound: `Product`, `WithBackground`.
    params : GaussianParams or ProductParams
        In the frame.
    weights : (G, K) float64
        Rows sum to one (of an open law, to less); G groups of rows, 1 as a rule.
    frame : Frame
    law : WeightLaw
    group_share : (G,) float64, optional
        Of all rows; None before they were counted, and where there is one group.
    temperature : float
        Of the E-steps of a fit: 1 soft, 0 hard (classification EM), between by tempered
        responsibilities; see `kernels.annealed`. Densities and labels do not depend on it.
    """

    family: Family
    params: Params
    weights: FloatArray
    frame: Frame
    law: WeightLaw = field(default_factory=Free)
    group_share: FloatArray | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 1:
            raise ConfigError(f"temperature is {self.temperature}; 0 (hard) to 1 (soft) is needed")

    @property
    def n_components(self) -> int:
        """K, a background counted as one."""
        return int(self.weights.shape[1])

    @property
    def n_columns(self) -> int:
        """D."""
        return int(self.params.means.shape[1])

    @property
    def shares(self) -> FloatArray:
        """Each group's share of the rows, (G,)."""
        G = len(self.weights)
        return np.full(G, 1.0 / G) if self.group_share is None else self.group_share

    @property
    def pooled(self) -> FloatArray:
        """Weights of all rows together, (K,)."""
        return self.weights[0] if len(self.weights) == 1 else self.shares @ self.weights

    @property
    def n_parameters(self) -> int:
        """Free parameters: weights, means and covariances."""
        of_family = self.family.n_free(self.n_components, self.n_columns)
        return of_family + len(self.weights) * self.law.n_free(self.n_components)

    @property
    def kept(self) -> tuple[int, ...]:
        """Components with something held, or shared with others, which keep their place."""
        return tuple(sorted({*self.family.kept, *self.law.kept}))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of every parameter's bits."""
        return tree.fingerprint(self)

    @property
    def kernel(self) -> str:
        """The generated code that measures rows under these parameters, for records."""
        prepared = self.family.prepare(self.params, self.frame)
        return table.describe(prepared) if prepared.means.shape[1] else "angles alone"

    def prepare(self, compute_dtype: str = "float64") -> Prepared:
        """Return factorisations and log weights, once per pass and process.

        Rows are measured under the pooled weights; those of groups are for the `Observer`.

        Raises
        ------
        ConfigError
            The parameters lie too far apart for float32.
        """
        with np.errstate(divide="ignore"):
            log_weights, pooled = np.log(self.weights), np.log(self.pooled)
        family = self.family.prepare(self.params, self.frame)
        ready = table.ready(family, pooled, compute_dtype=compute_dtype)
        return Prepared(family, log_weights, self.frame.log_scale, ready)

    @property
    def means(self) -> FloatArray:
        """Means (K, D) in source units."""
        means = self.frame.backward(self.params.means)
        return self.family.reported(means) if isinstance(self.family, HeldGaussian) else means

    @property
    def covariances(self) -> FloatArray:
        """Covariances in source units, in scikit-learn's shape for the covariance type.

        Of the columns that are not angles.
        """
        scale = self.frame.scale[lines_of(self.family, self.n_columns)]
        return rescale(self.params.covariances, scale, self.family.covariance_type)

    @property
    def dense_covariances(self) -> FloatArray:
        """Covariance matrices (K, D, D) in source units, whatever the covariance type."""
        return rescale(self.family.dense(self.params), self.frame.scale, "full")


def lines_of(family: Family, n_columns: int) -> IntArray:
    """Return the positions of the columns that are not angles."""
    angles = getattr(family, "angles", ())
    return np.setdiff1d(np.arange(n_columns), np.asarray(angles, dtype=np.int64))


def rescale(covariances: FloatArray, scale: FloatArray, covariance_type: str) -> FloatArray:
    """Return covariances from the frame in source units.

    Spherical variances need one scale for all columns; see `Frame.shared`.
    """
    if covariance_type in ("full", "tied"):
        rows, columns = scale[:, None], scale
    elif covariance_type == "diag":
        rows = columns = scale
    else:
        rows = columns = scale[:1].max(initial=0.0)  # none where all columns are angles
    with np.errstate(over="ignore", under="ignore"):  # units whose squares float64 cannot hold
        result: FloatArray = covariances * rows * columns
    return result


def m_step(mixture: Mixture, sums: EStepSums) -> Mixture:
    """Return the mixture that maximises the expected log-likelihood of `sums`.

    Parameters
    ----------
    mixture : Mixture
        The one that asked: moments are about its means.
    sums : EStepSums
    """
    params = mixture.family.maximize(mixture.params, sums.count.sum(axis=0), sums.moments)
    weights = mixture.law.weights(sums.count)
    return replace(mixture, params=params, weights=weights, group_share=shares_of(sums.count))


def shares_of(count: FloatArray) -> FloatArray | None:
    """Return each group's share (G,) of counts (G, K); None for one group."""
    total = count.sum(axis=1)
    return total / total.sum() if len(total) > 1 else None


def with_groups(mixture: Mixture, n_groups: int) -> Mixture:
    """Return the mixture with the same weights in each of some groups, if it knows of one only."""
    if len(mixture.weights) > 1 or n_groups <= 1:
        return mixture
    return replace(mixture, weights=np.repeat(mixture.weights, n_groups, axis=0))


def log_prior(mixture: Mixture) -> float:
    """Return the log prior density of parameters and weights; 0 without priors."""
    return mixture.family.log_prior(mixture.params) + mixture.law.log_prior(mixture.weights)


def objective(mixture: Mixture, sums: EStepSums) -> float:
    """Return per row what EM maximises: the log-likelihood, plus the log prior if there is one.

    Parameters
    ----------
    mixture : Mixture
        The one that asked.
    sums : EStepSums
        Finished: log-likelihood in source units.
    """
    return (float(sums.log_likelihood) + log_prior(mixture)) / float(sums.n_rows)


def in_order(mixture: Mixture) -> Mixture:
    """Return the components by descending weight, ties by mean (first column first).

    Where the law gives them a meaning by number, they keep it. Those with something held keep
    their place, and the others take the places between. A background stays last.
    """
    if mixture.law.ordered:
        return mixture
    K = len(mixture.params.means)
    keys = [*reversed(mixture.params.means.T), -mixture.pooled[:K]]
    order = np.lexsort(keys)
    if kept := mixture.kept:
        others = [k for k in order if k not in kept]
        order = np.arange(len(order))
        order[~np.isin(order, kept)] = others
    return reordered(mixture, order)


def reordered(mixture: Mixture, order: IntArray) -> Mixture:
    """Return the components in another order (K,), a background last wherever it stands in it."""
    K = len(mixture.params.means)
    order, behind = order[order < K], np.arange(K, mixture.n_components)
    return replace(
        mixture,
        params=mixture.family.reorder(mixture.params, order),
        weights=mixture.weights[:, np.append(order, behind)],
    )
