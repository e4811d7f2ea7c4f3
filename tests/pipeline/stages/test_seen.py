"""Rows with holes, errors and weights through the transform and the mixture, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from gmm_dask import ArraySource, DataError, GaussianMixture, LocalEngine, Observed, RowLayout
from pipeline.config.data_sections import Step
from pipeline.stages.jacobian import LogJacobian
from pipeline.stages.label import outputs_of
from pipeline.stages.seen import Sight, labels_of
from pipeline.stages.steps import Elementwise, Pca, Standardize
from pipeline.stages.transform import Transform, TransformedSource, fit_transform

D = 3


def rows_of(n: int = 300, seed: int = 0) -> Observed:
    """Correlated rows with full errors, weights and holes; the last has no value at all."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, D)) @ rng.normal(size=(D, D)) * [1.0, 30.0, 0.2] + [5.0, 0.0, 2.0]
    holes = rng.random((n, D)) < 0.25
    holes[-1] = True
    root = rng.normal(size=(n, D, D)) * 0.3 * np.array([1.0, 30.0, 0.2])[:, None]
    noise = root @ root.transpose(0, 2, 1)
    return Observed(np.where(holes, np.nan, values), rng.gamma(2.0, size=n), noise)


LAYOUT = RowLayout(D, True, "full", missing=True)


def steps(*written) -> list[Step]:
    return [Step.model_validate(step) for step in written]


@pytest.mark.parametrize("noise", ["diag", "full"])
def test_linear_steps_carry_errors_as_they_carry_covariances(noise) -> None:
    """A x has the covariance A C A'."""
    C = rows_of().noise if noise == "full" else np.diagonal(rows_of().noise, axis1=1, axis2=2)
    rows = np.zeros((len(C), D))
    dense = C if noise == "full" else C[:, :, None] * np.eye(D)
    scale = Standardize(np.ones(D), np.array([2.0, 0.5, 7.0]))
    A = np.diag(1 / scale.deviation)
    found = scale.noise(C, rows)
    found = found if noise == "full" else found[:, :, None] * np.eye(D)
    np.testing.assert_allclose(found, A @ dense @ A.T, rtol=1e-13)
    A = np.linalg.qr(np.random.default_rng(1).normal(size=(D, D)))[0][:2]
    turned = Pca(np.zeros(D), A, np.ones(2) / 2).noise(C, rows)
    # sums of three products that may cancel: beside the largest of the row
    np.testing.assert_allclose(turned, A @ dense @ A.T, rtol=1e-12, atol=1e-12 * dense.max())


@pytest.mark.parametrize("name", ["log", "arcsinh"])
def test_curved_steps_carry_errors_by_their_slope(name) -> None:
    step = Elementwise(name, (0, 2), ("x", "z"), 2.5 if name == "arcsinh" else 1.0)
    rng = np.random.default_rng(0)
    rows = rng.uniform(1, 5, (40, D))
    rows[3, 0] = np.nan
    C = rng.uniform(1, 2, (40, D))
    small = 1e-6
    slope = (step.apply(rows + small) - step.apply(rows - small)) / (2 * small)
    wanted = np.where(np.isnan(rows), 0.0, C * slope**2)
    # central differences of step 1e-6 err by 1e-12 and by rounding, 1e-10
    np.testing.assert_allclose(step.noise(C, rows), wanted, rtol=1e-8)
    full = step.noise(C[:, :, None] * np.eye(D), rows)
    np.testing.assert_allclose(np.diagonal(full, axis1=1, axis2=2), wanted, rtol=1e-8)


def reference(sight: Sight, rows: Observed) -> np.ndarray:
    """Log densities by scipy, of the observed columns, with the errors added, in source units.

    The mixture in source units: standardize is undone in the parameters.
    """
    step = sight.transform.steps[0]
    scale = np.outer(step.deviation, step.deviation)
    means = sight.mixture.means * step.deviation + step.mean
    found = np.full(len(rows.values), np.nan)
    for i, (x, C) in enumerate(zip(rows.values, rows.noise, strict=True)):
        o = np.flatnonzero(~np.isnan(x))
        if len(o):
            parts = [
                multivariate_normal(m[o], (S * scale + C)[np.ix_(o, o)]).logpdf(x[o])
                for m, S in zip(means, sight.mixture.dense_covariances, strict=True)
            ]
            found[i] = logsumexp(parts + np.log(sight.mixture.weights[0]))
    return found


def sight_of(rows: Observed) -> Sight:
    source = ArraySource(LAYOUT.join(rows))
    transform = fit_transform(steps("standardize"), source, LocalEngine(1), LAYOUT)
    complete = np.nan_to_num(transform.apply(rows.values))
    mixture = GaussianMixture(2, n_init=1, random_state=0, max_iter=3, tol=1e9).fit(complete)
    return Sight(mixture.mixture_, transform, LAYOUT)


def test_densities_are_those_of_what_was_observed_in_source_units() -> None:
    rows = rows_of()
    sight = sight_of(rows)
    seen = sight.see(sight.prepare(), LAYOUT.join(rows))
    np.testing.assert_allclose(seen.log_density, reference(sight, rows), rtol=1e-10, atol=1e-10)
    assert seen.blank.tolist() == np.isnan(rows.values).all(axis=1).tolist()
    wanted = np.where(seen.blank, -1, seen.resp.argmax(axis=1))
    assert labels_of(seen).tolist() == wanted.tolist()


def test_standardize_uses_what_is_there_by_its_weight() -> None:
    rows = rows_of()
    source = ArraySource(LAYOUT.join(rows))
    step = fit_transform(steps("standardize"), source, LocalEngine(1), LAYOUT).steps[0]
    for j in range(D):
        there = ~np.isnan(rows.values[:, j])
        x, w = rows.values[there, j], rows.sample_weight[there]
        mean = np.average(x, weights=w)
        assert step.mean[j] == pytest.approx(mean, rel=1e-12, abs=1e-12)
        assert step.deviation[j] ** 2 == pytest.approx(np.average((x - mean) ** 2, weights=w))


