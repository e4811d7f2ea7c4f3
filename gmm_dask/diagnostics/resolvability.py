"""Which pairs of components can be told apart, and with how many rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.asking import check_plain, fitted, opened
from gmm_dask.diagnostics.intervals import plain
from gmm_dask.diagnostics.judged import ResolvedPair, judge
from gmm_dask.diagnostics.merging import merged_pair
from gmm_dask.diagnostics.overlap import Closeness, closeness
from gmm_dask.errors import ConfigError
from gmm_dask.folds.compare import Compare, Comparison
from gmm_dask.folds.rows import RowShare
from gmm_dask.mixture import Mixture

MOST_PAIRS = 100
"""Pairs, by overlap, that are looked at closely."""
MOST_MERGED = 20
"""Pairs, by overlap, whose merging is tried on the rows: each costs an E-step of all rows."""


@dataclass(frozen=True)
class Resolvability:
    """All pairs of a mixture.

    Parameters
    ----------
    n_rows : float
    mahalanobis, coefficient, shape : (K, K)
        See `diagnostics.overlap.Closeness`.
    pairs : tuple of ResolvedPair
        The pairs that overlap most, the nearest first.
    left_out : int
        Pairs beyond these; each overlaps less than any of them.
    """

    n_rows: float
    mahalanobis: FloatArray
    coefficient: FloatArray
    shape: FloatArray
    pairs: tuple[ResolvedPair, ...]
    left_out: int

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence or two for each pair that cannot be told apart."""
        return tuple(pair.warning for pair in self.pairs if not pair.resolved)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it; None for what is not finite."""
        return {
            "n_rows": self.n_rows,
            "mahalanobis": plain(self.mahalanobis),
            "coefficient": plain(self.coefficient),
            "shape": plain(self.shape),
            "pairs": [
                {name: plain(value) for name, value in vars(pair).items()}
                | {"rows_needed": plain(pair.rows_needed)}
                for pair in self.pairs
            ],
            "left_out": self.left_out,
            "warnings": list(self.warnings),
        }


def resolvability(
    model: Any,
    n_rows: float | None = None,
    X: Any = None,
    *,
    sample_weight: Any = None,
    noise: Any = None,
) -> Resolvability:
    """Return which pairs of components can be told apart with this many rows.

    From the parameters alone, but for the likelihood lost by merging, which needs the rows: one
    pass. With noise or missing values the numbers from the parameters are those of exact, complete
    rows: more rows are needed than they say.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    n_rows : float, optional
        Rows, or their total weight; those of X or of the fit by default.
    X, sample_weight, noise : optional
        Rows on which merging is tried; see `GaussianMixture.fit`.

    Raises
    ------
    ConfigError
        The number of rows is not known (a model that was loaded): give `n_rows` or X.

    References
    ----------
    Bhattacharyya 1943, Bull. Calcutta Math. Soc. 35:99; Schwarz 1978, Ann. Stat. 6:461 (BIC); Chen
    1995, Ann. Stat. 23:221 (how slowly nearly equal components come apart).
    """
    found = fitted(model)
    mixture: Mixture = found.mixture_
    check_plain(mixture, "resolvability")
    compared = None
    if X is not None:
        about = float(getattr(found, "lower_bound_", 0.0))
        with opened(found, X, sample_weight, noise) as data:
            compared = data.ask(merging_fold(mixture, about, data.rows), mixture)
    if n_rows is None:
        n_rows = compared.n_rows if compared is not None else _rows_of_fit(found)
    return resolvability_from(mixture, n_rows, compared)


def _rows_of_fit(model: Any) -> float:
    candidate = getattr(model, "candidate_", None)
    if candidate is None:
        raise ConfigError(
            "the number of rows is not known: this model was not fitted here; give n_rows, or X"
        )
    return float(candidate.n_rows)


def merging_fold(mixture: Mixture, about: float, rows: RowShare | None = None) -> Compare:
    """Return the question how likely rows are under a mixture, and with each near pair merged.

    Parameters
    ----------
    mixture : Mixture
    about : float
        A log density near the mean, source units.
    rows : RowShare, optional
    """
    near = nearest_pairs(mixture, closeness_of(mixture))[:MOST_MERGED]
    merged = [merged_pair(mixture, j, k) for j, k in near]
    return Compare((mixture, *merged), (about,) * (1 + len(merged)), rows)


def closeness_of(mixture: Mixture) -> Closeness:
    """Return how near all pairs of a mixture are."""
    return closeness(mixture.params.means, mixture.family.dense(mixture.params))


def nearest_pairs(mixture: Mixture, near: Closeness) -> list[tuple[int, int]]:
    """Return the pairs that overlap most, the nearest first; of components with any weight."""
    weights = mixture.pooled
    j, k = np.triu_indices(mixture.n_components, 1)
    alive = (weights[j] > 0) & (weights[k] > 0)
    j, k = j[alive], k[alive]
    order = np.argsort(-near.coefficient[j, k], kind="stable")[:MOST_PAIRS]
    return [(int(j[i]), int(k[i])) for i in order]


def resolvability_from(
    mixture: Mixture, n_rows: float, compared: Comparison | None = None
) -> Resolvability:
    """Return the same as `resolvability`, from a mixture and the answer of `merging_fold`.

    Parameters
    ----------
    mixture : Mixture
    n_rows : float
    compared : Comparison, optional
    """
    if not n_rows > 0:
        raise ConfigError(f"n_rows is {n_rows}; a positive number is needed")
    near = closeness_of(mixture)
    nearest = nearest_pairs(mixture, near)
    losses = _losses(compared, len(nearest))
    judged = tuple(
        judge(mixture, near, pair, n_rows, loss) for pair, loss in zip(nearest, losses, strict=True)
    )
    K = mixture.n_components
    left_out = K * (K - 1) // 2 - len(judged)
    return Resolvability(
        float(n_rows), near.mahalanobis, near.coefficient, near.shape, judged, left_out
    )


def _losses(compared: Comparison | None, n_pairs: int) -> list[tuple[float, float]]:
    """Return the log-likelihood lost by merging each pair, with its standard error."""
    unknown = [(math.nan, math.nan)] * n_pairs
    if compared is None:
        return unknown
    lost = compared.n_rows * (compared.mean[0] - compared.mean[1:])
    spread = compared.n_rows * compared.paired_error(0)[1:]
    known = [(float(a), float(b)) for a, b in zip(lost, spread, strict=True)]
    return known + unknown[len(known) :]
