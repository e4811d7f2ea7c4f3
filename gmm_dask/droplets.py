"""Droplet digital PCR: fits of droplets, and concentrations with limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gmm_dask.blocks import FloatArray, Source
from gmm_dask.droplet_figures import (
    Estimate,
    Linkage,
    Pooled,
    estimate,
    linkage,
    pooled,
)
from gmm_dask.droplet_start import droplet_start
from gmm_dask.engine.base import Engine
from gmm_dask.errors import ConfigError
from gmm_dask.estimator.gaussian_mixture import GaussianMixture
from gmm_dask.estimator.groups import grouped, in_groups
from gmm_dask.estimator.settings import check_words, seed_of
from gmm_dask.estimator.wide import given, joined_source
from gmm_dask.folds.rows import RowShare
from gmm_dask.folds.sample import Sample
from gmm_dask.folds.wells import Wells, WellSums
from gmm_dask.inputs import column_names, open_engine
from gmm_dask.laws.droplets import Droplets
from gmm_dask.many import run_grid
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid

SAMPLE = 65536
MOST_PASSES = 50
TYPES = ("full", "tied", "diag")


@dataclass(frozen=True)
class Concentrations:
    """What wells hold.

    Parameters
    ----------
    wells : (G,) names
    targets : (T,) names
    estimate : Estimate
        Copies per droplet, (G, T).
    pooled : Pooled
        All wells as replicates of one sample.
    linkage : Linkage, optional
        Of two targets that may be linked.
    sums : WellSums
    factor : float
        Copies per microlitre for one copy per droplet: dilution / droplet volume.
    """

    wells: tuple[Any, ...]
    targets: tuple[str, ...]
    estimate: Estimate
    pooled: Pooled
    linkage: Linkage | None
    sums: WellSums
    factor: float

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each well and target: concentration, limits [copies/uL], counts.

        Where there are several wells a row for each target follows that takes them as replicates
        of one sample, named "pooled": its error holds what they differ by. None stands for what
        cannot be told, such as the error of no positives.
        """
        wells, targets = range(len(self.wells)), range(len(self.targets))
        rows = [self._row(g, d) for g in wells for d in targets]
        return rows + [self._pooled_row(d) for d in targets] if len(wells) > 1 else rows

    def _pooled_row(self, d: int) -> dict[str, Any]:
        found, n = self.pooled, self.sums.n_rows
        return self._figures(
            "pooled", d, found.rate[d], found.error[d], found.low[d], found.high[d]
        ) | {
            "between_wells": _plain(found.between[d]),
            "accepted": float(n.sum()),
            "positives": float((-n * np.expm1(-self.estimate.rate[:, d])).sum()),
            "ambiguous": float(self.sums.ambiguous.sum()),
        }

    def _figures(
        self, well: Any, d: int, rate: float, error: float, low: float, high: float
    ) -> dict[str, Any]:
        numbers = {
            "concentration": self.factor * rate,
            "low": self.factor * low,
            "high": self.factor * high,
            "copies_per_droplet": rate,
            "standard_error": error,
            "between_wells": np.nan,
        }
        named = {"well": well, "target": self.targets[d]}
        return named | {key: _plain(value) for key, value in numbers.items()}

    def _row(self, g: int, d: int) -> dict[str, Any]:
        found, n = self.estimate, float(self.sums.n_rows[g])
        ends = found.error[g, d], found.low[g, d], found.high[g, d]
        row = self._figures(self.wells[g], d, found.rate[g, d], *ends) | {
            "accepted": n,
            "positives": float(-n * np.expm1(-found.rate[g, d])),
            "ambiguous": float(self.sums.ambiguous[g]),
        }
        if self.linkage is not None:
            row |= {
                "double_positives": float(self.linkage.doubles[g]),
                "expected_if_independent": float(self.linkage.expected[g]),
                "likelihood_ratio": float(self.linkage.ratio[g]),
                "p_independent": float(self.linkage.p_value[g]),
            }
        return row


