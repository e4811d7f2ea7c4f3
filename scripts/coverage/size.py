"""Size and power of the tests of equal weights: ``python -m scripts.coverage.size --sets 1000``.

Two overlapping components in two columns; seeds fixed beforehand. Prints the share of sets in
which each test rejects at 5 %, and the binomial band of 95 % about 5 %.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from scipy.stats import binom

from gmm_dask import compare_weights, fit_many
from scripts.coverage.study import Truth, matched


def rejected(weight: float, n_sets: int, n_rows: int) -> tuple[float, float]:
    """Return the share of sets in which weights are found unequal, by Wald and by likelihood."""
    means = np.array([[0.0, 0.0], [2.8, 0.5]])
    S = np.array([np.diag([1.0, 1.0]), np.diag([0.6, 1.5])])
    truth = Truth("diag", np.array([weight, 1 - weight]), means, S)
    found = []
    for seed in range(n_sets):
        X = truth.draw(n_rows, seed)
        model = fit_many(X, 2, "diag", tol=1e-8, random_state=seed, race=False).best
        tested = compare_weights(model, X, *(int(k) for k in matched(model.means_, means)))
        found.append((tested.wald_p < 0.05, tested.likelihood_ratio_p < 0.05))
    wald, ratio = np.mean(found, axis=0)
    return float(wald), float(ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=2000)
    words = parser.parse_args()
    warnings.simplefilter("ignore")
    low, high = binom.interval(0.95, words.sets, 0.05)
    band = f"{100 * low / words.sets:.1f} to {100 * high / words.sets:.1f} %"
    for weight in (0.5, 0.55):
        wald, ratio = (100 * share for share in rejected(weight, words.sets, words.rows))
        print(f"weight {weight}: Wald {wald:.1f} %, likelihood ratio {ratio:.1f} % (band {band})")


if __name__ == "__main__":
    main()
