"""Holes, errors and weights against textbook formulas, row by row, with scipy's densities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from gmm_dask.blocks import Frame, Observed, RowLayout
from gmm_dask.families.floors import RelativeFloor
from gmm_dask.families.gaussian import COVARIANCE_TYPES, Gaussian, GaussianParams
from gmm_dask.mixture import Mixture
from gmm_dask.observed import Observer
from gmm_dask.pieces import patterns

K, D = 3, 4


def mixture_of(kind: str, seed: int) -> Mixture:
    """A mixture in a frame that is shifted and stretched."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(K, D, D))
    full = half @ half.transpose(0, 2, 1) / D + 0.3 * np.eye(D)
    diagonal = np.diagonal(full, axis1=1, axis2=2)
    covariances = {"full": full, "tied": full[0], "diag": diagonal, "spherical": diagonal[:, 0]}
    scale = np.full(D, 2.0) if kind == "spherical" else np.array([0.5, 1.0, 4.0, 2.0])
    frame = Frame(np.array([10.0, -3.0, 0.0, 100.0]), scale, np.eye(D), np.zeros(D))
    params = GaussianParams(rng.normal(size=(K, D)), covariances[kind].copy())
    weights = rng.dirichlet(np.full(K, 3.0))[None]
    return Mixture(Gaussian(kind, RelativeFloor(np.ones(D))), params, weights, frame)


def rows_of(mixture: Mixture, n: int, seed: int, holes: float, noise: str, weighted: bool):
    rng = np.random.default_rng(seed)
    values = mixture.frame.backward(1.5 * rng.normal(size=(n, D)))
    values[rng.random((n, D)) < holes] = np.nan
    C = None
    if noise == "diag":
        C = rng.gamma(1.0, size=(n, D)) * mixture.frame.scale**2
        C[0] = 0.0
    elif noise == "full":
        half = rng.normal(size=(n, D, 2)) * mixture.frame.scale[:, None]  # singular on purpose
        C = half @ half.transpose(0, 2, 1)
    weight = rng.gamma(2.0, size=n) if weighted else None
    return Observed(values, weight, C)


class Reference(NamedTuple):
    log_likelihood: float
    count: Any
    first: Any
    second: Any


def reference(mixture: Mixture, rows: Observed) -> Reference:
    """The formulas of Bovy et al. (15, 16) and of Ghahramani and Jordan, in source units."""
    means, covariances = mixture.means, mixture.dense_covariances
    total, count = 0.0, np.zeros(K)
    first, second = np.zeros((K, D)), np.zeros((K, D, D))
    for i, value in enumerate(rows.values):
        seen = np.flatnonzero(~np.isnan(value))
        a = 1.0 if rows.sample_weight is None else rows.sample_weight[i]
        if not len(seen):
            continue
        C = np.zeros((D, D))
        if rows.noise is not None:
            C = np.diag(rows.noise[i]) if rows.noise.ndim == 2 else rows.noise[i]
        R = np.eye(D)[seen]
        w = value[seen]
        joint = np.empty(K)
        for k in range(K):
            T = R @ (covariances[k] + C) @ R.T
            density = multivariate_normal(R @ means[k], T).logpdf(w)
            joint[k] = np.log(mixture.weights[0, k]) + density
        norm = np.logaddexp.reduce(joint)
        total += a * norm
        for k in range(K):
            V = covariances[k]
            gain = V @ R.T @ np.linalg.inv(R @ (V + C) @ R.T)
            b, B = gain @ (w - R @ means[k]), V - gain @ R @ V
            share = a * np.exp(joint[k] - norm)
            count[k] += share
            first[k] += share * b
            second[k] += share * (np.outer(b, b) + B)
    return Reference(total, count, first, second)


def in_shape(kind: str, second: Any) -> Any:
    if kind == "full":
        return second
    if kind == "tied":
        return second.sum(axis=0)
    diagonal = np.diagonal(second, axis1=1, axis2=2)
    return diagonal if kind == "diag" else diagonal.sum(axis=1)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
@pytest.mark.parametrize("noise", ["", "diag", "full"])
@pytest.mark.parametrize("holes", [0.0, 0.4])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_the_textbook(kind, noise, holes, weighted):
    mixture = mixture_of(kind, 1)
    rows = rows_of(mixture, 60, 2, holes, noise, weighted)
    found, expected = Observer(mixture).e_step(rows), reference(mixture, rows)
    likelihood = float(found.log_likelihood) - float(found.n_rows) * mixture.frame.log_scale
    assert likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    assert np.allclose(found.count[0], expected.count, rtol=1e-11)
    scale = mixture.frame.scale
    assert np.allclose(found.moments.first * scale, expected.first, rtol=1e-9, atol=1e-9)
    second = in_shape(kind, expected.second / np.outer(scale, scale))
    assert np.allclose(found.moments.second, second, rtol=1e-10, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(COVARIANCE_TYPES),
    noise=st.sampled_from(["", "diag", "full"]),
    seed=st.integers(0, 10**6),
    cut=st.integers(0, 30),
)
def test_parts_add_up_to_the_whole(kind, noise, seed, cut):
    mixture = mixture_of(kind, seed)
    rows = rows_of(mixture, 30, seed, 0.3, noise, True)
    observer = Observer(mixture)
    parts = [
        observer.e_step(Observed(*(None if x is None else x[part] for x in rows)))
        for part in (slice(0, cut), slice(cut, None))
    ]
    whole = observer.e_step(rows)
    for a, b, c in zip(*(leaves(s) for s in (*parts, whole)), strict=True):
        assert np.allclose(a + b, c, rtol=1e-11, atol=1e-11)


