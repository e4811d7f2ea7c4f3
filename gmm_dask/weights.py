"""Laws that turn counts into weights. Their result is always inside the law's own set."""

from __future__ import annotations

from dataclasses import dataclass

from gmm_dask.blocks import FloatArray


@dataclass(frozen=True)
class Free:
    """Each component's weight is its share of the rows."""

    def weights(self, count: FloatArray) -> FloatArray:
        """Return weights (G, K) from counts (G, K); each row sums to one."""
        shares: FloatArray = count / count.sum(axis=1, keepdims=True)
        return shares

    def n_free(self, n_components: int) -> int:
        """Return the number of free parameters."""
        return n_components - 1


WeightLaw = Free
