"""The verdict on one pair of components, and its reasons in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gmm_dask.diagnostics.bayes_error import bayes_error, divergence
from gmm_dask.diagnostics.overlap import Closeness
from gmm_dask.diagnostics.pair import pair_of
from gmm_dask.diagnostics.pair_information import rows_for_separation
from gmm_dask.mixture import Mixture

NEGLIGIBLE = 0.01
"""Shape part of the Bhattacharyya distance below which only the separation tells a pair apart."""


@dataclass(frozen=True)
class ResolvedPair:
    """What is known about telling two components apart.

    Parameters
    ----------
    first, second : int
    mahalanobis : float
        Distance of the means in pooled standard deviations.
    coefficient : float
        Bhattacharyya coefficient: 0 no overlap, 1 the same.
    bayes_error, bayes_error_error : float
        Share of the pair's rows that even the best rule labels wrongly, and the standard error of
        that number (0 where it is exact).
    information : float
        Per row of the pair, on half the distance of the means in pooled standard deviations, with
        weights, centre and widths unknown; along Fisher's direction. Exact for equal covariances
        of type full, at least that for others; nan where other widths tell the pair apart, too.
    rows_for_separation : float
        Rows of the pair for which the distance is three standard errors; nan where other widths
        tell the pair apart, too.
    rows_to_tell : float
        Rows of the pair for which BIC is expected to keep two components.
    rows_present : float
        Rows of the data times the weights of both.
    loss, loss_error : float
        Log-likelihood lost on the data by merging the pair, moments kept and nothing fitted anew,
        with its standard error; nan where no data were given.
    loss_asked : float
        What BIC asks for the parameters of one component: a smaller loss speaks for merging.
    resolved : bool
    warning : str
        In plain words; empty where the pair is resolved.
    """

    first: int
    second: int
    mahalanobis: float
    coefficient: float
    bayes_error: float
    bayes_error_error: float
    information: float
    rows_for_separation: float
    rows_to_tell: float
    rows_present: float
    loss: float
    loss_error: float
    loss_asked: float
    resolved: bool
    warning: str

    @property
    def rows_needed(self) -> float:
        """Rows of the pair that all criteria together ask for."""
        needed = (self.rows_for_separation, self.rows_to_tell)
        return max(x for x in needed if not math.isnan(x))


def judge(
    mixture: Mixture,
    near: Closeness,
    numbers: tuple[int, int],
    n_rows: float,
    loss: tuple[float, float],
) -> ResolvedPair:
    """Return what is known about one pair.

    Parameters
    ----------
    mixture : Mixture
    near : Closeness
        Of all its pairs.
    numbers : (int, int)
    n_rows : float
        Of the data.
    loss : (float, float)
        Log-likelihood lost by merging, and its standard error; nan where it is not known.
    """
    j, k = numbers
    pair = pair_of(mixture, j, k)
    share = float(mixture.pooled[[j, k]].sum())
    family, K, D = mixture.family, mixture.n_components, mixture.n_columns
    extra = 1 + family.n_free(K, D) - family.n_free(K - 1, D)
    information, separation = math.nan, math.nan
    if near.shape[j, k] < NEGLIGIBLE:
        tied = family.covariance_type == "tied"
        information, separation = 0.0, math.inf
        if near.mahalanobis[j, k] > 0:
            line = pair.along(pair.discriminant())
            information, separation = rows_for_separation(line, tied)
    asked = 0.5 * extra * math.log(max(n_rows, 2.0))
    error, lost = bayes_error(pair), divergence(pair)
    tell = rows_to_tell(lost.value, extra, share)
    present = n_rows * share
    told = loss[0] > asked if math.isfinite(loss[0]) else present >= tell
    resolved = bool(told and not present < separation)
    found = ResolvedPair(
        j,
        k,
        float(near.mahalanobis[j, k]),
        float(near.coefficient[j, k]),
        error.value,
        error.error,
        information,
        separation,
        tell,
        present,
        *loss,
        asked,
        resolved,
        "",
    )
    return found if resolved else replace(found, warning=_warning(found, exact=lost.exact))


def rows_to_tell(divergence_per_row: float, n_parameters: int, share: float) -> float:
    """Return the rows of a pair for which BIC is expected to keep two components.

    Where ``n divergence = n_parameters / 2 log(n / share)``.

    Parameters
    ----------
    divergence_per_row : float
        Kullback-Leibler divergence from the pair to one Gaussian.
    n_parameters : int
        Of one component.
    share : float
        Weight of the pair among all rows.
    """
    if divergence_per_row <= 0:
        return math.inf
    found = 0.5 * n_parameters / divergence_per_row
    for _ in range(50):  # a contraction: the logarithm moves little
        found = 0.5 * n_parameters * math.log(max(found / share, math.e)) / divergence_per_row
    return found


def _warning(pair: ResolvedPair, *, exact: bool) -> str:
    """Return in plain words why a pair cannot be told apart, and what to do."""
    needed = pair.rows_needed
    at_most = "" if exact else "at most "
    rows = f"{at_most}{needed:.3g} are needed" if math.isfinite(needed) else "no number is enough"
    because = ""
    if math.isfinite(pair.loss):
        compared = "less" if pair.loss < pair.loss_asked else "more"
        because = (
            f" Merging them costs {pair.loss:.4g} of log-likelihood, {compared} than the "
            f"{pair.loss_asked:.4g} that BIC asks for one component more."
        )
    return (
        f"components {pair.first} and {pair.second} cannot be told apart with this many rows: "
        f"{pair.rows_present:.6g} rows lie in both, {rows}; even the best rule would label "
        f"{100 * pair.bayes_error:.3g} % of them wrongly.{because} Take both as one "
        f"(merge_components(model, {pair.first}, {pair.second})), or fit fewer components."
    )
