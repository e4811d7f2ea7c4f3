"""`LogJacobian`: the pass that brings log-likelihoods into source units where no constant does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gmm_dask import Block, Fold, RowShare
from pipeline.stages.steps import FloatArray
from pipeline.stages.transform import Transform


class JacobianSums(NamedTuple):
    """Summed log Jacobians of training rows and held-out rows."""

    train: FloatArray
    """(2,) sum and rows."""
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
    """

    transform: Transform
    rows: RowShare | None = None

    def prepare(self) -> None:
        """Nothing is needed."""

    def measure(self, prepared: None, block: Block) -> JacobianSums:  # noqa: ARG002
        """Return the sums of one block."""
        each = self.transform.log_jacobian(block.values)
        train = np.ones(len(each), bool) if self.rows is None else self.rows.mask(block)
        return JacobianSums(
            np.array([each[train].sum(), float(train.sum())]),
            np.array([each[~train].sum(), float((~train).sum())]),
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
