"""The sets on which starts and accelerations compete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pyarrow import csv

K, D = 20, 10
SPREAD = {"separated": 3.0, "overlapping": 1.2, "heavily overlapping": 0.7}
REAL = {
    "faithful": ("classic/faithful.csv", 3),
    "wreath": ("classic/wreath.csv", 14),
    "gvhd": ("flow/gvhd_positive.csv", 9),
}
"""File and K."""


class Set(NamedTuple):
    """Rows, and how many components are fitted to them."""

    rows: np.ndarray
    n_components: int


def make_set(name: str, n_rows: int) -> Set:
    """Return rows of a mixture with correlated, unequal components."""
    rng = np.random.default_rng(11)
    means = SPREAD[name] * rng.normal(size=(K, D))
    factors = np.eye(D) + 0.5 * rng.normal(size=(K, D, D)) / np.sqrt(D)
    factors *= np.exp(0.3 * rng.normal(size=(K, 1, 1)))
    weights = rng.dirichlet(np.full(K, 5.0))
    labels = rng.choice(K, size=n_rows, p=weights)
    rows = np.empty((n_rows, D))
    for k in range(K):
        of_k = labels == k
        rows[of_k] = rng.normal(size=(of_k.sum(), D)) @ factors[k].T + means[k]
    return Set(rows, K)


def get_set(name: str, n_rows: int) -> Set:
    """Return a set that is made, or a real one."""
    if name in SPREAD:
        return make_set(name, n_rows)
    folder = Path(os.environ["GMM_DASK_DATA"])
    if name == "pbmc":
        import anndata

        scores = anndata.read_h5ad(folder / "single_cell" / "pbmc68k_reduced.h5ad").obsm["X_pca"]
        return Set(np.asarray(scores, dtype=float)[:, :10], 8)
    path, n_components = REAL[name]
    table = csv.read_csv(folder / path)
    rows = np.column_stack([column.to_numpy() for column in table.columns]).astype(float)
    return Set(rows, n_components)
