"""Verdicts on pairs, and merging: moments, likelihood and what is said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import norm

from gmm_dask import (
    ConfigError,
    GaussianMixture,
    fit_many,
    merge_components,
    resolvability,
    resolvability_from,
)
from gmm_dask.diagnostics.judged import rows_to_tell
from gmm_dask.diagnostics.merging import merged_pair
from gmm_dask.families.gaussian import COVARIANCE_TYPES
from tests.strategies import clusters, covariances_like, mixture_of


def three(seed: int = 0, apart: float = 1.0) -> np.ndarray:
    """Two clusters `apart` standard deviations apart, and one far away."""
    rng = np.random.default_rng(seed)
    parts = (rng.normal(size=(1200, 2)), rng.normal(size=(800, 2)), 0.4 * rng.normal(size=(400, 2)))
    return np.concatenate([parts[0], parts[1] + np.array([apart, 0]), parts[2] + 8])


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_merging_keeps_moments(kind):
    """Mean and covariance of all rows are those of the mixture before, as far as types allow."""
    rng = np.random.default_rng(1)
    half = rng.normal(size=(4, 3, 3))
    S = covariances_like(kind, half @ half.transpose(0, 2, 1) + np.eye(3))
    weights, means = np.array([0.4, 0.1, 0.3, 0.2]), rng.normal(size=(4, 3))
    before = mixture_of(kind, weights, means, S)
    after = merged_pair(before, 3, 1)
    np.testing.assert_allclose(after.weights[0], [0.4, 0.3, 0.3])
    np.testing.assert_allclose(after.means[1], (0.1 * means[1] + 0.2 * means[3]) / 0.3)
    np.testing.assert_allclose(after.means[[0, 2]], means[[0, 2]])

    def total(mixture):
        mean = mixture.weights[0] @ mixture.means
        away = mixture.means - mean
        between = (away * mixture.weights[0][:, None]).T @ away
        return mean, between + np.tensordot(mixture.weights[0], mixture.dense_covariances, 1)

    one, two = total(before), total(after)
    np.testing.assert_allclose(one[0], two[0], atol=1e-14)
    if kind in ("full", "tied"):
        np.testing.assert_allclose(one[1], two[1], rtol=1e-12)
    else:
        np.testing.assert_allclose(np.trace(one[1]), np.trace(two[1]), rtol=1e-12)
    if kind != "tied":
        np.testing.assert_allclose(after.dense_covariances[0], before.dense_covariances[0])


def test_a_pair_too_near_is_told_with_numbers_and_what_to_do():
    X = three()
    model = fit_many(X, 3, n_init=2, random_state=0)
    found = resolvability(model, X=X)
    first = found.pairs[0]
    assert not first.resolved
    assert first.loss < first.loss_asked
    assert found.n_rows == len(X)
    assert len(found.warnings) == 1
    assert "cannot be told apart" in first.warning
    call = f"merge_components(model, {first.first}, {first.second})"
    assert call in first.warning
    assert f"{first.rows_present:.6g} rows" in first.warning
    merged = merge_components(model, first.first, first.second)
    again = resolvability(merged, len(X), X)
    assert again.warnings == ()
    assert json.loads(json.dumps(found.to_dict()))["pairs"][0]["resolved"] is False


def test_loss_is_the_difference_of_likelihoods():
    X = three()
    model = fit_many(X, 3, n_init=2, random_state=0).best
    weight = np.random.default_rng(0).gamma(2.0, size=len(X))
    found = resolvability(model, X=X, sample_weight=weight)
    for pair in found.pairs:
        merged = merge_components(model, pair.first, pair.second)
        off = model.score_samples(X) - merged.score_samples(X)
        assert pair.loss == pytest.approx(weight @ off, rel=1e-9)
        spread = np.sqrt(weight.sum() * np.average((off - np.average(off, weights=weight)) ** 2,
                                                   weights=weight))  # fmt: skip
        assert pair.loss_error == pytest.approx(spread, rel=1e-5)
    assert found.n_rows == pytest.approx(weight.sum())


def test_the_number_of_rows_decides():
    """The same model: unresolved with few rows, resolved with many."""
    model = fit_many(three(apart=2.0), 3, n_init=2, random_state=0).best
    few, many = (resolvability(model, n) for n in (30, 10**7))
    assert not few.pairs[0].resolved
    assert many.warnings == ()
    for pair in (few.pairs[0], many.pairs[0]):
        assert pair.resolved == (pair.rows_present >= pair.rows_needed)
        assert math.isnan(pair.loss)
    assert resolvability(model).n_rows == 2400


def test_other_widths_in_one_place_are_resolved():
    """Equal means, widths 1 and 3: the distance of the means says nothing of them."""
    one = mixture_of("full", [0.5, 0.5], [[0.0], [0.0]], [[[1.0]], [[9.0]]])
    pair = resolvability_from(one, 10_000).pairs[0]
    assert pair.resolved
    assert math.isnan(pair.rows_for_separation)
    # 0.0695 N = 3 / 2 log N
    assert pair.rows_needed == pytest.approx(100.3, abs=1.0)


def test_the_same_component_twice():
    one = mixture_of("tied", [0.5, 0.5], np.zeros((2, 2)), np.eye(2))
    pair = resolvability_from(one, 1e9).pairs[0]
    assert not pair.resolved
    assert pair.rows_needed == math.inf
    assert "no number is enough" in pair.warning
    assert pair.bayes_error == 0.5
    assert pair.information == 0.0


def test_closeness_of_equal_covariances():
    one = mixture_of("tied", [0.25, 0.75], [[0.0, 0.0], [3.0, 0.0]], np.eye(2))
    found = resolvability_from(one, 1000)
    assert found.mahalanobis[0, 1] == pytest.approx(3.0)
    assert found.coefficient[1, 0] == pytest.approx(np.exp(-9 / 8))
    cut = 1.5 - np.log(3) / 3
    error = 0.25 * norm.sf(cut) + 0.75 * norm.cdf(cut - 3)
    assert found.pairs[0].bayes_error == pytest.approx(error, rel=1e-12)


def test_rows_to_tell_solves_its_equation():
    n = rows_to_tell(0.01, 6, 0.3)
    assert n * 0.01 == pytest.approx(3 * np.log(n / 0.3), rel=1e-9)
    assert rows_to_tell(0.0, 6, 1.0) == math.inf


def test_many_components_and_empty_ones():
    X, _ = clusters(600, 2, 3)
    rng = np.random.default_rng(0)
    weights = np.r_[rng.dirichlet(np.ones(19)), 0.0]
    many = mixture_of("spherical", weights, X[:20], np.ones(20))
    found = resolvability_from(many, 600)
    assert len(found.pairs) == 100
    assert found.left_out == 90
    assert 19 not in {pair.first for pair in found.pairs} | {pair.second for pair in found.pairs}
    order = [pair.coefficient for pair in found.pairs]
    assert order == sorted(order, reverse=True)
    assert resolvability_from(mixture_of("full", [1.0], [[0.0]], [[[1.0]]]), 5).pairs == ()


def test_a_merged_model_goes_on():
    X = three()
    model = GaussianMixture(3, covariance_type="diag", random_state=0)
    model.fit(X)
    merged = merge_components(model, 0, 1)
    assert model.n_components == 3
    assert merged.predict(X).max() == 1
    before = merged.score(X)
    assert merged.set_params(warm_start=True).fit(X).score(X) >= before - 1e-12
    assert merged.n_components == len(merged.weights_) == 2


def test_what_cannot_be_answered_is_refused(tmp_path):
    X = three()
    model = fit_many(X, 3, n_init=2, random_state=0).best
    with pytest.raises(ConfigError, match="two different numbers from 0 to 2"):
        merge_components(model, 1, 3)
    with pytest.raises(ConfigError, match="two different numbers"):
        merge_components(model, 1, 1)
    with pytest.raises(ConfigError, match="positive"):
        resolvability(model, 0)
    model.save(tmp_path / "m.zarr")
    loaded = GaussianMixture.load(tmp_path / "m.zarr")
    with pytest.raises(ConfigError, match="give n_rows, or X"):
        resolvability(loaded)
    assert resolvability(loaded, X=X).n_rows == len(X)
