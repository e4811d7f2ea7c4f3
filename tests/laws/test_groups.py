"""Weights by group of rows: sums, optima, labels, outputs, files."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from gmm_dask import (
    ArraySource,
    Block,
    GaussianMixture,
    LocalEngine,
    Observed,
    Observer,
    RowLayout,
    RowShare,
    fit_many,
    row_groups,
)
from gmm_dask.folds.e_step import EStep
from gmm_dask.mixture import Mixture, m_step
from tests.laws.helpers import SHARES, interrupted, two_heaps
from tests.strategies import mixture_near


def test_the_optimum_is_that_of_direct_maximisation():
    """Shared means and variance, own weights by group: against scipy over all six numbers."""
    x, _, label = two_heaps(300)
    codes = np.unique(label, return_inverse=True)[1]

    def lost(at):
        log_density = stats.norm.logpdf(x, at[:2], math.exp(at[2]))
        share = 1 / (1 + np.exp(-at[3:]))
        weights = np.column_stack([1 - share, share])[codes]
        return -np.logaddexp.reduce(log_density + np.log(weights), axis=1).sum()

    best = optimize.minimize(lost, [0.0, 3.0, 0.0, -1.0, 0.0, 1.0], method="BFGS")
    for law in (True, False):
        model = fit_many(x, 2, "tied", groups=label, tol=1e-12, random_state=0, accelerate=law).best
        order = np.argsort(model.means_[:, 0])
        np.testing.assert_allclose(model.means_[order, 0], best.x[:2], atol=1e-4)
        share = model.weights_by_group_[:, order[1]]
        np.testing.assert_allclose(share, 1 / (1 + np.exp(-best.x[3:])), atol=1e-4)
        assert model.score(x, groups=label) * len(x) == pytest.approx(-best.fun, abs=1e-5)
        assert model.n_parameters == 3 + 3
        pooled = np.bincount(codes) / len(x) @ model.weights_by_group_
        np.testing.assert_allclose(model.weights_, pooled, rtol=1e-9)


def test_well_separated_counts_are_those_of_the_labels():
    x, _, label = two_heaps(500, apart=40.0)
    model = GaussianMixture(2, random_state=0).fit(x, groups=label)
    found = model.predict(x, groups=label)
    names, codes = np.unique(label, return_inverse=True)
    table = np.zeros((3, 2))
    np.add.at(table, (codes, found), 1)
    np.testing.assert_array_equal(model.groups_, names)
    expected = table / table.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.weights_by_group_, expected, rtol=1e-12)


def grouped_mixture(rows, K, G, seed) -> Mixture:
    """Return a mixture of some rows with random weights in each group."""
    mixture = mixture_near(rows, "full", K, seed)
    weights = np.random.default_rng(seed).dirichlet(np.full(K, 2.0), G)
    return replace(mixture, weights=weights)


@pytest.mark.parametrize("noise", ["", "diag", "full"])
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_each_group_under_its_own_mixture(noise, holes, weighted):
    rng = np.random.default_rng(1)
    n, D, G = 90, 2, 4
    values = rng.normal(0, 1, (n, D)) + 3 * rng.integers(0, 2, n)[:, None]
    mixture = grouped_mixture(values, 3, G, 7)
    if holes:
        values[rng.random((n, D)) < 0.3] = np.nan
    C = {
        "": None,
        "diag": rng.uniform(0.1, 0.5, (n, D)),
        "full": np.repeat(0.3 * np.eye(D)[None] + 0.1, n, axis=0),
    }[noise]
    weight = rng.uniform(0.5, 2, n) if weighted else None
    group = rng.integers(0, G, n)
    rows = Observed(values, weight, C, group)
    total = Observer(mixture).e_step(rows)
    log_density, resp = Observer(mixture).posterior(rows)
    for g in range(G):
        mine = group == g
        alone = Observer(replace(mixture, weights=mixture.weights[g : g + 1]))
        part = Observed(*(None if p is None else p[mine] for p in (values, weight, C)))
        sums = alone.e_step(part)
        np.testing.assert_allclose(total.count[g], sums.count[0], rtol=1e-12)
        found = alone.posterior(part)
        np.testing.assert_allclose(log_density[mine], found[0], rtol=1e-12)
        np.testing.assert_allclose(resp[mine], found[1], rtol=1e-11, atol=1e-15)
    parts = [
        Observer(replace(mixture, weights=mixture.weights[[g]])).e_step(
            Observed(*(None if p is None else p[group == g] for p in (values, weight, C)))
        )
        for g in range(G)
    ]
    for name in ("first", "second"):
        whole = sum(getattr(p.moments, name) for p in parts)
        np.testing.assert_allclose(getattr(total.moments, name), whole, rtol=1e-10, atol=1e-12)
    likelihood = sum(p.log_likelihood for p in parts)
    np.testing.assert_allclose(total.log_likelihood, likelihood, rtol=1e-12)


@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_small_groups_together_are_groups_one_by_one(kind, monkeypatch):
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (5000, 3)) + 3 * rng.integers(0, 2, 5000)[:, None]
    values[0] = 1e160  # beyond what any density represents
    mixture = mixture_near(values[1:], kind, 3, 1)
    mixture = replace(mixture, weights=rng.dirichlet(np.ones(3), 40))
    mixture.weights[5] = [1.0, 0.0, 0.0]
    values[1:][rng.random((4999, 3)) < 0.1] = np.nan
    rows = Observed(values, rng.uniform(0, 2, 5000), None, rng.integers(0, 40, 5000))
    found = {}
    for small in (0, 10**9):
        monkeypatch.setattr(row_groups, "SMALL", small)
        found[small] = Observer(mixture).e_step(rows)
    together, apart = found[10**9], found[0]
    np.testing.assert_allclose(together.count, apart.count, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(together.log_likelihood, apart.log_likelihood, rtol=1e-12)
    for one, other in zip(together.moments, apart.moments, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9 * np.abs(other).max())


def test_two_parts_are_the_whole_and_order_within_a_block_is_nothing():
    x, _, label = two_heaps(700, d=2)
    codes = np.unique(label, return_inverse=True)[1].astype(float)
    layout = RowLayout(2, n_groups=3)
    rows = layout.join(Observed(x, None, None, codes.astype(int)))
    fold = EStep(grouped_mixture(x, 2, 3, 0), RowShare.all_rows(layout))
    prepared = fold.prepare()
    whole = fold.measure(prepared, Block(rows, 0))
    parts = fold.merge(
        fold.measure(prepared, Block(rows[:300], 0)), fold.measure(prepared, Block(rows[300:], 300))
    )
    np.testing.assert_allclose(parts.count, whole.count, rtol=1e-12)
    np.testing.assert_allclose(parts.moments.second, whole.moments.second, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(whole.count.sum(axis=1), np.bincount(codes.astype(int)), rtol=1e-12)


def test_the_same_bits_for_any_chunks():
    import dask.array as da

    x, _, label = two_heaps(900, d=2)
    words = {"random_state": 0, "max_iter": 5, "tol": 1e-3}
    reference = fit_many(x, 2, groups=label, **words).best
    for chunks in (900, 250, (100, 500, 300)):
        lazy = da.from_array(x, chunks=(chunks, 2))
        coded = da.from_array(label, chunks=(400,))
        for groups in (label, coded):
            model = fit_many(lazy, 2, groups=groups, **words).best
            assert model.mixture_.fingerprint == reference.mixture_.fingerprint
    labels = model.predict(lazy, groups=coded)
    np.testing.assert_array_equal(labels.compute(), reference.predict(x, groups=label))


def test_outputs_take_the_weights_of_the_group_or_of_all():
    x, _, label = two_heaps(400, apart=2.0)
    model = GaussianMixture(2, random_state=0, tol=1e-8, max_iter=500).fit(x, groups=label)
    density = np.column_stack(
        [
            stats.norm.pdf(x[:, 0], m[0], math.sqrt(S[0, 0]))
            for m, S in zip(model.means_, model.covariances_, strict=True)
        ]
    )
    codes = np.unique(label, return_inverse=True)[1]
    for groups, weights in ((label, model.weights_by_group_[codes]), ("pooled", model.weights_)):
        joint = density * weights
        resp = joint / joint.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict_proba(x, groups=groups), resp, atol=1e-12)
        log_density = np.log(joint.sum(axis=1))
        np.testing.assert_allclose(model.score_samples(x, groups=groups), log_density, rtol=1e-10)
        assert model.score(x, groups=groups) == pytest.approx(log_density.mean(), rel=1e-10)
        np.testing.assert_array_equal(model.predict(x, groups=groups), resp.argmax(axis=1))
    drawn = model.sample(4000, group="c")[1]
    share = np.bincount(drawn, minlength=2) / 4000
    np.testing.assert_allclose(share, model.weights_by_group_[2], atol=4 * 0.5 / math.sqrt(4000))


def test_blank_rows_and_holes_follow_their_group():
    x, _, label = two_heaps(400, d=2)
    x[:30, 1] = np.nan
    x[5] = np.nan
    model = GaussianMixture(2, missing="marginalize", random_state=0).fit(x, groups=label)
    with pytest.warns(UserWarning, match="hold no value"):
        resp = model.predict_proba(x, groups=label)
    of_group = model.weights_by_group_[list(SHARES).index(label[5])]
    np.testing.assert_array_equal(resp[5], of_group)
    filled = model.impute(x, groups=label)
    np.testing.assert_allclose(filled[5], of_group @ model.means_, rtol=1e-10)


def test_a_group_whose_rows_weigh_nothing_has_the_weights_of_all():
    x, _, label = two_heaps(300)
    weight = (label != "b").astype(float)
    model = GaussianMixture(2, random_state=0).fit(x, groups=label, sample_weight=weight)
    assert np.isfinite(model.weights_by_group_).all()
    np.testing.assert_allclose(model.weights_by_group_[1], model.weights_, rtol=1e-9)


def test_laws_hold_in_each_group():
    rng = np.random.default_rng(3)
    rates = np.array([0.4, 1.2])
    code = np.repeat([0, 1], 400)
    k = rng.poisson(rates[code]).clip(max=3)
    x = (2.0 * k + rng.normal(0, 0.1, 800))[:, None]  # so far apart that counts are counts
    words = {"weights": "poisson", "random_state": 0, "accelerate": True}
    model = fit_many(x, 4, "tied", groups=code, **words).best
    for g in range(2):
        count = np.bincount(k[code == g], minlength=4)

        def lost(rate, count=count):
            tail = stats.poisson.sf(2, rate)
            weights = [*stats.poisson.pmf(range(3), rate), tail]
            return -(count * np.log(weights)).sum()

        best = optimize.minimize_scalar(lost, bounds=(0.01, 9), method="bounded")
        assert model.law_["lambda"][g] == pytest.approx(best.x, abs=1e-4)
    assert model.n_parameters == 4 + 1 + 2


def test_warm_starts_keep_known_groups():
    x, _, label = two_heaps(300)
    model = GaussianMixture(2, random_state=0, warm_start=True, tol=1e-9, max_iter=500)
    model.fit(x, groups=label)
    kept = model.weights_by_group_
    model.fit(x, groups=label)
    assert model.n_iter_ <= 3
    np.testing.assert_allclose(model.weights_by_group_, kept, atol=1e-4)
    model.fit(x, groups=np.where(label == "a", "d", label))
    assert model.groups_.tolist() == ["b", "c", "d"]
    model.fit(x)
    assert not hasattr(model, "groups_")
    assert model.mixture_.weights.shape == (1, 2)


def test_a_resumed_fit_has_the_bits_of_an_undisturbed_one(tmp_path):
    x, _, label = two_heaps(500, apart=2.0)
    words = {"groups": label, "random_state": 0, "tol": 1e-10}
    whole = fit_many(x, 2, **words).best
    with interrupted(after=6) as stop:
        fit_many(x, 2, checkpoint=tmp_path, callback=stop, **words)
    again = fit_many(x, 2, checkpoint=tmp_path, resume="require", **words).best
    assert again.mixture_.fingerprint == whole.mixture_.fingerprint


def test_ten_thousand_groups_cost_counts_and_no_more():
    """The statistics of a pass are (G, K) beside the moments, and the rows are passed over once."""
    G, K = 10_000, 3
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (2 * G, 1)) + 4 * rng.integers(0, K, 2 * G)[:, None]
    layout = RowLayout(1, n_groups=G)
    rows = layout.join(Observed(x, None, None, np.repeat(np.arange(G), 2)))
    mixture = grouped_mixture(x[:100], K, G, 0)
    fold = EStep(mixture, RowShare.all_rows(layout))
    assert fold.stats_bytes < 8 * G * K + 1000
    sums = LocalEngine().fold(fold, ArraySource(rows))
    np.testing.assert_allclose(sums.count.sum(axis=1), 2.0, rtol=1e-12)
    after = m_step(mixture, sums)
    np.testing.assert_allclose(after.pooled, sums.count.sum(axis=0) / (2 * G), rtol=1e-10)
