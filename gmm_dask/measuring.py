"""Who measures the rows of a mixture: Gaussians alone, angles beside them, a background behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gmm_dask.blocks import FloatArray, Observed
from gmm_dask.families.background import WithBackground
from gmm_dask.families.product import Product
from gmm_dask.kernels.types import EStepSums
from gmm_dask.mixture import Mixture
from gmm_dask.observed import Observer
from gmm_dask.observed_angles import ProductObserver, TiledObserver, by_group


def observer_of(mixture: Mixture) -> Observer:
    """Return what measures rows of any kind under a mixture of any family."""
    if isinstance(mixture.family, WithBackground):
        return BackgroundObserver(mixture, mixture.family)
    if isinstance(mixture.family, Product):
        return ProductObserver(mixture, mixture.family)
    return Observer(mixture)


class BackgroundObserver(TiledObserver):
    """Measures rows before a uniform background.

    The background takes its share of each row, and the components behind it see the rows with
    what is left as their weights; so whatever rows they can take has a background as well.

    Parameters
    ----------
    mixture : Mixture
    family : WithBackground
        Its family.
    """

    def __init__(self, mixture: Mixture, family: WithBackground) -> None:
        super().__init__(mixture)
        self.family = family
        self.inner = observer_of(
            replace(mixture, family=family.inner, weights=mixture.weights[:, :-1])
        )

    def _tile(self, rows: Observed) -> EStepSums:
        log_norm, of_inner, of_background, _ = self._shares(rows)
        weight = np.ones(len(log_norm)) if rows.sample_weight is None else rows.sample_weight
        sums = self.inner.e_step(rows._replace(sample_weight=weight * of_inner))
        n = float(weight.sum())
        likelihood = float(weight @ log_norm) + n * self.mixture.frame.log_scale
        behind = (weight * of_background)[:, None]
        of_groups = by_group(behind, rows.group, len(self.mixture.weights))
        count = np.append(sums.count, of_groups, axis=1)
        return sums._replace(
            log_likelihood=np.asarray(likelihood), n_rows=np.asarray(n), count=count
        )

    def posterior(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return log densities (n,) in source units, and responsibilities (n, K).

        As `Observer.posterior`; the last component is the background.
        """
        log_norm, of_inner, of_background, resp = self._shares(rows)
        both = np.concatenate([resp * of_inner[:, None], of_background[:, None]], axis=1)
        blank = np.isnan(rows.values).all(axis=1)
        both[blank], log_norm[blank] = self._weights(rows)[blank], 0.0
        return log_norm, both

    def true_values(self, rows: Observed) -> tuple[FloatArray, FloatArray]:
        """Return posterior means and covariances, as `Observer.true_values`.

        Where a row is of the background, each true value lies in the box, normal about what was
        observed and cut off at the edges; uniform where nothing was.
        """
        of_inner = self.mixture.weights[:, :-1]
        total = np.maximum(of_inner.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        alone = replace(self.mixture, family=self.family.inner, weights=of_inner / total)
        mean, covariance = observer_of(alone).true_values(rows)
        share = self.posterior(rows)[1][:, -1, None]
        behind, spread = self.family.true_values(rows)
        away = behind - mean
        apart = (share * (1.0 - share))[:, :, None] * away[:, :, None] * away[:, None, :]
        covariance = (1.0 - share)[:, :, None] * covariance + apart
        diagonal = np.arange(mean.shape[1])
        covariance[:, diagonal, diagonal] += share * spread
        return mean + share * away, covariance

    def _shares(self, rows: Observed) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return log densities, the shares of components and background, and responsibilities."""
        inside, resp = self.inner.posterior(rows)
        with np.errstate(divide="ignore"):
            behind = np.log(self._weights(rows)[:, -1]) + self.family.log_density(rows)
        log_norm = np.logaddexp(inside, behind)
        return log_norm, np.exp(inside - log_norm), np.exp(behind - log_norm), resp
