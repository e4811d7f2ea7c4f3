"""`LogJacobian`: the pass that brings log-likelihoods into source units where no constant does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask import Block, Fold, Observed, RowLayout, RowShare
from pipeline.stages.steps import FloatArray
from pipeline.stages.transform import Transform


class JacobianSums(NamedTuple):
    """Summed log Jacobians of training rows and held-out rows."""

    train: FloatArray
    """(2,) sum, and number (or weight) of rows."""
    held: FloatArray
    """(2,)."""


@dataclass(frozen=True)
class LogJacobian(Fold[None, JacobianSums, JacobianSums]):
    """Sum of the log Jacobian over the rows of a source.

    Parameters
    ----------
    transform : Transform
    rows : RowShare, optional
        Training rows; the others are held out.
    layout : RowLayout, optional
        Of the source; rows count by their weight, those without any value not at all.
    """

    transform: Transform
    rows: RowShare | None = None
    layout: RowLayout | None = None

    def prepare(self) -> None:
        """Nothing is needed."""

    def measure(self, prepared: None, block: Block) -> JacobianSums:  # noqa: ARG002
        """Return the sums of one block."""
        found = Observed(block.values) if self.layout is None else self.layout.split(block.values)
        each = self.transform.log_jacobian(found.values)
        weight = np.ones(len(each)) if found.sample_weight is None else found.sample_weight
        if self.layout is not None and self.layout.missing:
            weight = np.where(np.isnan(found.values).all(axis=1), 0.0, weight)
        train = np.ones(len(each), bool) if self.rows is None else self.rows.mask(block)
        total = each * weight
        return JacobianSums(
            np.array([total[train].sum(), weight[train].sum()]),
            np.array([total[~train].sum(), weight[~train].sum()]),
        )

    def finish(self, stats: JacobianSums) -> JacobianSums:
        """Return the sums."""
        return stats

    def working_bytes(self, rows: int) -> int:
        """Return the bytes of a transformed block."""
        return 24 * rows * len(self.transform.before)

    @property
    def stats_bytes(self) -> int:
        """Bytes of four numbers."""
        return 32
