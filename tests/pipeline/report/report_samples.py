"""Results made from small mixtures that scikit-learn fits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from pipeline.report import (
    CandidateRow,
    Column,
    ComponentRow,
    Composition,
    Contour,
    Dropped,
    Embedding,
    Histogram,
    Line,
    OutputFile,
    Pair,
    Passes,
    RestartRow,
    Results,
    Run,
    SourceFacts,
    leading_pairs,
)

CONFIG = "version: 1\nsource:\n  path: builtin:digits\nmodel:\n  n_components: 2..12\n"


def fits(
    Z: np.ndarray, sizes: Sequence[int], types: Sequence[str], n_init: int
) -> tuple[tuple[CandidateRow, ...], list[GaussianMixture]]:
    """Candidates of every size and type, each from `n_init` seeds, and their best mixtures."""
    rows, models = [], []
    for covariance_type in types:
        for K in sizes:
            row, model = candidate(Z, K, covariance_type, n_init)
            rows.append(row)
            models.append(model)
    return tuple(rows), models


def candidate(
    Z: np.ndarray, K: int, covariance_type: str, n_init: int
) -> tuple[CandidateRow, GaussianMixture]:
    held_out, train = Z[::10], np.delete(Z, np.s_[::10], axis=0)
    starts = [
        GaussianMixture(
            K, covariance_type=covariance_type, random_state=seed, max_iter=200, tol=1e-4
        ).fit(train)
        for seed in range(n_init)
    ]
    order = sorted(range(n_init), key=lambda i: -starts[i].lower_bound_)
    model = starts[order[0]]
    restarts = tuple(
        RestartRow(
            number=i,
            init="kmeans",
            lower_bound=float(starts[i].lower_bound_),
            n_iter=starts[i].n_iter_,
            outcome="CONVERGED" if starts[i].converged_ else "MAX_ITER",
        )
        for i in order
    )
    top = restarts[0].lower_bound
    scores = model.score_samples(held_out)
    proba = model.predict_proba(train)
    entropy = -float(np.sum(proba * np.log(np.maximum(proba, 1e-300))))
    trace = np.array(model.lower_bounds_) if hasattr(model, "lower_bounds_") else np.array([top])
    row = CandidateRow(
        n_components=K,
        covariance_type=covariance_type,
        log_likelihood_per_row=float(model.score(train)),
        n_rows=float(len(train)),
        n_parameters=int(model._n_parameters()),
        bic=float(model.bic(train)),
        aic=float(model.aic(train)),
        icl=float(model.bic(train)) + 2 * entropy,
        held_out=float(scores.mean()),
        held_out_error=float(scores.std() / math.sqrt(len(scores))),
        starts_agree=sum(abs(r.lower_bound - top) < 1e-3 for r in restarts),
        n_init=n_init,
        n_iter=model.n_iter_,
        converged=bool(model.converged_),
        restarts=restarts,
        trace=trace,
    )
    return row, model


def results_of(
    X: np.ndarray,
    columns: Sequence[Column],
    candidates: tuple[CandidateRow, ...],
    model: GaussianMixture,
    chosen: int,
    pca: PCA | None = None,
    **parts: Any,
) -> Results:
    """Everything that a run would store about a fitted model, computed the direct way."""
    Z = X if pca is None else pca.transform(X)
    order = np.argsort(-model.weights_, kind="stable")
    means, covs = _moments(model, pca)
    proba = model.predict_proba(Z)[:, order]
    labels, certain = proba.argmax(axis=1), proba.max(axis=1)
    overlap = _overlaps(model, order)
    components = tuple(
        _component(k, j, model, means, covs, labels, proba, overlap) for k, j in enumerate(order)
    )
    pairs = leading_pairs(components, 6) if X.shape[1] > 1 else []
    made = {
        "source": SourceFacts(name="builtin:digits", columns=tuple(columns)),
        "run": run_facts(len(X)),
        "candidates": candidates,
        "chosen": chosen,
        "criterion": "bic",
        "rule": "best",
        "components": components,
        "overlap": overlap,
        "n_ambiguous": int((certain < 0.9).sum()),
        "pairs": tuple(_pair(X, a, b, means[order], covs[order]) for a, b in pairs),
        "line": _line(X, model, order) if X.shape[1] == 1 else None,
        "probability": _histogram(certain, np.linspace(0, 1, 41)),
        "log_density": _histogram(model.score_samples(Z), 50),
        "passes": Passes(
            seconds=0.14 + 0.02 * np.abs(np.sin(np.arange(58.0))),
            live_fits=np.maximum(1, 44 - np.arange(58.0)),
        ),
    }
    return Results(**(made | parts))


def run_facts(n: int, **parts: Any) -> Run:
    made: dict[str, Any] = {
        "name": "digits", "version": "0.1.0", "config": CONFIG,
        "command": "gmm-dask run configs/quickstart.yaml",
        "started": "2026-11-20T14:02:11+00:00", "finished": "2026-11-20T14:02:20+00:00",
        "exit_code": 0, "exit_reason": "finished", "seconds": 8.7, "passes": 58, "workers": 2,
        "fingerprint": "sha256:9f3c2a51e7",
        "rows_in": n + 3,
        "rows_fitted": n,
        "rows_written": n,
        "dropped": (Dropped(reason="filter: ruwe < 1.4", rows=3),),
        "files": (
            OutputFile(name="model", path="runs/digits/model.zarr", sha256="ab" * 32),
            OutputFile(name="assignments", path="runs/digits/assignments", note=f"{n:,} rows"),
        ),
    }  # fmt: skip
    return Run(**(made | parts))


def _moments(model: GaussianMixture, pca: PCA | None) -> tuple[np.ndarray, np.ndarray]:
    K, D = model.means_.shape
    covs = {
        "full": lambda c: c,
        "tied": lambda c: np.broadcast_to(c, (K, D, D)),
        "diag": lambda c: np.array([np.diag(row) for row in c]),
        "spherical": lambda c: np.array([np.eye(D) * value for value in c]),
    }[model.covariance_type](model.covariances_)
    if pca is None:
        return model.means_, covs
    V = pca.components_
    return pca.inverse_transform(model.means_), np.einsum("pa,kpq,qb->kab", V, covs, V)


def _component(
    k: int,
    j: int,
    model: GaussianMixture,
    means: np.ndarray,
    covs: np.ndarray,
    labels: np.ndarray,
    proba: np.ndarray,
    overlap: np.ndarray,
) -> ComponentRow:
    own = proba[labels == k]
    others = np.where(np.arange(len(overlap)) == k, -1, overlap[k])
    entropy = -(own * np.log(np.maximum(own, 1e-300))).sum(axis=1)
    return ComponentRow(
        number=k,
        weight=float(model.weights_[j]),
        rows=len(own),
        mean=means[j],
        std=np.sqrt(np.maximum(np.diag(covs[j]), 0)),
        probability=float(own.max(axis=1).mean()) if len(own) else math.nan,
        entropy=float(entropy.mean()) if len(own) else math.nan,
        partner=int(others.argmax()) if len(others) > 1 else None,
        overlap=float(others.max()) if len(others) > 1 else math.nan,
    )


def _overlaps(model: GaussianMixture, order: np.ndarray) -> np.ndarray:
    means, covs = _moments(model, None)
    means, covs = means[order], covs[order]
    overlap = np.eye(len(order))
    for a, b in combinations(range(len(order)), 2):
        middle = (covs[a] + covs[b]) / 2
        gap = means[a] - means[b]
        logs = [np.linalg.slogdet(C)[1] for C in (middle, covs[a], covs[b])]
        distance = gap @ np.linalg.solve(middle, gap) / 8 + (logs[0] - (logs[1] + logs[2]) / 2) / 2
        overlap[a, b] = overlap[b, a] = math.exp(-distance)
    return overlap


def _pair(X: np.ndarray, a: int, b: int, means: np.ndarray, covs: np.ndarray) -> Pair:
    counts, x_edges, y_edges = np.histogram2d(X[:, a], X[:, b], bins=_bins(X))
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    circle = np.column_stack([np.cos(turn), np.sin(turn)])
    contours = []
    for k in range(len(means)):
        block = covs[k][np.ix_([a, b], [a, b])] + 1e-12 * np.eye(2)
        root = np.linalg.cholesky(block)
        contours += [
            Contour(component=k, sigma=s, points=means[k][[a, b]] + s * circle @ root.T)
            for s in (1.0, 2.0)
        ]
    return Pair(x=a, y=b, x_edges=x_edges, y_edges=y_edges, counts=counts, contours=tuple(contours))


def _bins(X: np.ndarray) -> int:
    return 17 if np.array_equal(X, X.round()) else 70


def _line(X: np.ndarray, model: GaussianMixture, order: np.ndarray) -> Line:
    grid = np.linspace(X.min(), X.max(), 200)
    var = _moments(model, None)[1][:, 0, 0]
    z2 = (grid - model.means_) ** 2 / var[:, None]
    densities = model.weights_[:, None] * np.exp(-z2 / 2) / np.sqrt(2 * np.pi * var[:, None])
    return Line(histogram=_histogram(X[:, 0], 40), grid=grid, densities=densities[order])


def _histogram(values: np.ndarray, bins: Any) -> Histogram:
    counts, edges = np.histogram(values, bins=bins)
    return Histogram(edges=edges, counts=counts.astype(float))


def digits_results(sizes: Sequence[int] = range(2, 13), n_init: int = 3) -> Results:
    """Scikit-learn's digits in ten principal components, the number of Gaussians by BIC."""
    digits = load_digits()
    X = digits.data
    pca = PCA(10, random_state=0).fit(X)
    with threadpool_limits(1):  # threads of two cores wait for each other on so few rows
        candidates, models = fits(pca.transform(X), sizes, ("full", "diag"), n_init)
    chosen = min(range(len(candidates)), key=lambda i: candidates[i].bic)
    K = candidates[chosen].n_components
    columns = [Column(name=f"pixel_{i // 8}_{i % 8}", unit="grey level") for i in range(64)]
    Z = pca.transform(X)
    model = models[chosen]
    labels = np.argsort(np.argsort(-model.weights_, kind="stable"))[model.predict(Z)]
    counts = np.array([[np.sum((labels == k) & (digits.target == d)) for d in range(10)]
                       for k in range(K)], dtype=float)  # fmt: skip
    grid, x, y = np.histogram2d(Z[:, 0], Z[:, 1], bins=60)
    medians = np.array([np.median(Z[labels == k][:, :2], axis=0) for k in range(K)])
    return results_of(
        X, columns, candidates, model, chosen, pca,
        source=SourceFacts(
            name="builtin:digits",
            columns=tuple(columns),
            transforms=("principal components (10 of 64)",),
            density_note="Log densities are per unit of the ten principal components.",
        ),
        compositions=(
            Composition(name="digit", categories=tuple(map(str, range(10))), counts=counts),
        ),
        embedding=Embedding(
            name="obsm/X_umap", x_edges=x, y_edges=y, counts=grid, medians=medians
        ),
        warnings=(
            "The transform pca keeps 10 of 64 columns: 26 % of the variance is not modelled.",
        ),
    )  # fmt: skip


def single_results() -> Results:
    """One component in one column."""
    X = np.random.default_rng(0).normal(70.0, 13.0, (300, 1))
    candidates, models = fits(X, [1], ["full"], 1)
    return results_of(X, [Column(name="waiting", unit="min")], candidates, models[0], 0)


def line_results() -> Results:
    """Two components in one column."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(54, 6, 97), rng.normal(80, 6, 175)])[:, None]
    candidates, models = fits(X, [1, 2, 3], ["full", "tied"], 2)
    best = min(range(6), key=lambda i: candidates[i].bic)
    return results_of(X, [Column(name="waiting", unit="min")], candidates, models[best], best)
