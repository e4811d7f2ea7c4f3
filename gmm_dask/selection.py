"""Candidates, criteria and the choice among them.

References
----------
Schwarz 1978, Ann. Stat. 6:461 (BIC); Akaike 1974, IEEE TAC 19:716 (AIC); Biernacki, Celeux and
Govaert 2000, IEEE PAMI 22:719 (ICL); Breiman et al. 1984, CART, section 3.4.3 (one standard error).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.errors import ConfigError, DataError
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.restart import Restart
from gmm_dask.folds.compare import Comparison
from gmm_dask.folds.score import ScoreSums
from gmm_dask.mixture import Mixture, in_order

CRITERIA = ("bic", "aic", "icl", "held_out")
RULES = ("best", "one_standard_error")
# Restarts within this many tolerances (at least 1e-5) per row reached the same optimum.
AGREE_TOLERANCES, AGREE_AT_LEAST = 10.0, 1e-5


class RestartSummary(NamedTuple):
    """How one restart ended."""

    number: int
    """Position among the restarts of its K and covariance type."""
    init: str
    lower_bound: float
    """Log-likelihood per row of its last E-step."""
    n_iter: int
    outcome: str
    problems: tuple[str, ...]
    """Sentences about degenerate components."""


@dataclass(frozen=True)
class Candidate:
    """The best restart of one K and covariance type, and what is needed to rank it.

    Parameters
    ----------
    mixture : Mixture
        Components by descending weight, ties by mean.
    restarts : tuple of RestartSummary
        All restarts, the best first.
    lower_bounds : tuple of float
        Log-likelihood per row of each E-step of the best restart.
    score : ScoreSums
        Of the training rows, under `mixture`.
    tol : float
    held_out, held_out_error : float
        Log density per held-out row and its standard error; nan where no rows were held out.
    """

    mixture: Mixture
    restarts: tuple[RestartSummary, ...]
    lower_bounds: tuple[float, ...]
    score: ScoreSums
    tol: float
    held_out: float = math.nan
    held_out_error: float = math.nan

    @property
    def n_components(self) -> int:
        """K."""
        return self.mixture.n_components

    @property
    def covariance_type(self) -> str:
        """Name of the covariance type."""
        return self.mixture.family.covariance_type

    @property
    def n_rows(self) -> float:
        """Training rows."""
        return float(self.score.n_rows)

    @property
    def log_likelihood(self) -> float:
        """Sum over the training rows, natural log, source units."""
        return float(self.score.log_likelihood)

    @property
    def log_likelihood_per_row(self) -> float:
        """Mean over the training rows."""
        return self.log_likelihood / self.n_rows

    @property
    def n_parameters(self) -> int:
        """Free parameters."""
        return self.mixture.n_parameters

    @property
    def bic(self) -> float:
        """-2 log L + p log N: smaller is better."""
        return -2 * self.log_likelihood + self.n_parameters * math.log(self.n_rows)

    @property
    def aic(self) -> float:
        """-2 log L + 2 p: smaller is better."""
        return -2 * self.log_likelihood + 2 * self.n_parameters

    @property
    def icl(self) -> float:
        """Soft ICL, BIC plus twice the classification entropy: smaller is better."""
        return self.bic + 2 * float(self.score.entropy)

    @property
    def icl_map(self) -> float:
        """ICL with hard labels as in mclust (there with the opposite sign)."""
        return self.bic - 2 * float(self.score.map_log)

    @property
    def best(self) -> RestartSummary:
        """The restart whose mixture this is."""
        return self.restarts[0]

    @property
    def converged(self) -> bool:
        """Whether the best restart met the tolerance."""
        return self.best.outcome == Outcome.CONVERGED.name

    @property
    def degenerate(self) -> bool:
        """Whether even the best restart has a degenerate component: never ranked."""
        return bool(self.best.problems) or self.best.outcome == Outcome.DEGENERATE.name

    @property
    def starts_agree(self) -> int:
        """Number of restarts that reached the optimum of the best one."""
        near = max(AGREE_TOLERANCES * self.tol, AGREE_AT_LEAST)
        top = self.best.lower_bound
        return sum(abs(restart.lower_bound - top) <= near for restart in self.restarts)

    @property
    def ambiguous(self) -> float:
        """Share of the training rows whose largest responsibility is below 0.9."""
        return float(self.score.ambiguous) / self.n_rows


def summarise(restart: Restart) -> RestartSummary:
    """Return how a restart ended."""
    assert restart.em is not None
    outcome = restart.em.outcome
    return RestartSummary(
        restart.index,
        restart.init,
        restart.lower_bound,
        restart.em.n_iter,
        outcome.name if outcome else "RUNNING",
        problems_of(restart.em.mixture),
    )


def problems_of(mixture: Mixture) -> tuple[str, ...]:
    """Return sentences about flat and empty components."""
    weights = mixture.weights.mean(axis=0)
    empty = tuple(f"component {k} is empty" for k in np.flatnonzero(weights < 1e-8))
    try:
        return mixture.family.check(mixture.params) + empty + _twins(mixture)
    except np.linalg.LinAlgError:
        return ("a covariance is not finite",)


def _twins(mixture: Mixture) -> tuple[str, ...]:
    """Return a sentence for each component that equals an earlier one: EM cannot part them."""
    means, dense = mixture.params.means, mixture.family.dense(mixture.params)
    size = np.sqrt(np.diagonal(dense, axis1=1, axis2=2))
    unit = size[:, :, None] * size[:, None, :]
    found = []
    for k in range(1, len(means)):
        apart = np.abs((means[:k] - means[k]) / size[k]).max(axis=1)
        shape = np.abs((dense[:k] - dense[k]) / unit[k]).max(axis=(1, 2))
        found += [
            f"components {j} and {k} are identical: begin with means that differ"
            for j in np.flatnonzero(np.maximum(apart, shape) < 1e-10)[:1]
        ]
    return tuple(found)


def best_restarts(
    fits: Sequence[Restart],
) -> tuple[tuple[Restart, tuple[RestartSummary, ...]], ...]:
    """Return for each K and covariance type the best restart and the summaries, best first.

    A degenerate restart loses against any sound one, however high its likelihood.
    """
    groups: dict[tuple[str, int], list[Restart]] = {}
    for fit in fits:
        if fit.em is not None and fit.em.lower_bounds:
            groups.setdefault((fit.covariance_type, fit.n_components), []).append(fit)
    if not groups:
        raise DataError("no restart finished its start: nothing to choose from")
    return tuple(_ranked(group) for group in groups.values())


def _ranked(group: list[Restart]) -> tuple[Restart, tuple[RestartSummary, ...]]:
    pairs = [(summarise(fit), fit) for fit in group]

    def key(pair: tuple[RestartSummary, Restart]) -> tuple[bool, float, int]:
        summary = pair[0]
        broken = bool(summary.problems) or summary.outcome == Outcome.DEGENERATE.name
        return broken, -summary.lower_bound, summary.number

    pairs.sort(key=key)
    return pairs[0][1], tuple(summary for summary, _ in pairs)


def ordered_mixture(restart: Restart) -> Mixture:
    """Return the restart's mixture with components in the documented order."""
    assert restart.em is not None
    return in_order(restart.em.mixture)


