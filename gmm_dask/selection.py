"""Candidates, criteria and the choice among them.

References
----------
Schwarz 1978, Ann. Stat. 6:461 (BIC); Akaike 1974, IEEE TAC 19:716 (AIC); Biernacki, Celeux and
Govaert 2000, IEEE PAMI 22:719 (ICL); Breiman et al. 1984, CART, section 3.4.3 (one standard error).
Stability: see `stability`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gmm_dask.criteria import check_rule
from gmm_dask.errors import DataError
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.restart import Restart
from gmm_dask.folds.compare import Comparison
from gmm_dask.folds.score import ScoreSums
from gmm_dask.mixture import Mixture, in_order
from gmm_dask.stability import NOT_COMPARED, Agreement, Group, most_stable
from gmm_dask.summaries import RestartSummary, summarise

# Restarts within this many tolerances (at least 1e-5) per row reached the same optimum.
AGREE_TOLERANCES, AGREE_AT_LEAST = 10.0, 1e-5
AGREE_WHEN_DROPPED = 1e-4  # both were on their way still


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
    agreement : Agreement
        How the labels hold; nan where they were not compared.
    """

    mixture: Mixture
    restarts: tuple[RestartSummary, ...]
    lower_bounds: tuple[float, ...]
    score: ScoreSums
    tol: float
    held_out: float = math.nan
    held_out_error: float = math.nan
    agreement: Agreement = NOT_COMPARED

    @property
    def n_components(self) -> int:
        """K, without a background."""
        return len(self.mixture.params.means)

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
    def stability(self) -> float:
        """Mean adjusted Rand index of the best restart with the others: larger is better."""
        return self.agreement.restarts

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
        return self.best.degenerate

    @property
    def starts_agree(self) -> int:
        """Number of restarts that reached the optimum of the best one.

        Of those that were given up, the ones that stood beside it then.
        """
        near = max(AGREE_TOLERANCES * self.tol, AGREE_AT_LEAST)
        top, (best, *others) = self.best.lower_bound, self.restarts

        def agrees(other: RestartSummary) -> bool:
            if other.given_up is None:
                return not other.dropped and abs(other.lower_bound - top) <= near
            beside = abs(other.given_up.behind) <= max(near, AGREE_WHEN_DROPPED)
            return beside and other.given_up.leader == best.number

        return 1 + sum(agrees(other) for other in others)

    @property
    def ambiguous(self) -> float:
        """Share of the training rows whose largest responsibility is below 0.9."""
        return float(self.score.ambiguous) / self.n_rows


_Ended = tuple[RestartSummary, Restart]


def best_restarts(
    fits: Sequence[Restart],
) -> tuple[tuple[Restart, tuple[RestartSummary, ...]], ...]:
    """Return for each K and covariance type the best restart and the summaries, best first.

    A degenerate restart loses against any sound one, however high its likelihood, and one that
    was dropped against any that was not: its likelihood may be that of a sample.
    """
    return tuple(
        (group[0][1], tuple(summary for summary, _ in group)) for group in _ranked_groups(fits)
    )


def labellings(fits: Sequence[Restart]) -> tuple[Group, ...]:
    """Return for each candidate, in the order of `best_restarts`, what its labels come from.

    Restarts that are degenerate or were dropped are left out: their labels are not those of an
    optimum.
    """
    groups = []
    for ranked in _ranked_groups(fits):
        _, best = ranked[0]
        sound = [fit for summary, fit in ranked if not summary.degenerate and not summary.dropped]
        in_turn = sound[:1] + sorted(sound[1:], key=lambda fit: fit.index)
        mixtures = tuple(fit.template for fit in in_turn)
        groups.append(Group(best.covariance_type, best.n_components, mixtures))
    return tuple(groups)


def _ranked_groups(fits: Sequence[Restart]) -> tuple[list[_Ended], ...]:
    groups: dict[tuple[str, int], list[_Ended]] = {}
    for fit in fits:
        if fit.em is not None and fit.em.lower_bounds:
            key = (fit.covariance_type, fit.n_components)
            groups.setdefault(key, []).append((summarise(fit), fit))
    if not groups:
        raise DataError("no restart finished its start: nothing to choose from")
    return tuple(sorted(group, key=_worse) for group in groups.values())


def _worse(pair: _Ended) -> tuple[bool, bool, float, int]:
    summary = pair[0]
    return summary.degenerate, summary.dropped, -summary.lower_bound, summary.number


def ordered_mixture(restart: Restart) -> Mixture:
    """Return the restart's mixture with components in the documented order."""
    assert restart.em is not None
    return in_order(restart.em.mixture)


def choose(
    candidates: Sequence[Candidate],
    criterion: str = "bic",
    rule: str = "best",
    comparison: Comparison | None = None,
) -> int:
    """Return the position of the chosen candidate.

    Degenerate candidates are never ranked: if there is no other, the one of the fewest parameters
    is chosen.

    Stability is the mean adjusted Rand index of a candidate's best restart with its others. Those
    within `stability.SAME` of the largest are equally stable, and of them the smallest BIC is
    chosen. For too few components may be as stable as the right number (two of three clusters
    lie together), and so may too many when all restarts split a cluster alike by accident: BIC
    takes the finest of nested groupings of clear clusters (as Ben-Hur et al. 2002), and a split
    only where it explains the rows. K = 1 and candidates without a second restart have no
    stability and are not chosen. Neighbouring K do not rank: splitting one of many clusters
    changes few labels, so they favour large K.

    Parameters
    ----------
    candidates : sequence of Candidate
    criterion : {"bic", "aic", "icl", "icl_map", "held_out", "stability"}
    rule : {"best", "one_standard_error"}
        The second, for held_out only: the fewest parameters whose held-out log density is within
        one paired standard error of the best.
    comparison : Comparison, optional
        Needed for held_out; in the order of `candidates`.

    Raises
    ------
    ConfigError, DataError
        DataError where no candidate has a stability.
    """
    check_rule(criterion, rule)
    sound = [i for i, c in enumerate(candidates) if not c.degenerate]
    if not sound:
        return min(range(len(candidates)), key=lambda i: candidates[i].n_parameters)
    if criterion == "stability":
        sound = [sound[i] for i in most_stable([candidates[i].stability for i in sound])]
        criterion = "bic"
    best = min(sound, key=lambda i: _size(candidates[i], criterion))
    if rule == "best":
        return best
    assert comparison is not None
    deficit = comparison.mean[best] - comparison.mean
    near = [i for i in sound if deficit[i] <= comparison.paired_error(best)[i]]
    return min(near, key=lambda i: (candidates[i].n_parameters, deficit[i]))


def _size(candidate: Candidate, criterion: str) -> tuple[bool, float]:
    """Return a key that is smaller for better candidates, nan the worst of all."""
    value = float(getattr(candidate, criterion))
    return math.isnan(value), -value if criterion == "held_out" else value
