"""A seeded part of the coverage study; all of it is run by ``python -m scripts.coverage``."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.coverage.study import CASES, coverage


@pytest.mark.slow
def test_intervals_of_resolved_components_hold_the_truth():
    """40 sets: of 95 % intervals at least 31 of 40 hold the truth, each with probability 1 - 2e-4.

    All intervals of a kind together, which are not independent: their mean within 4 points of 95,
    at least twice its standard error.
    """
    shares, used = coverage("diag", 40, n_rows=1000)
    assert used == 40
    for kinds in shares.values():
        for kind in ("weights", "means", "variances"):
            assert kinds[kind].min() >= 31 / 40
        every = np.concatenate([share.ravel() for share in kinds.values()])
        assert 0.91 <= every.mean() <= 0.99


def test_an_interval_of_the_wrong_width_is_noticed(monkeypatch):
    """Half as wide intervals hold the truth in 67 % of sets: the bounds above tell."""
    from scripts.coverage import study

    def half(mixture, answer, method):
        return errors_from(mixture, answer, method, level=0.673)

    errors_from = study.errors_from
    monkeypatch.setattr(study, "errors_from", half)
    shares, _ = coverage("diag", 8, n_rows=1000)
    every = np.concatenate([share.ravel() for share in shares["hessian"].values()])
    assert every.mean() < 0.91
    assert set(CASES) == {"full", "diag", "tied", "unresolved"}
