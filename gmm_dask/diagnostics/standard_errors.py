"""Standard errors and intervals of a fitted mixture, in one pass over its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.asking import check_plain, fitted, opened
from gmm_dask.diagnostics.delta import errors_of
from gmm_dask.diagnostics.intervals import (
    Estimates,
    covariance_intervals,
    on_fisher,
    on_log,
    on_logit,
    plain,
    symmetric,
)
from gmm_dask.diagnostics.inverse import METHODS, inverse
from gmm_dask.errors import ConfigError
from gmm_dask.folds.information import Information, Informed, Layout
from gmm_dask.mixture import Mixture

MOST_PARAMETERS = 2000
"""The sums of a block are a matrix of that square: 32 MB."""
NEAR = 0.1
"""Standard errors from the optimum within which a fit has arrived."""
WHAT_A_WEIGHT_IS = (
    "A weight is the estimated share of the population that a component describes: the mean "
    "responsibility of the rows. It is not the height of a peak, nor the width of a component (a "
    "narrow one can be high and light), nor the share of rows that a label was given to. With row "
    "weights it is a share of weight; with errors of rows, of the population before the errors. "
    "Intervals answer for random rows of one population; where the sizes of groups were chosen by "
    "design, only the part that comes from overlap is error (weights_by_design)."
)


@dataclass(frozen=True)
class StandardErrors:
    """Estimates of a mixture with standard errors and intervals, source units.

    All numbers are nan where ``problems`` says that there are none.

    Parameters
    ----------
    method : {"hessian", "opg", "sandwich"}
    level : float
        Of the intervals.
    n_rows : float
        Sum of the row weights.
    n_parameters : int
    covariance_type : str
    columns : tuple of str
        Names, empty where there are none.
    weights : Estimates (K,)
        Intervals on the logit scale.
    weights_by_design : (K,)
        Standard errors of the weights where the sizes of the groups were fixed beforehand: the
        part that comes from overlap.
    log_weight_ratios : Estimates (K, K)
        log(w_i / w_j); equal weights are 0.
    means : Estimates (K, D)
    covariances : Estimates (K, D, D)
        Matrices whatever the covariance type; variances on the log scale.
    widths : Estimates (K, D)
        Standard deviations by column, on the log scale; with noise, of the true values.
    correlations : Estimates (K, D, D)
        On Fisher's scale; of types without correlations, the unit matrix.
    lost : float
        Largest share of the information, over all directions, that rows lose by not knowing their
        components; the slowest rate of EM.
    lost_of_weights : (K,)
        The same of each weight: 1 - w (1 - w) / (N error^2).
    from_optimum : float
        Distance of the fit from the top of the likelihood, in standard errors.
    problems : tuple of str
        What the reader must know, in words.

    References
    ----------
    Louis 1982, J. R. Stat. Soc. B 44:226; Boldea and Magnus 2009, J. Am. Stat. Assoc. 104:1539;
    White 1982, Econometrica 50:1 (sandwich).
    """

    method: str
    level: float
    n_rows: float
    n_parameters: int
    covariance_type: str
    columns: tuple[str, ...]
    weights: Estimates
    weights_by_design: FloatArray
    log_weight_ratios: Estimates
    means: Estimates
    covariances: Estimates
    widths: Estimates
    correlations: Estimates
    lost: float
    lost_of_weights: FloatArray
    from_optimum: float
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it, with the text that says what a weight is."""
        found = {
            name: value.to_dict() if isinstance(value, Estimates) else plain(value)
            for name, value in vars(self).items()
        }
        return {
            **found,
            "columns": list(self.columns),
            "problems": list(self.problems),
            "what_a_weight_is": WHAT_A_WEIGHT_IS,
        }


