"""How often `type_or_trait` is right and wrong, and whether its test keeps its size.

    python scripts/study_types.py --sets 200

Two types 2 apart, error 0.3 (6.7 deviations), 40 : 60; seeds are the numbers of the sets.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from gmm_dask import type_or_trait

ERROR = 0.3
# Rows, degrees of freedom, variance ratio of the components, factor of the replicates' error.
CASES = {
    "types": (5000, 800, 1.0, 1.0),
    "types, few replicates": (5000, 60, 1.0, 1.0),
    "continuous at the margin": (5000, 800, 1.25, 1.0),
    "continuous": (5000, 200, 1.6, 1.0),
    "error overestimated": (5000, 200, 1.0, 1.3),
}


def one(seed: int, n: int, nu: int, ratio: float, factor: float) -> tuple[str, float]:
    """Return verdict and p-value of one data set."""
    rng = np.random.default_rng(seed)
    centre = np.where(rng.random(n) < 0.4, 0.0, 2.0)
    x = centre + ERROR * np.sqrt(ratio) * rng.normal(size=n)
    found = type_or_trait(x, factor * ERROR * rng.normal(size=(nu, 2)), n_init=1)
    return found.verdict, found.p_value


def main() -> None:
    """Print the share of each verdict, and of p below 5 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    for name, case in CASES.items():
        found = [one(seed, *case) for seed in range(sets)]
        verdicts = Counter(verdict for verdict, _ in found)
        below = np.mean([p < 0.05 for _, p in found])
        shares = ", ".join(f"{v} {n / sets:.1%}" for v, n in verdicts.most_common())
        print(f"{name:26} N={case[0]} nu={case[1]}: {shares}; p < .05 in {below:.1%}", flush=True)


if __name__ == "__main__":
    main()
