"""How often limits of lambda cover, over 1000 drawn wells; clusters apart, and overlapping.

python scripts/coverage_droplets.py
"""

from __future__ import annotations

import numpy as np

from gmm_dask import droplet_concentrations, fit_droplets

MEANS = np.array([[1300.0, 1400], [2600, 4600], [8900, 3200], [9600, 6300]])


def covered(spread: np.ndarray, wells: int = 1000, droplets: int = 1000) -> np.ndarray:
    """Return the share of wells, by target, whose 95 % limits hold the lambda."""
    rng = np.random.default_rng(20)
    rates = np.column_stack([rng.uniform(0.02, 0.3, (wells, 2)), rng.uniform(0, 0.2, wells)])
    molecules = rng.poisson(rates[:, None, :], (wells, droplets, 3))
    positive = molecules[..., :2] + molecules[..., 2:] > 0
    X = MEANS[2 * positive[..., 0] + positive[..., 1]]
    X = (X + spread * rng.normal(size=X.shape)).reshape(-1, 2)
    labels = np.repeat(np.arange(wells), droplets)
    model = fit_droplets(X, labels, covariance_type="tied")
    found = droplet_concentrations(model, X, labels, partition_volume=1.0)
    true = (rates[:, :2] + rates[:, 2:])[np.asarray(found.wells, dtype=int)]
    inside = (found.estimate.low <= true) & (true <= found.estimate.high)
    return np.asarray(inside.mean(axis=0))


if __name__ == "__main__":
    print("clusters apart   ", covered(np.array([120.0, 150.0])))
    print("overlapping rain ", covered(np.array([900.0, 900.0])))
