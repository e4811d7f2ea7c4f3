"""Each fitted step against its formula: the inverse, the Jacobian, how covariances map."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from gmm_dask import DataError
from pipeline.stages.steps import Elementwise, FittedStep, Pca, Standardize, step_from

LABELS = ("x", "y", "z")


def positive(n: int = 50, seed: int = 1) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(0, 1, (n, 3))) * [1.0, 100.0, 1e-3]


def orthonormal(m: int, D: int, seed: int = 2) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0][:m]


ARCSINH = Elementwise("arcsinh", (0, 2), ("x", "z"), 2.5)
LOG = Elementwise("log", (1, 2), ("y", "z"))
SCALED = Standardize(np.array([1.0, -2.0, 0.5]), np.array([3.0, 0.25, 1e4]))
ROTATED = Pca(np.array([1.0, 2.0, 3.0]), orthonormal(3, 3), np.array([0.6, 0.3, 0.1]))
PROJECTED = Pca(np.array([1.0, 2.0, 3.0]), orthonormal(2, 3), np.array([0.6, 0.3]))
SQUARE: tuple[Any, ...] = (ARCSINH, LOG, SCALED, ROTATED)
ALL = (*SQUARE, PROJECTED)


def name_of(step: Any) -> str:
    return f"{step.name}{len(getattr(step, 'components', ()))}"


def test_apply_is_the_formula() -> None:
    rows = positive()
    x, y, z = rows.T
    bent = np.stack([np.arcsinh(x / 2.5), y, np.arcsinh(z / 2.5)], axis=1)
    assert np.array_equal(ARCSINH.apply(rows), bent)
    assert np.array_equal(LOG.apply(rows), np.stack([x, np.log(y), np.log(z)], axis=1))
    assert np.array_equal(SCALED.apply(rows), (rows - SCALED.mean) / SCALED.deviation)
    assert np.allclose(PROJECTED.apply(rows), (rows - [1, 2, 3]) @ PROJECTED.components.T)


def test_apply_leaves_its_input_alone() -> None:
    for step in ALL:
        rows = positive()
        step.apply(rows)
        assert np.array_equal(rows, positive()), step.name


@pytest.mark.parametrize("step", SQUARE, ids=name_of)
def test_inverse_undoes_the_step(step: FittedStep) -> None:
    rows = positive()
    error = np.abs(step.invert(step.apply(rows)) - rows)
    # a shift or rotation mixes columns: some ulps of the largest value that takes part
    largest = max(1.0, float(np.abs(rows).max()))
    exact = step.name in ("log", "arcsinh")
    assert (error <= (1e-13 * rows if exact else 1e-14 * largest)).all()


def test_pca_inverse_is_the_nearest_point_of_the_subspace() -> None:
    rows = positive()
    back = PROJECTED.invert(PROJECTED.apply(rows))
    residual = rows - back
    assert np.allclose(residual @ PROJECTED.components.T, 0, atol=1e-12)
    assert np.allclose(PROJECTED.apply(back), PROJECTED.apply(rows))


@pytest.mark.parametrize("step", SQUARE, ids=name_of)
def test_log_jacobian_is_that_of_finite_differences(step: FittedStep) -> None:
    rows = positive(8)
    for row, told in zip(rows, step.log_jacobian(rows), strict=True):
        width = 1e-5 * np.abs(row)
        sides = np.stack([row + np.diag(width), row - np.diag(width)])
        plus, minus = step.apply(sides[0]), step.apply(sides[1])
        derivative = (plus - minus) / (2 * width[:, None])
        # rounding of values near 100 over a width of 1e-8, where a rotation mixes the columns
        assert told == pytest.approx(np.linalg.slogdet(derivative)[1], abs=1e-5)


@pytest.mark.parametrize("step", SQUARE, ids=name_of)
def test_constant_jacobian_is_told_where_it_is_constant(step: FittedStep) -> None:
    each = step.log_jacobian(positive())
    if step.constant_jacobian is None:
        assert np.ptp(each) > 1
    else:
        assert np.allclose(each, step.constant_jacobian, rtol=1e-14)


@pytest.mark.parametrize("step", ALL, ids=name_of)
def test_covariance_maps_as_simulated_rows_do(step: FittedStep) -> None:
    rng = np.random.default_rng(3)
    m = len(step.columns(LABELS))
    root = np.tril(rng.normal(size=(m, m))) + 2 * np.eye(m)
    mean = step.apply(positive(1, seed=9))[0]
    shrink = 1e-3  # so small that the curvature of log and arcsinh does not show
    covariance = shrink**2 * root @ root.T
    draws = mean + shrink * rng.normal(size=(200_000, m)) @ root.T
    seen = np.cov(step.invert(draws), rowvar=False)
    told = step.invert_covariance(mean, covariance)
    size = np.sqrt(np.outer(np.diagonal(told), np.diagonal(told)))
    # sampling error of a covariance is size * sqrt(2 / n) = 0.003
    assert np.abs(seen - told).max() <= 0.02 * size.max()
    assert (np.abs(seen - told) <= 0.02 * size).all()


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_log_of_what_is_not_positive_names_column_and_absolute_row(value: float) -> None:
    rows = positive()
    rows[17, 2] = value
    with pytest.raises(DataError, match=rf"log: z is {value:g} in row 1017; positive values"):
        LOG.apply(rows, 1000)
    assert np.isfinite(ARCSINH.apply(rows)).all()


def test_log_passes_nan_on_to_the_check_of_missing_values() -> None:
    rows = positive()
    rows[3, 1] = np.nan
    assert np.isnan(LOG.apply(rows)[3, 1])


def test_names_of_columns() -> None:
    assert PROJECTED.columns(LABELS) == ("pc1", "pc2")
    assert all(step.columns(LABELS) == LABELS for step in (ARCSINH, LOG, SCALED))


@pytest.mark.parametrize("step", ALL, ids=name_of)
def test_steps_come_back_from_plain_values_and_from_pickles(step: Any) -> None:
    rows = positive()
    for again in (step_from(step.as_dict()), pickle.loads(pickle.dumps(step))):
        assert type(again) is type(step)
        assert np.array_equal(again.apply(rows), step.apply(rows))
        assert again.as_dict().keys() == step.as_dict().keys()
