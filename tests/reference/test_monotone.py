"""The log-likelihood of rows with errors never falls (scripts/check_monotone.py: at full size)."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "check_monotone.py"))


@pytest.mark.parametrize(("n", "D", "K", "seed"), [(6000, 5, 20, 0), (3000, 2, 8, 1)])
def test_the_log_likelihood_of_noisy_rows_never_falls(n, D, K, seed):
    bounds = SCRIPT["bounds_of"](n, D, K, 40, seed)
    assert len(bounds) == 40
    gains = np.diff(bounds)
    assert (gains >= -SCRIPT["ROUNDING"] * np.abs(bounds[1:])).all()
    assert gains[0] > 0.01  # there was something to gain
