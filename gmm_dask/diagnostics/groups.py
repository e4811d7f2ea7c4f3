"""Is there more than one group at all? The likelihood ratio of K and K + 1 by its own simulation.

The ratio has no chi-square law: under the smaller K the extra component is not identified. So data
sets are drawn from the smaller fit, on the workers, one on each; both sizes are fitted to each as
they were to the rows.

References
----------
McLachlan 1987, Appl. Stat. 36:318 (parametric bootstrap); Davison and Hinkley 1997, Bootstrap
Methods, section 4.2 (the p-value with one added).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gmm_dask.blocks import ArraySource, Block, FloatArray
from gmm_dask.diagnostics.as_json import as_json
from gmm_dask.draws import CELL
from gmm_dask.engine.local import LocalEngine
from gmm_dask.errors import ConfigError
from gmm_dask.estimator.gaussian_mixture import GaussianMixture
from gmm_dask.estimator.wide import given, joined_source
from gmm_dask.folds.sample import Sample
from gmm_dask.inputs import open_engine
from gmm_dask.many import run_grid
from gmm_dask.mixture import Mixture
from gmm_dask.rows import draw_rows
from gmm_dask.search import Grid

MOST_ROWS = 10**5
"""Beyond which a random sample is tested: there is power enough."""
LEAST_SETS = 19
GAIN_LEFT = 0.01


@dataclass(frozen=True)
class GroupTest:
    """The likelihood ratio of one component more, against its law under the smaller number.

    Parameters
    ----------
    n_components : int
        The smaller number.
    n_rows : int
        That were tested.
    sampled : bool
        Whether these are a random sample of the data.
    statistic : float
        Twice the gain in log-likelihood.
    simulated : (B,)
        The same of data sets of the smaller model, ascending.
    p_value : float
        One plus the data sets with as large a statistic, over one plus all.
    """

    n_components: int
    n_rows: int
    sampled: bool
    statistic: float
    simulated: FloatArray
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        found: dict[str, Any] = as_json(self)
        return found


@dataclass(frozen=True)
class Cells:
    """A source of nothing but its row numbers: a cell of them for each data set to be drawn."""

    n_rows: int
    columns: tuple[str, ...] = ("nothing",)
    fingerprint: str = "cells"

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64."""
        return np.dtype(np.float64)

    def read(self, lo: int, hi: int) -> Block:
        """Return rows of zeros."""
        return Block(np.zeros((hi - lo, 1)), lo)


@dataclass(frozen=True)
class Refit:
    """A function from a block of `Cells` to the statistics of the data sets in it.

    Parameters
    ----------
    null : Mixture
        Under which data sets are drawn.
    grid : Grid
        Of both sizes.
    n_rows, seed : int
    """

    null: Mixture
    grid: Grid
    n_rows: int
    seed: int

    def __call__(self, block: Block) -> list[float]:
        """Return twice the gain for each data set whose cell begins in the block."""
        first, last = -(-block.start // CELL), -(-(block.start + len(block)) // CELL)
        return [self._one(number) for number in range(first, last)]

    def _one(self, number: int) -> float:
        rows, _ = draw_rows(self.null, self.seed + 1 + number, 0, self.n_rows)
        return gain_of(ArraySource(rows), self.grid)[0]


def gain_of(source: Any, grid: Grid) -> tuple[float, Mixture]:
    """Return twice the gain in log-likelihood of the larger size, and the smaller mixture."""
    result = run_grid(source, grid, LocalEngine(1), constant="warn")
    small, large = result.candidates
    gain = (large.log_likelihood_per_row - small.log_likelihood_per_row) * small.n_rows
    return max(2.0 * gain, 0.0), small.mixture


def one_group_or_two(
    X: Any,
    n_components: int = 1,
    *,
    covariance_type: str = "full",
    n_bootstrap: int = 99,
    n_init: int = 3,
    random_state: int = 0,
) -> GroupTest:
    """Test whether data hold one component more, by parametric bootstrap.

    Parameters
    ----------
    X : (N, D), complete, in memory, Dask or stored
        Beyond 1e5 rows a random sample of so many is tested.
    n_components : int
        The smaller number.
    covariance_type : {"full", "tied", "diag", "spherical"}
    n_bootstrap : int
        Data sets, 19 at least: p is a multiple of one over one more than these.
    n_init : int
        Starts of every fit, of the data and of simulated sets alike.
    random_state : int

    Raises
    ------
    ConfigError
        A number out of range.
    DataError
        The rows cannot be used as they are.
    """
    if (
        isinstance(n_bootstrap, bool)
        or not isinstance(n_bootstrap, int)
        or n_bootstrap < LEAST_SETS
    ):
        raise ConfigError(f"n_bootstrap is {n_bootstrap!r}; at least {LEAST_SETS} sets are needed")
    model = GaussianMixture(n_components, covariance_type=covariance_type)
    data = model._validated(X, reset=True)
    D = model.n_features_in_
    engine, source = open_engine(joined_source(data, given(D, "error")))
    with engine:
        rows = engine.fold(Sample(MOST_ROWS, D, random_state), source).values
    n = len(rows)
    grid = Grid(
        *((n_components, n_components + 1), (covariance_type,), n_init, "kmeans"),
        *(max(GAIN_LEFT / n, 1e-12), 1000),
        seed=random_state,
        accelerate=True,
    )
    statistic, null = gain_of(ArraySource(np.ascontiguousarray(rows)), grid)
    cells = Cells(n_bootstrap * CELL)
    workers, _ = open_engine(cells, block_rows=CELL)
    with workers:
        found = workers.map(
            Refit(null, replace(grid, seed=random_state + 1), n, random_state), cells
        )
    simulated = np.sort(np.array([value for part in found for value in part]))
    p = (1 + int((simulated >= statistic).sum())) / (1 + len(simulated))
    return GroupTest(n_components, n, source.n_rows > n, statistic, simulated, p)
