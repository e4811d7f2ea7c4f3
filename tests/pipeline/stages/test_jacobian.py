"""Densities and criteria in source units: against scipy, and the pass that measures them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal as normal

from gmm_dask import ArraySource, Grid, LocalEngine, RowShare, run_grid
from pipeline.config import Step
from pipeline.run.fitting import in_source_units, shift_of
from pipeline.stages.fit_steps import fit_transform
from pipeline.stages.jacobian import LogJacobian
from pipeline.stages.transform import Transform, TransformedSource
from tests.strategies import clusters


def faithful(shared_data: Path) -> np.ndarray:
    return np.loadtxt(shared_data / "classic" / "faithful.csv", delimiter=",", skiprows=1)


def grid_fit(rows: np.ndarray, *steps: Any, held: Any = None) -> tuple[Any, Transform]:
    source, engine = ArraySource(rows), LocalEngine(1)
    transform = fit_transform([Step.model_validate(step) for step in steps], source, engine)
    grid = Grid((2,), ("full",), 2, "kmeans", 1e-9, 2000, rows=held)
    seen = TransformedSource(source, transform)
    result = run_grid(seen, grid, engine)
    return in_source_units(result, shift_of(transform, source, engine, grid.rows)), transform


def log_density(rows: np.ndarray, mixture: Any, transform: Transform) -> np.ndarray:
    """Return log densities in source units: scipy's normal densities and the log-Jacobian."""
    seen = transform.apply(rows)
    parts = [
        np.log(w) + normal(m, S).logpdf(seen)
        for w, m, S in zip(
            mixture.weights[0], mixture.means, mixture.dense_covariances, strict=True
        )
    ]
    return np.logaddexp.reduce(parts) + transform.log_jacobian(rows)


@pytest.mark.data
@pytest.mark.parametrize(
    "steps", [["standardize"], ["log"], [{"arcsinh": {"cofactor": 20}}, "standardize"]]
)
def test_criteria_are_those_of_scipy_densities_in_source_units(
    shared_data: Path, steps: list[Any]
) -> None:
    rows = faithful(shared_data)
    result, transform = grid_fit(rows, *steps)
    (candidate,) = result.candidates
    total = log_density(rows, candidate.mixture, transform).sum()
    assert candidate.log_likelihood == pytest.approx(total, rel=1e-11)
    assert candidate.bic == pytest.approx(-2 * total + 11 * np.log(272), rel=1e-11)
    assert candidate.best.lower_bound == pytest.approx(total / 272, abs=1e-8)
    assert candidate.lower_bounds[-1] == candidate.best.lower_bound


@pytest.mark.data
def test_standardize_changes_no_criterion_of_full_covariances(shared_data: Path) -> None:
    rows = faithful(shared_data)
    (plain,), (scaled,) = (grid_fit(rows, *s)[0].candidates for s in ([], ["standardize"]))
    # mclust's VVV with two components: -2322.192 with the opposite sign
    assert plain.bic == pytest.approx(2322.192, abs=1e-3)
    assert scaled.bic == pytest.approx(plain.bic, abs=1e-5)
    assert scaled.icl == pytest.approx(plain.icl, abs=1e-3)


def test_held_out_rows_get_their_own_jacobian() -> None:
    rows = np.exp(clusters(2000, D=2, K=2, seed=3)[0] / 3)
    share = RowShare(0, "held out", 0.2, inside=False)
    result, transform = grid_fit(rows, "log", held=share)
    (candidate,) = result.candidates
    train = share.mask(ArraySource(rows).read(0, 2000))
    density = log_density(rows, candidate.mixture, transform)
    assert 1500 < train.sum() < 1700
    assert candidate.log_likelihood == pytest.approx(density[train].sum(), rel=1e-11)
    assert candidate.held_out == pytest.approx(density[~train].mean(), rel=1e-10)
    assert result.comparison.mean[0] == pytest.approx(candidate.held_out, rel=1e-12)


def test_jacobian_sums_do_not_depend_on_the_blocks() -> None:
    rows = np.exp(clusters(20000, D=3, K=2, seed=4)[0] / 3)
    transform = fit_transform([Step.model_validate("log")], ArraySource(rows), LocalEngine(1))
    fold = LogJacobian(transform, RowShare(1, "held out", 0.1, inside=False))
    one, many = (LocalEngine(1, block_rows=b).fold(fold, ArraySource(rows)) for b in (20480, 4096))
    assert np.allclose(one.train, many.train, rtol=1e-12)
    assert np.allclose(one.held, many.held, rtol=1e-12)
    assert one.train[1] + one.held[1] == 20000
