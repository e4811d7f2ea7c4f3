"""Rows on the fence: labels that could be another's, and rows that are nobody's.

Two flags that are not one: a row between two components is *ambiguous*, one far from all of them is
an *outlier*, though its label may be certain (the widest component has it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from gmm_dask.blocks import BoolArray, FloatArray, IntArray
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import fitted, opened
from gmm_dask.diagnostics.goodness import check_shape
from gmm_dask.diagnostics.levels import density_levels
from gmm_dask.errors import ConfigError, DataError
from gmm_dask.folds.certainty import EDGES, Certainty, CertaintySums, bins_of
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.score import posterior
from gmm_dask.inputs import is_lazy
from gmm_dask.mixture import Mixture
from gmm_dask.rows import draw_rows

AMBIGUOUS, OUTLIER = 0.9, 1e-3
SIMULATED = 10**5


class RowsOnTheFence(NamedTuple):
    """Of each of n rows."""

    label: IntArray
    second_label: IntArray
    """The next likely component; -1 where there is one."""
    probability: FloatArray
    """Of the label."""
    doubt: FloatArray
    """One minus it, without cancellation: what the label is wrong with, as the model says."""
    margin: FloatArray
    """Probability of the label less that of the next."""
    entropy: FloatArray
    """Nats; `log(K)` for a row that could be any component's."""
    ambiguous: BoolArray
    """The probability is below the threshold."""
    outlier: BoolArray
    """The density is below the level under which so small a share of the model's rows lies; all
    False where the rows have errors or missing values: these have levels of their own."""


class ConfidenceBin(NamedTuple):
    """Rows whose label has about the same probability."""

    low: float
    high: float
    rows: float
    """By weight."""
    expected_error: float
    """Share of them labelled wrongly, as the model says: the mean of one minus the probability."""
    simulated_error: float
    """The same counted in rows of the model, whose components are known."""
    simulated_low: float
    simulated_high: float
    """Clopper and Pearson's 95 % interval of the count."""


@dataclass(frozen=True)
class Ambiguity:
    """How sure the labels of all rows are.

    Parameters
    ----------
    n_rows : float
    threshold : float
    ambiguous : float
        Rows whose label has a smaller probability.
    expected_error : float
        Share of the rows labelled wrongly, as the model says.
    entropy : float
        Mean, nats.
    bins : tuple of ConfidenceBin
    label_errors : (K,)
        Expected share of wrong labels among the rows of each label.
    """

    n_rows: float
    threshold: float
    ambiguous: float
    expected_error: float
    entropy: float
    bins: tuple[ConfidenceBin, ...]
    label_errors: FloatArray

    @property
    def share(self) -> float:
        """Ambiguous rows over all."""
        return self.ambiguous / max(self.n_rows, 1e-300)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {**as_json(self), "share": self.share}


def rows_on_the_fence(
    model: Any,
    X: Any,
    *,
    noise: Any = None,
    threshold: float = AMBIGUOUS,
    outlier: float = OUTLIER,
) -> RowsOnTheFence:
    """Return of each row how sure its label is, and whether the model knows such rows at all.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X : (N, D) in memory
        Of lazy and stored data, a block at a time, or ``output.columns`` of the pipeline.
    noise : optional
        See `GaussianMixture.predict_proba`.
    threshold : float
        Labels of a smaller probability are ambiguous.
    outlier : float
        Share of the model's own rows that are outliers.

    Raises
    ------
    ConfigError
        A number out of range.
    DataError
        X is lazy, or cannot be used as it is.
    """
    check_share("threshold", threshold)
    check_share("outlier", outlier)
    if is_lazy(X):
        raise DataError(
            f"rows_on_the_fence takes rows in memory, {type(X).__name__} came: map it over blocks "
            "(X.map_blocks), or use ambiguity, which counts over data of any size"
        )
    found = fitted(model)
    resp = found.predict_proba(X, noise=noise)
    row = np.arange(len(resp))
    label = resp.argmax(axis=1)
    others = resp.copy()
    others[row, label] = 0.0
    doubt = others.sum(axis=1)
    second = others.argmax(axis=1) if resp.shape[1] > 1 else np.full(len(resp), -1)
    next_largest = others.max(axis=1)
    logs = np.log(np.where(others > 0, others, 1.0))
    largest = resp[row, label]
    entropy = -largest * np.log1p(-doubt) - (others * logs).sum(axis=1)
    return RowsOnTheFence(
        label,
        second,
        1.0 - doubt,
        doubt,
        largest - next_largest,
        entropy,
        1.0 - doubt < threshold,
        _outliers(found, X, noise, outlier),
    )


