"""Density levels of a mixture: below which log density a given share of its own rows lies.

By importance sampling: rows are drawn from components widened so that far rows are common, and
weighted by how much likelier the mixture makes them. So 2e5 draws know the level of 1e-5 to about
two per cent, where draws from the mixture itself leave two rows beyond it.

References
----------
Hyndman 1996, Am. Stat. 50:120 (regions of highest density); Owen and Zhou 2000, J. Am. Stat.
Assoc. 95:135 (importance sampling from a mixture that holds the target).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from gmm_dask.blocks import FloatArray
from gmm_dask.draws import CELL, cell_generator
from gmm_dask.kernels import table
from gmm_dask.kernels.reference import log_sum_exp
from gmm_dask.mixture import Mixture

DRAWS = 2 * 10**5
SHARES = (1e-2, 1e-3, 1e-4, 1e-5)
WIDENED_FOR = (1e-3, 1e-6)


class Levels(NamedTuple):
    """Log densities and the shares of a mixture's rows below them."""

    share: FloatArray
    """(L,) as asked."""
    log_density: FloatArray
    """(L,) source units."""
    relative_error: FloatArray
    """(L,) standard error, by the finite number of draws, of the true share over that asked."""


def density_levels(
    mixture: Mixture, shares: Sequence[float] = SHARES, *, seed: int = 0, draws: int = DRAWS
) -> Levels:
    """Return the log densities below which given shares of a mixture's rows lie.

    Parameters
    ----------
    mixture : Mixture
    shares : sequence of L float
        Descending, between 0 and 1.
    seed, draws : int
    """
    cells = list(_cells(mixture, seed, -(-draws // CELL)))
    log_density, ratio = (np.concatenate(part) for part in zip(*cells, strict=True))
    order = np.argsort(log_density, kind="stable")
    log_density, ratio = log_density[order], ratio[order]
    n = len(order)
    below, square = np.cumsum(ratio) / n, np.cumsum(ratio**2) / n
    wanted = np.asarray(shares, dtype=np.float64)
    at = np.minimum(np.searchsorted(below, wanted), n - 1)
    error = np.sqrt((square[at] - below[at] ** 2).clip(0) / n) / wanted
    return Levels(wanted, log_density[at] - mixture.frame.log_scale, error)


def _cells(mixture: Mixture, seed: int, n_cells: int) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield log densities (4096,) in the frame, and how much likelier the mixture makes each."""
    K, D = mixture.n_components, mixture.n_columns
    family = mixture.family.prepare(mixture.params, mixture.frame)
    widths = np.array([1.0, *(max(chi2.isf(p, D) / D, 1.0) for p in WIDENED_FOR)])
    weights = mixture.weights.mean(axis=0)
    shares = 0.5 * weights + 0.5 / K  # rows of a light, wide component are drawn often enough
    with np.errstate(divide="ignore"):
        log_weights = np.log(weights)
    for cell in range(n_cells):
        rng = cell_generator(seed, "density levels", 0, cell)
        labels = rng.choice(K, CELL, p=shares / shares.sum())
        width = widths[np.arange(CELL) % len(widths)]
        rows = mixture.family.sample(mixture.params, labels, rng)
        centre = mixture.params.means[labels]
        rows = centre + np.sqrt(width)[:, None] * (rows - centre)
        log_prob = table.log_prob(family, mixture.frame.backward(rows))
        log_density = log_sum_exp(log_prob + log_weights)
        square = 2.0 * (family.log_norm - log_prob)
        drawn = [
            family.log_norm + np.log(shares) - 0.5 * square / c - 0.5 * D * np.log(c)
            for c in widths
        ]
        log_drawn = log_sum_exp(np.concatenate(drawn, axis=1)) - np.log(len(widths))
        yield log_density, np.exp(log_density - log_drawn)