def check_rule(criterion: str, rule: str) -> None:
    """Raise ConfigError for an unknown criterion or rule, or one that has no standard error."""
    if criterion not in CRITERIA or rule not in RULES:
        raise ConfigError(
            f"criterion {criterion!r} and rule {rule!r}; needed are one of {', '.join(CRITERIA)} "
            f"and one of {', '.join(RULES)}"
        )
    if rule == "one_standard_error" and criterion != "held_out":
        raise ConfigError(
            f"select.rule one_standard_error needs select.criterion held_out, not {criterion}: "
            f"{criterion} has no standard error"
        )


def choose(
    candidates: Sequence[Candidate],
    criterion: str = "bic",
    rule: str = "best",
    comparison: Comparison | None = None,
) -> int:
    """Return the position of the chosen candidate.

    Parameters
    ----------
    candidates : sequence of Candidate
        Degenerate ones are chosen only if there is no other.
    criterion : {"bic", "aic", "icl", "held_out"}
    rule : {"best", "one_standard_error"}
        The second, for held_out only: the fewest parameters whose held-out log density is within
        one paired standard error of the best.
    comparison : Comparison, optional
        Needed for held_out; in the order of `candidates`.
    """
    check_rule(criterion, rule)
    sound = [i for i, c in enumerate(candidates) if not c.degenerate]
    eligible = sound or list(range(len(candidates)))
    sign = -1.0 if criterion == "held_out" else 1.0
    best = min(eligible, key=lambda i: sign * float(getattr(candidates[i], criterion)))
    if rule == "best":
        return best
    assert comparison is not None
    deficit = comparison.mean[best] - comparison.mean
    near = [i for i in eligible if deficit[i] <= comparison.paired_error(best)[i]]
    return min(near, key=lambda i: (candidates[i].n_parameters, deficit[i]))
