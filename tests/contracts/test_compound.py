"""What families that are more than Gaussians must do. A new one joins by one line in `CASES`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmm_dask.blocks import Block
from gmm_dask.folds.e_step import EStep
from gmm_dask.mixture import in_order, m_step, objective
from gmm_dask.rows import RowFunction, draw_rows
from gmm_dask.tree import add, nbytes
from tests.compound import PERIODS, begun, mixed
from tests.strategies import ask, close, partitions

CASES = {
    "angles": ([1, 3], {"circular": {0: 360.0, 1: 24.0}}),
    **{
        f"product {kind}": ([0, 1, 2, 3], {"circular": PERIODS, "kind": kind})
        for kind in ("full", "tied", "diag", "spherical")
    },
    "background": ([0, 2], {"background": "uniform"}),
    "product and background": ([0, 1, 2, 3], {"circular": PERIODS, "background": "uniform"}),
}
cases = pytest.mark.parametrize(("columns", "words"), CASES.values(), ids=CASES)


@cases
def test_likelihood_rises_with_every_pass(columns, words):
    X = mixed(400)[0][:, columns]
    mixture, bounds = begun(X, 3, init="random", **words), []
    for _ in range(40):
        sums = ask(EStep(mixture), X)
        bounds.append(objective(mixture, sums))
        mixture = m_step(mixture, sums)
    assert np.diff(bounds).min() >= -1e-12 * max(1.0, abs(bounds[-1]))
    assert bounds[-1] > bounds[0] + 0.01


@pytest.mark.parametrize("name", ["angles", "background", "product"])
def test_density_integrates_to_one(name):
    columns, words = {**CASES, "product": ([0, 1], {"circular": {1: 360.0}})}[name]
    X = mixed(300)[0][:, columns]
    mixture = begun(X, 2, **words)
    low, high = X.min(axis=0) - 25, X.max(axis=0) + 25
    for column, period in words.get("circular", {}).items():
        low[column], high[column] = 0.0, period
    # cells of 1/700: midpoints are exact to rounding but at the edges of a box, where a cell is cut
    axes = [a + (b - a) * (np.arange(700) + 0.5) / 700 for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(RowFunction(mixture, "log_prob_norm")(grid))
    volume = np.prod((high - low) / 700)
    allowed = 0.01 if name == "background" else 1e-9
    assert density.sum() * volume == pytest.approx(1.0, abs=allowed)


@cases
@settings(max_examples=5, deadline=None, derandomize=True)
@given(cuts=partitions(300), seed=st.integers(0, 9))
def test_split_and_merge_is_whole(columns, words, cuts, seed):
    X = mixed(300, seed=seed)[0][:, columns]
    fold = EStep(begun(X, 3, **words))
    close(ask(fold, X), ask(fold, X, cuts), 1e-12)


@cases
def test_no_rows_are_the_zero_element(columns, words):
    X = mixed(50)[0][:, columns]
    mixture = begun(X, 3, **words)
    fold = EStep(mixture)
    ready = fold.prepare()
    empty = fold.measure(ready, Block(X[:0], 17))
    assert all(not np.any(part) for part in (empty.count, empty.log_likelihood, empty.n_rows))
    whole = fold.measure(ready, Block(X, 0))
    close(add(whole, empty), whole, 0.0)
    close(mixture.family.zero_moments(mixture.n_components, X.shape[1]), empty.moments, 0.0)
    assert nbytes(whole) <= fold.stats_bytes


@cases
def test_em_recovers_what_was_drawn(columns, words):
    X = mixed(600)[0][:, columns]
    truth = begun(X, 3, **words)
    drawn, labels = draw_rows(truth, 5, 0, 10000)
    mixture = truth
    for _ in range(15):
        mixture = m_step(mixture, ask(EStep(mixture), drawn))
    # the standard error of a share of 0.3 is 0.005 with labels known; overlap makes it more
    np.testing.assert_allclose(mixture.weights, truth.weights, atol=0.03)
    shares = np.bincount(labels, minlength=truth.n_components) / len(labels)
    np.testing.assert_allclose(shares, truth.weights[0], atol=0.015)
    own, wanted = mixture.params.means, truth.params.means
    spread = np.sqrt(np.diagonal(truth.family.dense(truth.params), axis1=1, axis2=2))
    apart = own - wanted
    for column in words.get("circular", {}):
        apart[:, column] = np.angle(np.exp(1j * apart[:, column]))
    assert np.abs(apart / spread).max() < 0.1  # some 2500 rows each: 0.02 without overlap


@cases
def test_order_only_relabels(columns, words):
    X = mixed(200)[0][:, columns]
    mixture = begun(X, 3, **words)
    ordered = in_order(mixture)
    assert (np.diff(ordered.weights[0, :3]) <= 0).all()
    np.testing.assert_array_equal(ordered.weights[0, 3:], mixture.weights[0, 3:])
    before, after = (RowFunction(m, "log_prob_norm")(X) for m in (mixture, ordered))
    np.testing.assert_allclose(after, before, rtol=1e-13)


@cases
def test_counts_of_parameters(columns, words):
    X = mixed(100)[0][:, columns]
    mixture = begun(X, 3, **words)
    C = len(words.get("circular", {}))
    L, extra = len(columns) - C, "background" in words
    shapes = {"full": 3 * L * (L + 1) // 2, "tied": L * (L + 1) // 2, "diag": 3 * L, "spherical": 3}
    of_lines = 3 * L + shapes[words.get("kind", "full")] if L else 0
    assert mixture.n_parameters == of_lines + 2 * 3 * C + 2 + extra
