"""Starts: each ends with a mixture from which EM begins.

All work in a metric of the data (standardised or whitened), so that a start does not depend on
the units of the columns.

References
----------
Arthur and Vassilvitskii 2007, SODA (k-means++); Bahmani et al. 2012, Proc. VLDB 5:622
(k-means||).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.errors import DataError
from gmm_dask.fits.clustering import kmeans_centres
from gmm_dask.folds.assign import NearestCentre, RandomResp
from gmm_dask.folds.candidates import Candidates, Drawn
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels.types import EStepSums
from gmm_dask.laws.simple import Free
from gmm_dask.mixture import Mixture, m_step, reordered

ROUNDS = 5


@dataclass(frozen=True)
class FromCentres:
    """One M-step from the rows nearest to each centre.

    Parameters
    ----------
    template : Mixture
        Its means are the centres; its covariances stay with centres that get no rows.
    metric : (D, m)
    rows : RowShare, optional
    """

    template: Mixture
    metric: FloatArray
    rows: RowShare | None = None

    def ask(self) -> NearestCentre:
        """Return the question for hard moments."""
        return NearestCentre(self.template, self.metric, self.rows)

    def tell(self, answer: EStepSums) -> Mixture:
        """Return the mixture of the M-step."""
        return started(self.template, answer)


@dataclass(frozen=True)
class FromRandomResp:
    """One M-step from random responsibilities.

    Parameters
    ----------
    template : Mixture
    seed, restart : int
    rows : RowShare, optional
    """

    template: Mixture
    seed: int
    restart: int
    rows: RowShare | None = None

    def ask(self) -> RandomResp:
        """Return the question for random moments."""
        return RandomResp(self.template, self.seed, self.restart, self.rows)

    def tell(self, answer: EStepSums) -> Mixture:
        """Return the mixture of the M-step."""
        return started(self.template, answer)


@dataclass(frozen=True)
class KMeansParallel:
    """k-means||: rounds of draws over all rows, then weighted k-means of the candidates.

    Parameters
    ----------
    template : Mixture
        K components; means are replaced by the centres found.
    metric : (D, D)
        Invertible.
    centres : (m, D)
        Candidates so far, in the frame; one row at the beginning.
    seed, restart : int
    rows : RowShare, optional
    round : int
        Rounds of draws done; after the last one the candidates are counted.
    """

    template: Mixture
    metric: FloatArray
    centres: FloatArray
    seed: int
    restart: int
    rows: RowShare | None = None
    round: int = 0

    def ask(self) -> Candidates:
        """Return the next round."""
        K = self.template.n_components
        return Candidates(
            self.template.frame,
            self.centres,
            self.metric,
            max(2 * K, 8),
            self.seed,
            self.restart,
            self.round,
            self.rows,
        )

    def tell(self, answer: Drawn) -> KMeansParallel | FromCentres:
        """Return the next round, or the final start."""
        if self.round < ROUNDS:
            centres = np.concatenate([self.centres, answer.rows])
            return replace(self, centres=centres, round=self.round + 1)
        K = self.template.n_components
        seed = start_seed(self.seed, "k-means||", K, self.restart)
        points, weights = distinct(self.centres, answer.nearest)
        centres = kmeans_centres(points, weights, K, self.metric, seed)
        return FromCentres(with_means(self.template, centres), self.metric, self.rows)


Start = FromCentres | FromRandomResp | KMeansParallel


def started(template: Mixture, answer: EStepSums) -> Mixture:
    """Return the M-step of a start; components without a row keep a row's weight.

    A weight of zero would never recover; equal shares of one row do. Clusters become components
    in the order that the law of the weights asks for, with weights inside it.
    """
    mixture = m_step(replace(template, law=Free()), answer)
    try:
        mixture.family.validate(mixture.params)
    except DataError:  # without a floor: begin with the total covariance instead
        params = mixture.params._replace(covariances=template.params.covariances)
        mixture = replace(mixture, params=params)
    n = float(answer.n_rows)
    weights = np.maximum(mixture.weights, 1.0 / max(n, 1.0))
    mixture = replace(mixture, weights=weights / weights.sum(axis=1, keepdims=True))
    if template.law.ordered:
        clusters = answer.count.sum(axis=0), mixture.params.means
        mixture = reordered(mixture, template.law.arranged(*clusters))
    return replace(mixture, law=template.law, weights=template.law.project(mixture.weights))


def with_means(template: Mixture, means: FloatArray) -> Mixture:
    """Return the template with other means (K, D), in the frame."""
    return replace(template, params=template.params._replace(means=means))


def distinct(points: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distinct points with their summed weights, in a fixed order."""
    unique, inverse = np.unique(points, axis=0, return_inverse=True)
    summed = np.bincount(inverse.reshape(-1), weights, minlength=len(unique))
    return unique, summed.astype(np.float64)


def start_seed(seed: int, purpose: str, n_components: int, restart: int) -> int:
    """Return a 31-bit seed for one start, the same for every covariance type."""
    key = [seed, n_components, restart, *purpose.encode()]
    return int(np.random.SeedSequence(key).generate_state(1)[0] >> 1)


def choose_rows(sample: FloatArray, n_components: int, seed: int) -> FloatArray:
    """Return K rows (K, D) with distinct values from a sample.

    Raises
    ------
    DataError
        If the sample holds fewer distinct rows.
    """
    unique = np.unique(sample, axis=0)
    if len(unique) < n_components:
        raise DataError(
            f"{len(unique)} distinct rows among {len(sample)} drawn, {n_components} components "
            "asked for: lower n_components"
        )
    rng = np.random.default_rng(seed)
    rows: FloatArray = unique[rng.choice(len(unique), n_components, replace=False)]
    return rows