def _plain(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def fit_droplets(
    X: Any,
    groups: Any = None,
    *,
    copies: Sequence[int] = (1, 1),
    weight_tail: str = "lumped",
    linkage: str = "free",
    covariance_type: str = "full",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: Any = 0,
) -> GaussianMixture:
    """Fit clusters of droplets whose weights follow from copies per droplet in each well.

    Parameters
    ----------
    X : (N, D) array, dataframe, Dask array or dataframe, zarr array or Source
        Amplitudes, one column for each of D = 1 or 2 targets.
    groups : (N,) labels, optional
        Wells: each has lambdas of its own; means and covariances are shared.
    copies : sequence of D int
        Largest number of copies told apart, of each target; 1 tells positive from negative.
    weight_tail, linkage : see `laws.droplets.Droplets`
    covariance_type : {"full", "tied", "diag"}
        tied: all clusters have one covariance.
    tol, max_iter, random_state : see `GaussianMixture`

    Returns
    -------
    GaussianMixture
        ``law_`` holds lambda_A, lambda_B and lambda_AB, (G,) each.

    Raises
    ------
    ConfigError, DataError
    """
    law = Droplets(tuple(copies), weight_tail, linkage)
    check_words({"tol": tol, "max_iter": max_iter})
    if covariance_type not in TYPES:
        raise ConfigError(
            f"covariance_type is {covariance_type!r}; one of {', '.join(TYPES)} is needed: dyes "
            "differ in scale"
        )
    names = column_names(X)
    model = GaussianMixture()
    data = model._validated(X, reset=True)
    labels, parts = grouped(given(model.n_features_in_, "error", None, None), groups)
    engine, source = open_engine(joined_source(data, parts, names or ()))
    grid = Grid(
        (law.n_components,),
        (covariance_type,),
        tol=tol,
        max_iter=max_iter,
        seed=seed_of(random_state),
        rows=RowShare.all_rows(parts.layout),
        law=law,
    )
    with engine:
        result = run_grid(source, grid, engine, given=start_of_droplets(engine, source, grid))
    return GaussianMixture.from_candidate(result.candidates[0], grid, names, labels)


def start_of_droplets(engine: Engine, source: Source, grid: Grid) -> dict[str, FloatArray]:
    """Return the parameters with which the one fit of a grid of droplets begins, by a pass."""
    law = grid.law
    assert isinstance(law, Droplets)
    drawn = Sample(SAMPLE, len(source.columns), grid.seed, grid.rows)
    values = engine.fold(drawn, source).values[:, : len(law.levels)]
    return droplet_start(values.astype(np.float64), law, grid.covariance_type[0])


def droplet_concentrations(
    model: GaussianMixture,
    X: Any,
    groups: Any = None,
    *,
    partition_volume: float,
    dilution: float = 1.0,
    level: float = 0.95,
    threshold: float = 0.9,
) -> Concentrations:
    """Return the concentrations of wells, with limits, and tests of linkage.

    Parameters
    ----------
    model : GaussianMixture
        Of `fit_droplets`, or with a law `Droplets`.
    X, groups
        The droplets of the fit.
    partition_volume : float
        Of a droplet, nanolitres. It has no default: 0.85 or 0.91 make 7 % of every figure.
    dilution : float
        By which the sample was diluted.
    level : float
        Of the intervals.
    threshold : float
        Droplets whose largest probability is below are ambiguous.

    Raises
    ------
    ConfigError
        The law of the model's weights is another, or a number is out of range.
    """
    parts = in_groups(model, given(model.n_features_in_, "error", None, None), groups)
    data = model._validated(X, reset=False)
    engine, source = open_engine(joined_source(data, parts))
    wells = tuple(getattr(model, "groups_", ("all",)))
    targets = tuple(getattr(model, "feature_names_in_", source.columns))
    with engine:
        return concentrations_of(
            engine,
            source,
            model.mixture_,
            RowShare.all_rows(parts.layout),
            (wells, targets[: model.n_features_in_]),
            partition_volume=partition_volume,
            dilution=dilution,
            level=level,
            threshold=threshold,
        )


def concentrations_of(
    engine: Engine,
    source: Source,
    mixture: Mixture,
    rows: RowShare | None,
    names: tuple[tuple[Any, ...], tuple[str, ...]],
    *,
    partition_volume: float,
    dilution: float = 1.0,
    level: float = 0.95,
    threshold: float = 0.9,
) -> Concentrations:
    """Return concentrations of a source; see `droplet_concentrations`.

    Parameters
    ----------
    names : wells (G,) and targets (T,)
    """
    law = mixture.law
    if not isinstance(law, Droplets):
        raise ConfigError(f"the weights follow {law}; concentrations need the law of droplets")
    for word, value in (("partition_volume", partition_volume), ("dilution", dilution)):
        if not 0 < value < np.inf:
            raise ConfigError(f"{word} is {value!r}; a finite number above 0 is needed")
    sums = engine.fold(Wells(mixture, rows, threshold), source)
    rates = law.rates(mixture.weights)
    found = estimate(law, rates, sums, level)
    test = None
    if law.n_species == 3:
        apart, without = independent(engine, source, mixture, rows, sums)
        test = linkage(law, sums, without, apart)
    factor = 1000.0 * dilution / partition_volume
    return Concentrations(*names, found, pooled(found, sums.n_rows, level), test, sums, factor)


def independent(
    engine: Engine, source: Source, mixture: Mixture, rows: RowShare | None, sums: WellSums
) -> tuple[FloatArray, WellSums]:
    """Return the lambdas (G, 2) that fit best without linked molecules, and the sums under them.

    Components are held; EM over the weights alone, until no well gains 1e-6 in log-likelihood.
    """
    assert isinstance(mixture.law, Droplets)
    law = replace(mixture.law, linkage="none")
    count, last = sums.count, np.full(len(sums.count), -np.inf)
    for _ in range(MOST_PASSES):
        held = replace(mixture, law=law, weights=law.weights(count))
        sums = engine.fold(Wells(held, rows), source)
        if (sums.log_likelihood - last < 1e-6).all():
            break
        count, last = sums.count, sums.log_likelihood
    return law.rates(held.weights), sums
