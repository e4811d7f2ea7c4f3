"""Whether the Gaussian shape is right: by component, by column, and in the tails.

At 1e9 rows every p-value is 0, so each test comes with an effect: how far the shares of rows are
from those expected, and how many times more rows lie in a tail than should.

References
----------
Chernoff and Lehmann 1954, Ann. Math. Stat. 25:579 (chi-square with parameters from the same rows);
Rosenblatt 1952, Ann. Math. Stat. 23:470.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import fitted, opened
from gmm_dask.diagnostics.findings import findings_of
from gmm_dask.diagnostics.levels import DRAWS, SHARES, Levels, density_levels
from gmm_dask.diagnostics.shapes import (
    ColumnShape,
    ComponentShape,
    column_shape,
    component_shape,
    distances_of,
    wide_components,
)
from gmm_dask.diagnostics.shares import TailShare, tail_share
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.tails import Tails, TailSums
from gmm_dask.mixture import Mixture

PIT_ROWS = 10**6
"""Rows of whose share probability integrals are taken: a distance of 0.002 is then seen."""


@dataclass(frozen=True)
class Goodness:
    """Whether rows lie where a mixture says.

    Parameters
    ----------
    n_rows : float
        Sum of the row weights.
    log_likelihood_per_row : float
        Natural log, source units.
    level : float
        Of the intervals.
    components : tuple of ComponentShape
    columns : tuple of ColumnShape
    distances : tuple of TailShare
        Of all components together, rows weighted by responsibilities: also for rows with missing
        values and errors.
    densities : tuple of TailShare
        Rows below the model's own density levels; empty without complete, exact rows.
    complete : float
        Rows that `densities` speaks of.
    wide : tuple of (int, int)
        Components that lie, several times wider, about the mean of another: noise or a heavy tail.
    findings : tuple of str
        What a reader must know, in words; empty where all is well.
    """

    n_rows: float
    log_likelihood_per_row: float
    level: float
    components: tuple[ComponentShape, ...]
    columns: tuple[ColumnShape, ...]
    distances: tuple[TailShare, ...]
    densities: tuple[TailShare, ...]
    complete: float
    wide: tuple[tuple[int, int], ...]
    findings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it; None for what is not finite."""
        found: dict[str, Any] = as_json(self)
        return found


def goodness_of_fit(
    model: Any,
    X: Any,
    *,
    sample_weight: Any = None,
    noise: Any = None,
    level: float = 0.95,
    same_rows: bool = True,
    seed: int = 0,
    draws: int = DRAWS,
) -> Goodness:
    """Return whether rows lie where a fitted model says, in one pass.

    Parameters
    ----------
    model : GaussianMixture or FitMany
    X, sample_weight, noise
        See `GaussianMixture.fit`. A row of weight 2 is two rows.
    level : float
        Of the intervals.
    same_rows : bool
        Whether the model was fitted to these rows; then p-values are conservative.
    seed, draws : int
        Of the rows by which density levels are found.

    Raises
    ------
    ConfigError
        A level outside (0, 1); components that are not Gaussian; weights by group.
    DataError
        The rows cannot be used as they are.
    """
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; a number between 0 and 1 is needed")
    found = fitted(model)
    mixture = found.mixture_
    with opened(found, X, sample_weight, noise) as data:
        fold, levels = goodness_fold(mixture, data.source.n_rows, data.rows, seed, draws)
        sums = data.ask(fold, mixture)
    return goodness_from(mixture, levels, sums, level, same_rows=same_rows)


def check_shape(mixture: Mixture, what: str) -> None:
    """Raise ConfigError unless a mixture is Gaussian with one group of weights."""
    if not isinstance(mixture.family, Gaussian):
        raise ConfigError(f"{what}: the components are not all Gaussian; only such are known here")
    if mixture.temperature != 1:
        raise ConfigError(f"{what}: a model of hard assignments has no density; fit with soft ones")
    if len(mixture.weights) > 1:
        raise ConfigError(
            f"{what}: the mixture has {len(mixture.weights)} groups of weights; one is needed. Ask "
            "for each group alone"
        )


def goodness_fold(
    mixture: Mixture,
    n_rows: int,
    rows: RowShare | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[Tails, Levels]:
    """Return the question to the rows, and the density levels in it.

    Parameters
    ----------
    mixture : Mixture
    n_rows : int
        Of the source, by which the share is found whose probability integrals are taken.
    rows : RowShare, optional
    seed, draws : int
        See `goodness_of_fit`.

    Raises
    ------
    ConfigError
        See `check_shape`.
    """
    check_shape(mixture, "goodness of fit")
    levels = density_levels(mixture, SHARES, seed=seed, draws=draws)
    share = min(PIT_ROWS / max(n_rows, 1), 1.0)
    return Tails(mixture, tuple(levels.log_density.tolist()), rows, share, seed), levels


def goodness_from(
    mixture: Mixture,
    levels: Levels,
    sums: TailSums,
    level: float = 0.95,
    *,
    same_rows: bool = True,
) -> Goodness:
    """Return the answer from the sums of a `Tails` fold."""
    n, complete = float(sums.n_rows), float(sums.n_complete)
    weights = mixture.weights.mean(axis=0)
    components = tuple(
        component_shape(k, n, float(weights[k]), sums.mass[k], sums.squares[k], level, same_rows)
        for k in range(mixture.n_components)
    )
    densities = tuple(
        tail_share(a, complete, b, level, relative_error=e)
        for a, b, e in zip(levels.share, sums.below, levels.relative_error, strict=True)
    )
    found = Goodness(
        n,
        float(sums.log_likelihood) / max(n, 1.0),
        level,
        components,
        tuple(column_shape(j, counts) for j, counts in enumerate(sums.pit)),
        distances_of(sums.mass.sum(axis=0), sums.squares.sum(axis=0), level),
        densities if complete else (),
        complete,
        wide_components(mixture),
    )
    return Goodness(**{**vars(found), "findings": findings_of(found)})
