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

import numpy as np
from scipy.stats import chi2

from gmm_dask.blocks import FloatArray
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.diagnostics.asking import fitted, opened
from gmm_dask.diagnostics.findings import findings_of
from gmm_dask.diagnostics.levels import DRAWS, SHARES, Levels, density_levels
from gmm_dask.diagnostics.shares import TailShare, tail_share
from gmm_dask.errors import ConfigError
from gmm_dask.families.gaussian import Gaussian
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.tails import BEYOND, PIT_BINS, PROBABILITIES, Tails, TailSums
from gmm_dask.mixture import Mixture

PIT_ROWS = 10**6
"""Rows of whose share probability integrals are taken: a distance of 0.002 is then seen."""
LEAST_EXPECTED = 5.0
"""Rows that a bin of the chi-square needs; bins with fewer are joined."""
WIDE = 3.0
"""Times larger deviations, at nearly the same mean, from which a component may be noise."""


@dataclass(frozen=True)
class ComponentShape:
    """Squared distances of a component's rows against the chi-square distribution.

    Parameters
    ----------
    component : int
    n_rows : float
        Responsibilities.
    statistic, degrees_of_freedom, p_value : float
        Of the chi-square over bins; conservative where parameters come from the same rows.
    distance : float
        Largest difference between found and expected shares closer than an edge: the effect.
    tails : tuple of TailShare
        Rows beyond the distance that a share of them exceeds.
    found, expected : (B,)
        Rows by bin.
    """

    component: int
    n_rows: float
    statistic: float
    degrees_of_freedom: int
    p_value: float
    distance: float
    tails: tuple[TailShare, ...]
    found: FloatArray
    expected: FloatArray


@dataclass(frozen=True)
class ColumnShape:
    """Probability integrals of one column, given those before it.

    Parameters
    ----------
    column : int
    n_rows : float
    distance : float
        Kolmogorov's: largest difference between found and expected shares below a value.
    noise : float
        Distance that one in twenty samples of true rows exceeds; a bound where parameters come
        from the same rows.
    histogram : (20,)
        Rows by twentieths; equal in truth.
    """

    column: int
    n_rows: float
    distance: float
    noise: float
    histogram: FloatArray


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
        tuple(_column_shape(j, counts) for j, counts in enumerate(sums.pit)),
        _distances(sums.mass.sum(axis=0), sums.squares.sum(axis=0), level),
        densities if complete else (),
        complete,
        wide_components(mixture),
    )
    return Goodness(**{**vars(found), "findings": findings_of(found)})


def component_shape(
    component: int,
    n_rows: float,
    weight: float,
    mass: FloatArray,
    squares: FloatArray,
    level: float,
    same_rows: bool,
) -> ComponentShape:
    """Return one component's distances against the chi-square distribution.

    A row adds its responsibility to one bin, so the spread of the sums is less than that of
    counts: ``C = diag(squares) - mass mass^T / N``, and ``(O - E)^T C^-1 (O - E)`` is chi-square
    in truth, with one degree less where weights come from the same rows.
    """
    expected = n_rows * weight * PROBABILITIES
    parts = _joined(expected)
    found, wanted, square = (np.add.reduceat(x, parts) for x in (mass, expected, squares))
    spread = np.diag(np.maximum(square, 1e-300)) - np.outer(found, found) / max(n_rows, 1.0)
    off = found - wanted
    statistic = float(off @ np.linalg.pinv(spread, hermitian=True) @ off)
    rank = int(np.linalg.matrix_rank(spread, hermitian=True))  # one less where K is 1
    freedom = min(len(parts) - bool(same_rows), rank)
    own = max(float(mass.sum()), 1e-300)
    distance = float(np.abs(np.cumsum(mass / own - PROBABILITIES)).max())
    p = float(chi2.sf(statistic, freedom)) if freedom > 0 else np.nan
    tails = _distances(mass, squares, level)
    return ComponentShape(
        component, float(mass.sum()), statistic, freedom, p, distance, tails, mass, expected
    )


def _joined(expected: FloatArray) -> list[int]:
    """Return where joined bins begin, so that each expects enough rows; at least one."""
    begins, room = [0], 0.0
    for i, rows in enumerate(expected):
        if room >= LEAST_EXPECTED and expected[i:].sum() >= LEAST_EXPECTED:
            begins.append(i)
            room = 0.0
        room += float(rows)
    return begins


def _distances(mass: FloatArray, squares: FloatArray, level: float) -> tuple[TailShare, ...]:
    """Return the rows beyond the distances of the tail, from 1e-2 on."""
    shares = []
    n = float(mass.sum())
    for i, share in enumerate(BEYOND):
        if share <= SHARES[0]:
            found, square = float(mass[i + 1 :].sum()), float(squares[i + 1 :].sum())
            spread = square / found if square > 0 else 1.0  # tiny squares underflow
            shares.append(tail_share(share, n, found, level, spread=spread))
    return tuple(shares)


def _column_shape(column: int, counts: FloatArray) -> ColumnShape:
    n = float(counts.sum())
    steps = np.arange(1, PIT_BINS + 1) / PIT_BINS
    distance = float(np.abs(np.cumsum(counts) / max(n, 1.0) - steps).max()) if n else np.nan
    noise = 1.358 / np.sqrt(n) if n else np.nan
    return ColumnShape(column, n, distance, float(noise), counts.reshape(20, -1).sum(axis=1))


def wide_components(mixture: Mixture) -> tuple[tuple[int, int], ...]:
    """Return pairs (wide, inner): the first lies about the mean of the second, much wider."""
    means, S = mixture.params.means, mixture.family.dense(mixture.params)
    D = mixture.n_columns
    size = np.linalg.slogdet(S)[1] / (2 * D)
    found = []
    for j in range(len(S)):
        apart = means - means[j]
        square = np.einsum("kd,kd->k", apart, np.linalg.solve(S[j], apart.T).T)
        inside = (square < D) & (size[j] - size > np.log(WIDE))
        found += [(j, int(k)) for k in np.flatnonzero(inside)]
    return tuple(found)
