"""How sure labels are: rows and expected errors by probability of the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask.blocks import Block, FloatArray
from gmm_dask.folds import assigned
from gmm_dask.folds.e_step import observed_bytes
from gmm_dask.folds.rows import RowShare
from gmm_dask.kernels import table
from gmm_dask.mixture import Mixture, Prepared
from gmm_dask.observed import Observer
from gmm_dask.stats import Fold

EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)
"""Of the bins of the probability of the label."""


class CertaintySums(NamedTuple):
    """Sums over rows with a value; a row counts by its weight."""

    n_rows: FloatArray
    """()."""
    ambiguous: FloatArray
    """() rows whose label is less probable than the threshold."""
    entropy: FloatArray
    """() nats."""
    rows: FloatArray
    """(B,) by probability of the label."""
    doubt: FloatArray
    """(B,) sum of one minus that probability: rows labelled wrongly, as expected."""
    labels: FloatArray
    """(K,) rows by label."""
    label_doubt: FloatArray
    """(K,) expected errors by label."""


@dataclass(frozen=True)
class Certainty(Fold[Prepared | Observer, CertaintySums, CertaintySums]):
    """How sure the labels of rows are.

    Parameters
    ----------
    mixture : Mixture
    threshold : float
        Rows whose label is less probable are ambiguous.
    rows : RowShare, optional
    """

    mixture: Mixture
    threshold: float = 0.9
    rows: RowShare | None = None

    def prepare(self) -> Prepared | Observer:
        """Factorise the covariances."""
        return assigned.prepare(self.mixture, self.rows)

    def measure(self, prepared: Prepared | Observer, block: Block) -> CertaintySums:
        """Return the sums of one block."""
        found = assigned.assign(prepared, self.rows, block)
        a, K = found.weight, self.mixture.n_components
        doubt = a * (1.0 - found.probability)
        where = bins_of(found.probability)
        return CertaintySums(
            np.asarray(a.sum()),
            np.asarray(a @ (found.probability < self.threshold)),
            np.asarray(a @ found.entropy),
            *(
                np.bincount(where, x, minlength=len(EDGES) - 1).astype(np.float64)
                for x in (a, doubt)
            ),
            *(np.bincount(found.label, x, minlength=K).astype(np.float64) for x in (a, doubt)),
        )

    def finish(self, stats: CertaintySums) -> CertaintySums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of one tile in its kernel, and of eight numbers a row."""
        kind = self.mixture.family.covariance_type
        K, D = self.mixture.n_components, self.mixture.n_columns
        of_rows = 64 * rows + observed_bytes(self.mixture, self.rows, rows)
        return table.working_bytes(kind, K, D) + of_rows

    @property
    def stats_bytes(self) -> int:
        """Bytes of the sums."""
        return 8 * (3 + 2 * (len(EDGES) - 1) + 2 * self.mixture.n_components)


def bins_of(probability: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the bin (n,) of each probability."""
    inner = np.asarray(EDGES[1:-1])
    return np.searchsorted(inner, probability, side="right")
