"""How often intervals hold the truth: simulated sets, fitted from scratch, seeds fixed before."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from gmm_dask import ArraySource, Information, LocalEngine, errors_from, fit_many

METHODS = ("hessian", "opg", "sandwich")
KINDS = ("weights", "means", "variances", "covariances", "correlations")


class Truth(NamedTuple):
    """A mixture to draw from."""

    covariance_type: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def draw(self, n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        labels = rng.choice(len(self.weights), n, p=self.weights)
        lower = np.linalg.cholesky(self.covariances)
        z = rng.standard_normal((n, self.means.shape[1]))
        return self.means[labels] + np.einsum("nde,ne->nd", lower[labels], z)


CASES = {
    "full": Truth(
        "full",
        np.array([0.5, 0.3, 0.2]),
        np.array([[0.0, 0.0], [3.5, 1.0], [-1.0, 4.0]]),
        np.array([[[1.0, 0.4], [0.4, 1.0]], [[0.6, -0.2], [-0.2, 1.2]], [[1.5, 0.0], [0.0, 0.4]]]),
    ),
    "diag": Truth(
        "diag",
        np.array([0.7, 0.3]),
        np.array([[0.0, 0.0, 0.0], [2.5, 1.0, 0.0]]),
        np.array([np.diag([1.0, 2.0, 1.0]), np.diag([0.5, 1.0, 3.0])]),
    ),
    "tied": Truth(
        "tied",
        np.array([0.6, 0.4]),
        np.array([[0.0, 0.0], [3.0, 0.0]]),
        np.array([[[1.0, 0.5], [0.5, 1.0]]] * 2),
    ),
    "unresolved": Truth(
        "full", np.array([0.6, 0.4]), np.array([[0.0], [1.5]]), np.array([[[1.0]], [[1.0]]])
    ),
}


def held(truth: Truth, n: int, seed: int) -> dict[str, dict[str, np.ndarray]] | None:
    """Return which intervals of one set hold the truth, by method and kind; None without any."""
    X = truth.draw(n, seed)
    K, kind = len(truth.weights), truth.covariance_type
    model = fit_many(X, K, kind, n_init=2, tol=1e-8, random_state=seed, race=False).best
    answer = LocalEngine(1).fold(Information(model.mixture_), ArraySource(X))
    order = matched(model.means_, truth.means)
    found = {method: errors_from(model.mixture_, answer, method) for method in METHODS}
    if any(np.isnan(errors.means.error).any() for errors in found.values()):
        return None
    return {method: within(errors, truth, order) for method, errors in found.items()}


def matched(means: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the component of the fit that is each component of the truth."""
    distance = ((truth[:, None] - means) ** 2).sum(axis=2)
    return linear_sum_assignment(distance)[1]


def within(errors, truth: Truth, order: np.ndarray) -> dict[str, np.ndarray]:
    S, D = truth.covariances, truth.means.shape[1]
    width = np.sqrt(np.diagonal(S, axis1=1, axis2=2))
    below = np.tril_indices(D, -1)
    inside = {
        "weights": (errors.weights, truth.weights),
        "means": (errors.means, truth.means),
        "covariances": (errors.covariances, S),
        "correlations": (errors.correlations, S / (width[:, :, None] * width[:, None, :])),
    }
    found = {
        name: (estimate.low[order] <= value) & (value <= estimate.high[order])
        for name, (estimate, value) in inside.items()
    }
    found["variances"] = np.diagonal(found["covariances"], axis1=1, axis2=2)
    found["covariances"] = found["covariances"][:, *below]
    found["correlations"] = found["correlations"][:, *below]
    return found


def coverage(case: str, n_sets: int, n_rows: int = 5000, first_seed: int = 0):
    """Return the share of sets in which each interval holds, and how many sets have errors."""
    truth = CASES[case]
    sets = [held(truth, n_rows, first_seed + i) for i in range(n_sets)]
    used = [one for one in sets if one is not None]
    shares = {
        method: {kind: np.mean([one[method][kind] for one in used], axis=0) for kind in KINDS}
        for method in METHODS
    }
    return shares, len(used)