def leaves(sums: Any) -> list[Any]:
    flat = (sums.log_likelihood, sums.n_rows, sums.count, *sums.moments)
    return [np.asarray(x) for x in flat]


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_zero_noise_is_no_noise_and_weight_two_is_two_rows(kind):
    mixture = mixture_of(kind, 5)
    plain = rows_of(mixture, 50, 6, 0.2, "", False)
    quiet = plain._replace(noise=np.zeros((50, D)))
    observer = Observer(mixture)
    for a, b in zip(leaves(observer.e_step(plain)), leaves(observer.e_step(quiet)), strict=True):
        assert np.allclose(a, b, rtol=1e-10, atol=1e-10)
    times = np.random.default_rng(0).integers(0, 4, size=50)
    weighted = plain._replace(sample_weight=times.astype(float))
    repeated = Observed(np.repeat(plain.values, times, axis=0))
    both = (observer.e_step(weighted), observer.e_step(repeated))
    for a, b in zip(*(leaves(s) for s in both), strict=True):
        assert np.allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_huge_noise_is_a_missing_value(kind):
    """Its density is that of the rest, times one over the square root of 2 pi times the noise."""
    mixture = mixture_of(kind, 7)
    rows = rows_of(mixture, 20, 8, 0.0, "", False)
    noise = np.zeros((20, D))
    noise[:, 2] = 1e12
    holes = rows.values.copy()
    holes[:, 2] = np.nan
    observer = Observer(mixture)
    found = observer.e_step(rows._replace(noise=noise))
    expected = observer.e_step(Observed(holes))
    assert np.allclose(found.count, expected.count, rtol=1e-6)
    assert np.allclose(found.moments.second, expected.moments.second, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("noise", ["", "diag", "full"])
def test_posterior_and_true_values(noise):
    mixture = mixture_of("full", 9)
    rows = rows_of(mixture, 40, 10, 0.4, noise, False)
    rows.values[3] = np.nan
    log_norm, resp = Observer(mixture).posterior(rows)
    assert log_norm[3] == 0.0
    assert np.array_equal(resp[3], mixture.weights[0])
    assert np.allclose(resp.sum(axis=1), 1.0)
    assert log_norm.sum() == pytest.approx(reference(mixture, rows).log_likelihood, rel=1e-11)
    mean, covariance = Observer(mixture).true_values(rows)
    # the law of total expectation: sums over rows are those of the E-step
    sums = reference(mixture, rows)
    inside = ~np.isnan(rows.values).all(axis=1)
    expected = (sums.first + sums.count[:, None] * mixture.means).sum(axis=0)
    assert np.allclose(mean[inside].sum(axis=0), expected, rtol=1e-9)
    assert np.allclose(mean[3], mixture.weights[0] @ mixture.means)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    if noise == "":
        known = ~np.isnan(rows.values)
        assert np.allclose(mean[known], rows.values[known], rtol=1e-12)
        assert np.abs(covariance[0][known[0]][:, known[0]]).max() < 1e-9


@settings(deadline=None, max_examples=50)
@given(n=st.integers(0, 40), d=st.sampled_from([1, 3, 9, 64, 70]), seed=st.integers(0, 999))
def test_patterns_cover_every_row_once(n, d, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n, d)) < 0.3, np.nan, 1.0)
    seen: list[int] = []
    found = list(patterns(values))
    for columns, places in found:
        part = values[places]
        assert (~np.isnan(part) == np.isin(np.arange(d), columns)).all()
        seen += list(np.arange(n)[places])
    assert sorted(seen) == list(range(n))
    assert len({columns.tobytes() for columns, _ in found}) == len(found)


@pytest.mark.parametrize("noise", ["", "diag", "full"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_travel_in_one_piece(noise, weighted, dtype):
    layout = RowLayout(D, weighted, noise, missing=True)
    rows = rows_of(mixture_of("full", 1), 7, 2, 0.3, noise, weighted)
    rows = rows._replace(values=rows.values.astype(dtype))
    joined = layout.join(rows)
    assert joined.shape == (7, layout.width)
    assert joined.dtype == dtype
    back = layout.split(joined)
    assert np.array_equal(back.values, rows.values, equal_nan=True)
    for a, b in zip(back[1:], rows[1:], strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert np.allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_patterns_measured_together_are_those_measured_one_by_one(kind):
    """Rows too far out for any density, too; with weights of one patterns go one by one."""
    mixture = mixture_of(kind, 8)
    rows = rows_of(mixture, 700, 9, 0.3, "", False)
    rows.values[[3, 40, 41], 0] = [1e190, -1e200, 1e180]
    together = Observer(mixture).e_step(rows)
    alone = Observer(mixture).e_step(rows._replace(sample_weight=np.ones(700)))
    for a, b in zip(leaves(together), leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9)
