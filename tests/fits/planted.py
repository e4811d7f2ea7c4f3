"""A fit in a poor optimum, planted: two components share one cluster, and one has two."""

from __future__ import annotations

import numpy as np

from gmm_dask.fits.em import EM
from gmm_dask.fits.groups import grouped, mixture_of
from gmm_dask.folds.e_step import EStep
from gmm_dask.mixture import Mixture
from gmm_dask.search import Grid, template
from tests.strategies import ask, clusters, frame_of

X, LABELS = clusters(1200, 2, 4, seed=1, apart=9.0)


def of_labels(rows: np.ndarray, labels: np.ndarray, kind: str = "full") -> Mixture:
    """Return the M-step of hard labels."""
    K = labels.max() + 1
    base = template(Grid((K,), (kind,)), frame_of(rows), K, kind)
    return mixture_of(base, grouped(base.frame.forward(rows), np.ones(len(rows)), labels))


def em(mixture: Mixture, rows: np.ndarray, tol: float = 1e-9) -> EM:
    fit = EM(mixture, tol, 2000)
    while fit.outcome is None:
        fit = fit.tell(ask(fit.ask(), rows))
    return fit


def log_likelihood(mixture: Mixture, rows: np.ndarray) -> float:
    return float(ask(EStep(mixture), rows).log_likelihood)


def poor() -> np.ndarray:
    """Labels that give two components to one cluster and one component to two."""
    order = np.argsort(np.bincount(LABELS))  # the two smallest share one
    one = np.flatnonzero(order[-1] == LABELS)
    labels = np.array([0, 0, 1, 2])[np.argsort(order)][LABELS]
    labels[one[: len(one) // 2]] = 3
    return labels


POOR = em(of_labels(X, poor()), X)
BEST = em(of_labels(X, LABELS), X)
