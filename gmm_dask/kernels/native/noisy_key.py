"""What a module for rows with errors of their own is made for, and the space it needs."""

from __future__ import annotations

from typing import NamedTuple

from gmm_dask.kernels.native.values import LANES

TASKS = ("e_step", "log_joint")
UNROLLED = 8
"""Columns up to which factorisations stand in registers, without a loop."""
PAIR = 2
"""Columns of a factorisation that loops compute at once."""


class NoisyKey(NamedTuple):
    """What one module is made for."""

    task: str
    """e_step: statistics and log densities; log_joint: log joint densities."""
    covariance: str
    """"full" or "diag": how components are given."""
    noise: str
    """"full" or "diag": how the errors of rows are given."""
    second: str
    """"full" or "diag": which second moments are summed."""
    n_columns: int

    @property
    def diagonal(self) -> bool:
        """Whether columns are independent, given the component."""
        return self.covariance == self.noise == "diag"

    @property
    def unrolled(self) -> bool:
        """Whether nothing loops over columns."""
        return self.diagonal or self.n_columns <= UNROLLED

    @property
    def width(self) -> int:
        """Columns with their padding."""
        return self.n_columns if self.unrolled else -(-self.n_columns // PAIR) * PAIR

    @property
    def height(self) -> int:
        """Rows of a matrix in scratch space: whole vectors of rows can be read from any row on."""
        return 2 * self.width + 1 + LANES

    @property
    def slots(self) -> int:
        """Rows of a component's covariance, and of its second moments, where they are looped."""
        return self.width + LANES


def parameters_size(key: NoisyKey) -> int:
    """Return how many parameters of a component are read.

    A constant, the mean, then: the variances; the lower triangle, row by row, where unrolled; else
    the covariance (slots, width), zeros below.
    """
    W = key.width
    if key.diagonal:
        return 1 + 2 * W
    return 1 + W + (W * (W + 1) // 2 if key.unrolled else W * key.slots)


def sums_size(key: NoisyKey) -> int:
    """Return how many sums (each of LANES numbers) belong to a component.

    A count, the first moments, then the second: of each column its variance alone ("diag"), or
    this and its products with later columns: only these where unrolled, else (width, slots), of
    which column a's product with column b >= a stands at [a, b - a], for odd a at [a, b - a + 1].
    """
    W = key.width
    if key.second == "diag":
        return 1 + 2 * W
    return 1 + W + (W * (W + 1) // 2 if key.unrolled else W * key.slots)


def rooms(key: NoisyKey) -> dict[str, int]:
    """Return the scratch space, in vectors; `log_joint`, one for each component, is behind."""
    W = key.width
    looped = 0 if key.unrolled else 1
    return {
        "y": W,
        "noise": W if key.noise == "diag" else W * W,
        "matrix": looped * W * key.height,
        "factors": looped * PAIR * W,
        "inverse": looped * W,
        "step": looped * key.slots,
        "log_joint": 0,
    }


def scratch_size(key: NoisyKey, n_components: int) -> int:
    """Return how many float64 of scratch space a pass needs; zeros at first."""
    return LANES * (sum(rooms(key).values()) + n_components)
