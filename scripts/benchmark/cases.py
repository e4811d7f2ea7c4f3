"""What is timed: covariance type, D, K, and clusters of rows with a common start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

PLAIN_ROWS = 400_000


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    covariance_type: str
    columns: int
    components: int
    rows: int
    """Enough for a pass of half a second on two threads."""
    peer_rows: int
    wanted: float
    """Times faster than scikit-learn that the project asks of itself."""
    bound: float
    """Nanoseconds a row and component that dense arithmetic needs on two cores."""
    spread: float = 2.5
    """Of the means in each column, in standard deviations; small values make components overlap."""

    @property
    def name(self) -> str:
        overlap = "" if self.spread > 1 else "/overlapping"
        return f"{self.covariance_type}/{self.columns}/{self.components}{overlap}"


CASES = (
    Case("full", 3, 10, 50_000_000, 500_000, 40, 0.7),
    Case("full", 10, 20, 10_000_000, 400_000, 30, 2.75),
    Case("full", 32, 50, 1_500_000, 20_000, 6.5, 21),
    Case("full", 32, 50, 500_000, 20_000, 6.5, 21, 0.4),
    Case("full", 50, 100, 500_000, 20_000, 9, 50),
    Case("full", 50, 100, 500_000, 20_000, 9, 50, 0.4),
    Case("tied", 10, 20, 16_000_000, 200_000, 20, 0.6),
    Case("tied", 32, 50, 5_000_000, 20_000, 20, 1.6),
    Case("diag", 10, 20, 12_000_000, 200_000, 8, 0.8),
    Case("diag", 32, 50, 4_000_000, 20_000, 4, 2.7),
    Case("spherical", 10, 20, 12_000_000, 200_000, 6, 0.6),
)


class Data(NamedTuple):
    """Rows of clusters, and the parameters at which every engine begins."""

    rows: np.ndarray
    start: dict[str, np.ndarray]

    def head(self, n: int) -> Data:
        """Return the first rows with the same start."""
        return Data(self.rows[:n], self.start)


def make_data(case: Case, n_rows: int) -> Data:
    """Return clusters with correlated columns."""
    rng = np.random.default_rng(7)
    K, D = case.components, case.columns
    centres = case.spread * rng.normal(size=(K, D))
    mix = np.eye(D) + 0.3 * rng.normal(size=(D, D)) / np.sqrt(D)
    rows = np.empty((n_rows, D))
    for lo in range(0, n_rows, 1_000_000):
        n = min(1_000_000, n_rows - lo)
        rows[lo : lo + n] = rng.normal(size=(n, D)) @ mix + centres[rng.integers(K, size=n)]
    total = np.cov(rows[:100_000].T).reshape(D, D)
    covariances = {
        "full": np.repeat(total[None], K, axis=0),
        "tied": total,
        "diag": np.repeat(np.diag(total)[None], K, axis=0),
        "spherical": np.full(K, np.diag(total).mean()),
    }[case.covariance_type]
    means = centres + 0.3 * rng.normal(size=(K, D))
    return Data(rows, {"weights": np.full(K, 1 / K), "means": means, "covariances": covariances})
