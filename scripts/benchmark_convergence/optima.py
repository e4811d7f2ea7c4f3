"""The best optimum that an independent program finds: 200 starts of scikit-learn.

    python scripts/benchmark_convergence optima [--rows 200000] [--sets overlapping ...]

Each start runs on a random tenth of the rows, or 5,000 of them; the five best go on over all rows
until a pass gains less than 1e-7 per row. The largest log-likelihood per row is kept in
`scripts/results/optima.json`, where the benchmark finds it.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sets import Set, get_set
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

OPTIMA = Path(__file__).resolve().parents[1] / "results" / "optima.json"
STARTS = 200
FINALISTS = 5
INITS = ("kmeans", "k-means++", "random_from_data", "kmeans")


def fitted(rows: np.ndarray, n_components: int, **words: Any) -> GaussianMixture:
    """Return a fit of scikit-learn, converged or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(n_components, **words).fit(rows)


def short(data: Set, seed: int) -> GaussianMixture:
    """Return one start on some of the rows."""
    share = max(0.1, 5000 / len(data.rows))
    rows = data.rows[np.random.default_rng(seed).random(len(data.rows)) < share]
    init = INITS[seed % len(INITS)]
    return fitted(
        rows, data.n_components, init_params=init, tol=1e-3, max_iter=60, random_state=seed
    )


def finished(data: Set, model: GaussianMixture) -> float:
    """Return the log-likelihood per row at which a start ends on all rows."""
    whole = fitted(
        data.rows,
        model.n_components,
        weights_init=model.weights_ / model.weights_.sum(),
        means_init=model.means_,
        precisions_init=model.precisions_,
        tol=1e-7,
        max_iter=300,
    )
    return float(whole.score(data.rows))


def best_optimum(name: str, n_rows: int) -> dict[str, Any]:
    """Return the best optimum of a set, and those of the other finalists."""
    data = get_set(name, n_rows)
    starts = [short(data, seed) for seed in range(STARTS)]
    scores = [model.score(data.rows[::10]) for model in starts]
    order = np.argsort(scores)[::-1]
    found = sorted((finished(data, starts[i]) for i in order[:FINALISTS]), reverse=True)
    return {"rows": len(data.rows), "best": found[0], "finalists": found, "starts": STARTS}


def known(name: str, n_rows: int) -> float:
    """Return the stored optimum of a set, or minus infinity."""
    stored = json.loads(OPTIMA.read_text()) if OPTIMA.is_file() else {}
    return float(stored.get(f"{name}, {n_rows}", {}).get("best", -np.inf))


def store(name: str, n_rows: int) -> None:
    """Find the best optimum of a set and keep it beside the others."""
    found = best_optimum(name, n_rows)
    print(name, found, flush=True)
    stored = json.loads(OPTIMA.read_text()) if OPTIMA.is_file() else {}
    stored[f"{name}, {found['rows']}"] = found
    OPTIMA.parent.mkdir(exist_ok=True)
    OPTIMA.write_text(json.dumps(stored, indent=1) + "\n")
