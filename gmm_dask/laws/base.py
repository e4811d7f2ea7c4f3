"""What a law of weights is, and what laws share."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from gmm_dask.blocks import FloatArray, IntArray
from gmm_dask.errors import ConfigError


class WeightLaw(Protocol):
    """How counts become weights. Laws are frozen dataclasses that name this as their base.

    Weights come back in the law's own set whatever the counts. Each group of rows (a well, a
    plate; one as a rule) has weights of its own; components are shared.
    """

    @property
    def ordered(self) -> bool:
        """Whether components have a meaning by number (copies 0, 1, 2, ...) and keep it."""
        ...

    @property
    def kept(self) -> tuple[int, ...]:
        """Components whose weights are held, which keep their place: none as a rule."""
        return ()

    def weights(self, count: FloatArray) -> FloatArray:
        """Return the weights (G, K) that maximise ``sum(count * log(weights)) + log_prior``.

        Parameters
        ----------
        count : (G, K)
            Expected rows by group and component, none negative. A group without any rows takes
            the weights that all rows together have.

        Raises
        ------
        ConfigError
            The law has no meaning for so many components.
        """
        ...

    def n_free(self, n_components: int) -> int:
        """Return the number of free parameters of one group.

        Raises
        ------
        ConfigError
            The law has no meaning for so many components.
        """
        ...

    def log_prior(self, weights: FloatArray) -> float:  # noqa: ARG002
        """Return the log prior density of weights (G, K) up to a constant; 0 without a prior."""
        return 0.0

    def parameters(self, weights: FloatArray) -> dict[str, FloatArray]:  # noqa: ARG002
        """Return the law's own parameters by name, each (G, ...), of weights inside the law."""
        return {}

    def project(self, weights: FloatArray) -> FloatArray:
        """Return weights (G, K) inside the law near others; those inside come back as they are.

        Extrapolations land there. Without a prior, shares are counts of one row.
        """
        return self.weights(weights)

    def arranged(self, count: FloatArray, means: FloatArray) -> IntArray:  # noqa: ARG002
        """Return which cluster of a start becomes which component, (K,).

        Parameters
        ----------
        count : (K,)
            Rows of each cluster.
        means : (K, D)
            In the frame.
        """
        return along(means) if self.ordered else np.arange(len(means))


def along(means: FloatArray) -> IntArray:
    """Return clusters (K, D) in order along the line on which they lie, (K,).

    The line is the longest principal axis of the means; it points to where the column that moves
    most along it grows. So the lowest cluster is that of no copies.
    """
    apart = means - means.mean(axis=0)
    axis = np.linalg.svd(apart, full_matrices=False)[2][0]
    axis = axis * np.sign(axis[np.abs(axis).argmax()])
    return np.argsort(apart @ axis, kind="stable")


def shares(count: FloatArray) -> FloatArray:
    """Return counts (G, K) over their sums by row; rows without any take those of all rows."""
    total = count.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        count = np.where(total > 0, count, count.sum(axis=0))
        total = count.sum(axis=1, keepdims=True)
    result: FloatArray = count / total
    return result


def need_components(law: str, needed: str, n_components: int, *, fits: bool) -> None:
    """Raise ConfigError unless a law takes a number of components."""
    if not fits:
        raise ConfigError(f"weights: {law} needs {needed}; n_components {n_components} came")