def _outliers(model: Any, X: Any, noise: Any, share: float) -> BoolArray:
    if noise is not None or model.missing == "marginalize":
        return np.zeros(len(X), dtype=bool)
    check_shape(model.mixture_, "outlier")
    level = density_levels(model.mixture_, (share,)).log_density[0]
    found: BoolArray = model.score_samples(X) < level
    return found


def ambiguity(
    model: Any,
    X: Any,
    *,
    sample_weight: Any = None,
    noise: Any = None,
    threshold: float = AMBIGUOUS,
    seed: int = 0,
) -> Ambiguity:
    """Return how sure the labels of all rows are, in one pass over data of any kind.

    The expected error holds if the model does. Beside it stands the error counted in rows drawn
    from the model: the two agree within the interval, or the numbers are not to be trusted.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X, sample_weight, noise
        See `GaussianMixture.fit`.
    threshold : float
    seed : int
        Of the rows that are drawn.

    Raises
    ------
    ConfigError, DataError
    """
    check_share("threshold", threshold)
    found = fitted(model)
    mixture = found.mixture_
    with opened(found, X, sample_weight, noise) as data:
        sums = data.ask(certainty_fold(mixture, threshold, data.rows), mixture)
    return ambiguity_from(mixture, sums, threshold, seed)


def certainty_fold(
    mixture: Mixture, threshold: float = AMBIGUOUS, rows: RowShare | None = None
) -> Certainty:
    """Return the question of `ambiguity`; raise ConfigError where it cannot be asked."""
    check_shape(mixture, "ambiguity")
    return Certainty(mixture, threshold, rows)


def ambiguity_from(
    mixture: Mixture, sums: CertaintySums, threshold: float = AMBIGUOUS, seed: int = 0
) -> Ambiguity:
    """Return the answer from the sums of a `Certainty` fold."""
    n = float(sums.n_rows)
    wrong, drawn = simulated_errors(mixture, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors, counted = sums.doubt / sums.rows, wrong / drawn
        by_label = sums.label_doubt / sums.labels
        low = np.where(wrong > 0, beta.ppf(0.025, wrong, drawn - wrong + 1), 0.0)
        high = np.where(wrong < drawn, beta.ppf(0.975, wrong + 1, drawn - wrong), 1.0)
    numbers = zip(EDGES[:-1], EDGES[1:], sums.rows, errors, counted, low, high, strict=True)
    return Ambiguity(
        n,
        threshold,
        float(sums.ambiguous),
        float(sums.doubt.sum()) / max(n, 1e-300),
        float(sums.entropy) / max(n, 1e-300),
        tuple(ConfidenceBin(*map(float, row)) for row in numbers),
        by_label,
    )


def simulated_errors(
    mixture: Mixture, seed: int, n: int = SIMULATED
) -> tuple[FloatArray, FloatArray]:
    """Return wrong labels (B,) and all labels (B,) of drawn rows by probability of the label."""
    rows, truth = draw_rows(mixture, seed, 0, n)
    resp = posterior(mixture.prepare(), rows)[1]
    where = bins_of(resp.max(axis=1))
    B = len(EDGES) - 1
    wrong = np.bincount(where, resp.argmax(axis=1) != truth, minlength=B)
    return wrong.astype(np.float64), np.bincount(where, minlength=B).astype(np.float64)


def check_share(name: str, value: Any) -> None:
    """Raise ConfigError unless a number lies between 0 and 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise ConfigError(f"{name} is {value!r}; a number between 0 and 1 is needed")