def test_wide_rows_after_the_transform() -> None:
    """The source that the mixture sees has names, width and rows that agree."""
    rows = rows_of()
    wide = ArraySource(LAYOUT.join(rows), LAYOUT.names(("x", "y", "z")))
    transform = sight_of(rows).transform
    transform = Transform(("x", "y", "z"), transform.steps)
    seen = TransformedSource(wide, transform, LAYOUT)
    block = seen.read(10, 20)
    assert seen.columns == wide.columns
    assert block.values.shape == (10, LAYOUT.width)
    found = LAYOUT.split(block.values)
    part = slice(10, 20)
    np.testing.assert_allclose(found.values, transform.apply(rows.values[part]))
    np.testing.assert_array_equal(found.sample_weight, rows.sample_weight[part])
    of = np.outer(transform.steps[0].deviation, transform.steps[0].deviation)
    np.testing.assert_allclose(found.noise, rows.noise[part] / of, rtol=1e-12)


def test_the_jacobian_of_rows_with_holes_counts_what_is_there() -> None:
    """Mean over rows with a value, by weight; of each row the columns that are there."""
    rows = rows_of()
    transform = sight_of(rows).transform
    sums = LocalEngine(1).fold(
        LogJacobian(transform, None, LAYOUT), ArraySource(LAYOUT.join(rows))
    )
    each = -(~np.isnan(rows.values) * np.log(transform.steps[0].deviation)).sum(axis=1)
    some = ~np.isnan(rows.values).all(axis=1)
    w = rows.sample_weight[some]
    assert sums.train[0] == pytest.approx(each[some] @ w, rel=1e-12)
    assert sums.train[1] == pytest.approx(w.sum(), rel=1e-12)


def test_true_values_come_back_in_source_units() -> None:
    """Without errors what is there is true; what is not is the regression within a component."""
    rows = rows_of()._replace(noise=np.zeros((300, D, D)))
    source = ArraySource(LAYOUT.join(rows))
    transform = fit_transform(steps("standardize"), source, LocalEngine(1), LAYOUT)
    complete = np.nan_to_num(transform.apply(rows.values))
    one = GaussianMixture(1, max_iter=3).fit(complete).mixture_
    sight = Sight(one, transform, LAYOUT)
    ready = sight.prepare()
    seen = sight.see(ready, LAYOUT.join(rows))
    step = transform.steps[0]
    mean = one.means[0] * step.deviation + step.mean
    S = one.dense_covariances[0] * np.outer(step.deviation, step.deviation)
    wanted = rows.values.copy()
    for x in wanted:
        m = np.isnan(x)
        o = ~m
        x[m] = mean[m] + S[np.ix_(m, o)] @ np.linalg.solve(S[np.ix_(o, o)], (x - mean)[o])
    for word in ("deconvolved_mean", "imputed"):
        found = sight.expected(ready, seen, word)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_errors_move_true_values_and_not_imputed_ones() -> None:
    """One column: the posterior mean is the average of row and model by inverse variance."""
    layout = RowLayout(1, False, "diag", missing=True)
    values, noise = np.array([[4.0], [np.nan]]), np.array([[2.0], [0.0]])
    model = GaussianMixture(1).fit(np.array([[-1.0], [1.0], [-1.0], [1.0]])).mixture_
    sight = Sight(model, None, layout)
    ready = sight.prepare()
    seen = sight.see(ready, layout.join(Observed(values, None, noise)))
    s2 = float(model.dense_covariances[0, 0, 0])
    true = sight.expected(ready, seen, "deconvolved_mean")
    assert true[0, 0] == pytest.approx(4 * s2 / (s2 + 2))
    assert true[1, 0] == pytest.approx(0.0, abs=1e-12)
    assert sight.expected(ready, seen, "imputed")[0, 0] == 4.0


def test_rows_without_any_value_are_flagged_in_every_output() -> None:
    resp = np.array([[0.75, 0.25], [0.6, 0.4]])
    blank = np.array([False, True])
    density = np.array([-1.0, np.nan])
    words = ("label", "probability", "log_density", "entropy", "margin", "second_label", "ambiguous")
    found = outputs_of(resp, density, words, blank)
    assert found["label"].tolist() == [0, -1]
    assert found["second_label"].tolist() == [1, -1]
    assert found["ambiguous"].tolist() == [True, True]
    for word in ("probability", "log_density", "entropy", "margin"):
        assert np.isnan(found[word]).tolist() == [False, True], word
    names = ("x", "y")
    true = {"imputed": np.array([[1.0, 2.0], [3.0, 4.0]])}
    found = outputs_of(resp, density, ("imputed",), blank, true, names)
    assert {name: column.tolist() for name, column in found.items()} == {
        "imputed_x": [1.0, 3.0],
        "imputed_y": [2.0, 4.0],
    }


def test_impossible_rows_are_told_by_their_number() -> None:
    rows = rows_of()
    sight = sight_of(rows)
    bad = rows.noise.copy()
    bad[40] = [[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]  # eigenvalue -1
    values = np.where(np.arange(300)[:, None] == 40, 1.0, rows.values)
    with pytest.raises(DataError, match="row 1040: its noise is"):
        sight.see(sight.prepare(), LAYOUT.join(Observed(values, rows.sample_weight, bad)), 1000)
    strict = Sight(sight.mixture, sight.transform, LAYOUT._replace(missing=False))
    with pytest.raises(DataError, match="NaN"):
        strict.see(strict.prepare(), LAYOUT.join(rows))