def standard_errors(
    model: Any,
    X: Any,
    *,
    sample_weight: Any = None,
    noise: Any = None,
    method: str = "hessian",
    level: float = 0.95,
) -> StandardErrors:
    """Return standard errors and intervals of a fitted model, in one pass over its rows.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X, sample_weight, noise
        The rows of the fit; see `GaussianMixture.fit`. A row of weight 2 is two rows.
    method : {"hessian", "opg", "sandwich"}
        The exact Hessian of the log-likelihood; products of scores, which need no second
        derivatives; or both, which holds where components are not quite Gaussian.
    level : float
        Of the intervals.

    Raises
    ------
    ConfigError
        An unknown method, a level outside (0, 1), more than 2000 parameters, or a model whose
        weights follow a law.
    DataError
        The rows cannot be used as they are.
    """
    found = fitted(model)
    check_question(found.mixture_, method, level)
    mixture = found.mixture_
    with opened(found, X, sample_weight, noise) as data:
        answer = data.ask(Information(mixture, data.rows), mixture)
    return errors_from(mixture, answer, method, level, found._names())


def check_question(mixture: Mixture, method: str = "hessian", level: float = 0.95) -> None:
    """Raise ConfigError where standard errors cannot be asked for; see `standard_errors`."""
    if method not in METHODS:
        raise ConfigError(f"method is {method!r}; one of {', '.join(METHODS)} is needed")
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; a number between 0 and 1 is needed")
    check_plain(mixture, "standard errors")
    layout = Layout.of(mixture)
    if layout.size > MOST_PARAMETERS:
        raise ConfigError(
            f"standard errors: {layout.n_components} {layout.covariance_type} components in "
            f"{layout.n_columns} columns have {layout.size} parameters, whose information is a "
            f"matrix of {8e-6 * layout.size**2:.0f} MB for each block; at most {MOST_PARAMETERS} "
            'are taken. Fit fewer columns or components, or covariance_type="diag"'
        )


def errors_from(
    mixture: Mixture,
    answer: Informed,
    method: str = "hessian",
    level: float = 0.95,
    columns: tuple[str, ...] = (),
) -> StandardErrors:
    """Return standard errors from the answer of an `Information` fold.

    Parameters
    ----------
    mixture : Mixture
        The one that asked.
    answer : Informed
    method, level
        See `standard_errors`.
    columns : tuple of str
    """
    found = inverse(mixture, answer, method)
    error = errors_of(mixture, found.covariance)
    weights, matrices = mixture.weights[0], mixture.dense_covariances
    away = float(np.sqrt(max(float(answer.score @ found.covariance @ answer.score), 0.0)))
    away = away if np.isfinite(found.covariance).all() else np.nan
    labels_known = weights * (1 - weights) / answer.n_rows
    spare = (error.weights**2 - labels_known).clip(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(weights < 1, spare / error.weights**2, 0.0)
    widths = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    of_widths = np.diagonal(error.covariances, axis1=1, axis2=2) / (2 * widths)
    correlations = (matrices / (widths[:, :, None] * widths[:, None, :])).clip(-1, 1)
    correlations[:, *np.diag_indices(mixture.n_columns)] = 1.0
    ratios = np.log(weights)[:, None] - np.log(weights)
    return StandardErrors(
        method,
        level,
        answer.n_rows,
        len(answer.score),
        mixture.family.covariance_type,
        columns,
        on_logit(weights, error.weights, level),
        np.sqrt(spare),
        symmetric(ratios, error.log_weight_ratios, level),
        symmetric(mixture.means, error.means, level),
        covariance_intervals(matrices, error.covariances, level),
        on_log(widths, of_widths, level),
        on_fisher(correlations, error.correlations, level),
        found.lost,
        lost,
        away,
        _problems(mixture, found.problem, away),
    )


def _problems(mixture: Mixture, of_inverse: str, away: float) -> tuple[str, ...]:
    """Return what the reader must know."""
    found = [of_inverse] if of_inverse else []
    if away > NEAR:
        found.append(
            f"the fit stands {away:.2g} standard errors from the top of the likelihood of these "
            "rows: fit with a smaller tol before reading differences of that size, and give the "
            "rows of the fit"
        )
    if mixture.family.prior is not None:
        found.append(
            "the fit was drawn in by a prior on covariances: errors are those of the likelihood, "
            "taken at the mode"
        )
    flat = mixture.family.check(mixture.params)
    if flat:
        sentence = "; ".join(flat)
        found.append(f"{sentence}: its errors are those of a width that the data did not set")
    return tuple(found)
