"""Random rows, mixtures and partitions for tests: everything is made from a seed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from gmm_dask.blocks import ArraySource, Block, Frame
from gmm_dask.engine.local import LocalEngine
from gmm_dask.families.floors import RelativeFloor, Ridge
from gmm_dask.families.gaussian import COVARIANCE_TYPES, Gaussian, GaussianParams
from gmm_dask.first_pass import find_frame
from gmm_dask.mixture import Mixture
from gmm_dask.stats import Fold

KINDS = COVARIANCE_TYPES
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**31 - 1)


def clusters(
    n: int = 300, D: int = 2, K: int = 3, seed: int = 0, apart: float = 6.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, D) of K Gaussian clusters of unequal shape and size, and their labels."""
    rng = np.random.default_rng(seed)
    share = np.arange(K, 0, -1) / (K * (K + 1) / 2)
    labels = rng.choice(K, n, p=share)
    labels[:K] = np.arange(K)
    centres = rng.permutation(K)[:, None] * apart + rng.normal(0, 1, (K, D))
    shapes = rng.normal(0, 0.4, (K, D, D)) + np.eye(D)
    noise = rng.normal(0, 1, (n, D))
    return centres[labels] + np.einsum("nij,nj->ni", shapes[labels], noise), labels


def covariances_like(kind: str, matrices: np.ndarray) -> np.ndarray:
    """Return covariances of one type near the given matrices (K, D, D)."""
    diagonal = np.diagonal(matrices, axis1=1, axis2=2)
    return {
        "full": matrices,
        "tied": matrices.mean(axis=0),
        "diag": diagonal.copy(),
        "spherical": diagonal.mean(axis=1),
    }[kind]


def frame_of(X: np.ndarray, kind: str = "full") -> Frame:
    """Return the frame of some rows."""
    frame, _ = find_frame(LocalEngine(1), ArraySource(X), constant="allow")
    return frame.shared() if kind == "spherical" else frame


def mixture_near(
    X: np.ndarray, kind: str, K: int, seed: int = 0, reg_covar: float | None = None
) -> Mixture:
    """Return a plausible, not yet fitted mixture for rows: K of them as means."""
    rng = np.random.default_rng(seed)
    frame = frame_of(X, kind)
    rows = frame.forward(X[rng.choice(len(X), K, replace=False)])
    D = X.shape[1]
    A = rng.normal(0, 0.3, (K, D, D)) + np.eye(D)
    variance = np.where(frame.variance > 0, frame.variance, 1.0)
    matrices = 0.3 * A @ A.transpose(0, 2, 1) * np.sqrt(np.outer(variance, variance))
    floor: Any = RelativeFloor(variance)
    if reg_covar is not None:
        floor = Ridge(reg_covar / frame.scale**2, variance)
    weights = rng.dirichlet(np.full(K, 5.0))
    params = GaussianParams(rows, covariances_like(kind, matrices))
    return Mixture(Gaussian(kind, floor), params, weights[None], frame)


def mixture_of(
    kind: str, weights: Any, means: Any, covariances: Any, frame: Frame | None = None
) -> Mixture:
    """Return the mixture with these parameters in source units (identity frame by default)."""
    means = np.asarray(means, float)
    frame = frame or Frame.identity(means.shape[1])
    family = Gaussian(kind, RelativeFloor(np.ones(means.shape[1])))
    scale = {"full": np.outer(frame.scale, frame.scale), "tied": np.outer(frame.scale, frame.scale)}
    divisor = scale.get(kind, frame.scale**2 if kind == "diag" else frame.scale[0] ** 2)
    params = GaussianParams(frame.forward(means), np.asarray(covariances, float) / divisor)
    return Mixture(family, params, np.asarray(weights, float)[None], frame)


def ask(fold: Fold[Any, Any, Any], X: np.ndarray, cuts: Any = ()) -> Any:
    """Return a fold's answer from rows cut at row numbers, merged left to right."""
    edges = [0, *sorted(cuts), len(X)]
    prepared = fold.prepare()
    parts = [fold.measure(prepared, Block(X[lo:hi], lo)) for lo, hi in pairwise(edges) if hi > lo]
    total = parts[0]
    for part in parts[1:]:
        total = fold.merge(total, part)
    return fold.finish(total)


def partitions(n: int, most: int = 6) -> st.SearchStrategy[list[int]]:
    """Return random cut points of n rows; blocks of one row and unaligned ones included."""
    return st.lists(st.integers(1, n - 1), max_size=most, unique=True)


def close(a: Any, b: Any, rtol: float, scale: float = 1.0) -> None:
    """Assert that two trees of arrays agree to `rtol` of their own largest entry or `scale`."""
    if a is None:
        assert b is None
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            close(x, y, rtol, scale)
    else:
        x, y = np.asarray(a, float), np.asarray(b, float)
        assert x.shape == y.shape
        finite = np.isfinite(x)
        np.testing.assert_array_equal(finite, np.isfinite(y))
        np.testing.assert_array_equal(x[~finite], y[~finite])
        size = max(float(np.abs(x[finite]).max(initial=0.0)), scale)
        np.testing.assert_allclose(y[finite], x[finite], rtol=0, atol=rtol * size)
