"""Standard errors against closed forms, and against a likelihood written with scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import (
    ArraySource,
    ConfigError,
    GaussianMixture,
    ZarrSource,
    errors_from,
    fit_many,
    standard_errors,
)
from gmm_dask.diagnostics.inverse import inverse
from gmm_dask.families.gaussian import COVARIANCE_TYPES
from gmm_dask.folds.information import Information
from tests.strategies import ask, mixture_of

N = 400


def one_cloud(n: int = N) -> np.ndarray:
    rng = np.random.default_rng(0)
    return 1e3 * rng.normal(size=(n, 2)) @ np.array([[2.0, 0.0], [1.0, 1.0]]) + 5e4


def two_clouds(seed: int = 0, n: int = N, apart: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n // 4, 2)) * [1.0, 0.6]
    second = rng.normal(size=(n - n // 4, 2)) @ np.array([[1.0, 0.5], [0.0, 1.2]])
    return np.concatenate([first, second + np.array([apart, 1.0])]) * [1.0, 30.0]


def fitted(X: np.ndarray, kind: str, K: int = 2, **parts) -> GaussianMixture:
    return fit_many(X, K, kind, n_init=2, tol=1e-13, random_state=0, **parts).best


@pytest.mark.parametrize("kind", ["full", "tied", "diag"])
def test_one_component_has_closed_forms(kind):
    """Mean: s / root n; variance: s^2 root(2 / n); correlation: (1 - r^2) / root n."""
    X = one_cloud()
    found = standard_errors(fitted(X, kind, 1), X)
    s = X.std(axis=0)
    np.testing.assert_allclose(found.means.error[0], s / np.sqrt(N), rtol=1e-9)
    np.testing.assert_allclose(
        np.diagonal(found.covariances.error[0]), s**2 * np.sqrt(2 / N), rtol=1e-9
    )
    np.testing.assert_allclose(found.widths.error[0], s / np.sqrt(2 * N), rtol=1e-9)
    assert found.weights.value == found.weights.low == found.weights.high == [1.0]
    if kind != "diag":
        r = np.corrcoef(X.T)[0, 1]
        assert found.correlations.error[0, 0, 1] == pytest.approx((1 - r**2) / np.sqrt(N), rel=1e-9)
        both = (s[0] * s[1]) ** 2 * (1 + r**2) / N  # of a covariance
        assert found.covariances.error[0, 0, 1] == pytest.approx(np.sqrt(both), rel=1e-9)
    assert found.lost == pytest.approx(0.0, abs=1e-9)
    assert found.problems == ()


def test_sandwich_of_one_component_is_the_spread_of_squares():
    """White's variance of a mean and of a variance is that of moments, Gaussian or not."""
    X = np.random.default_rng(3).exponential(size=(N, 1))
    found = standard_errors(fitted(X, "diag", 1), X, method="sandwich")
    y = X - X.mean()
    assert found.means.error[0, 0] == pytest.approx(X.std() / np.sqrt(N), rel=1e-9)
    spread = np.std(y**2) / np.sqrt(N)
    assert found.covariances.error[0, 0, 0] == pytest.approx(spread, rel=1e-9)
    naive = standard_errors(fitted(X, "diag", 1), X).covariances.error[0, 0, 0]
    assert spread > 1.2 * naive  # these rows have a kurtosis of 5, Gaussian ones of 3


def natural(kind: str, weights, means, covariances) -> np.ndarray:
    """Parameters as numbers: log odds, means, entries of covariances."""
    S = covariances if kind != "tied" else covariances[:1]
    entries = {
        "diag": np.diagonal(S, axis1=1, axis2=2).ravel(),
        "spherical": S[:, 0, 0],
    }.get(kind, S[:, [0, 0, 1], [0, 1, 1]].ravel())
    return np.concatenate([[np.log(weights[0] / weights[1])], means.ravel(), entries])


def log_likelihood(kind: str, point: np.ndarray, X: np.ndarray, row_weight: np.ndarray) -> float:
    share = 1 / (1 + np.exp(-point[0]))
    means, entries = point[1:5].reshape(2, 2), point[5:]
    if kind in ("full", "tied"):
        S = entries.reshape(-1, 3)[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    elif kind == "diag":
        S = np.stack([np.diag(v) for v in entries.reshape(2, 2)])
    else:
        S = np.stack([np.eye(2) * v for v in entries])
    S = np.broadcast_to(S, (2, 2, 2))
    parts = [
        np.log(p) + multivariate_normal.logpdf(X, m, C)
        for p, m, C in zip((share, 1 - share), means, S, strict=True)
    ]
    return float(row_weight @ np.logaddexp(*parts))


def hessian(function, point: np.ndarray, step: np.ndarray) -> np.ndarray:
    e = np.diag(step)
    n = len(point)
    found = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            signs = ((1, 1), (-1, -1), (1, -1), (-1, 1))
            four = [function(point + a * e[i] + b * e[j]) for a, b in signs]
            found[i, j] = found[j, i] = (four[0] + four[1] - four[2] - four[3]) / (
                4 * step[i] * step[j]
            )
    return found


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_two_components_against_scipy(kind):
    """In other coordinates, source units: at the optimum errors do not depend on coordinates.

    Steps of 0.02 errors: truncation is 1e-4 of an entry, and as little of an error.
    """
    X = two_clouds() / ([1.0, 30.0] if kind == "spherical" else 1.0)
    row_weight = np.random.default_rng(1).gamma(3.0, 0.5, len(X))
    model = fitted(X, kind, sample_weight=row_weight)
    found = standard_errors(model, X, sample_weight=row_weight)
    mixture = model.mixture_
    matrices = mixture.dense_covariances
    point = natural(kind, mixture.weights[0], mixture.means, matrices)
    per_error = natural(kind, [1, 1], found.means.error, np.abs(found.covariances.error))
    per_error[0] = found.log_weight_ratios.error[0, 1]
    H = hessian(lambda x: log_likelihood(kind, x, X, row_weight), point, 0.02 * per_error)
    expected = np.sqrt(np.diagonal(np.linalg.inv(-H)))
    np.testing.assert_allclose(per_error, expected, rtol=2e-3)
    w = mixture.weights[0]
    np.testing.assert_allclose(found.weights.error, w[0] * w[1] * expected[0], rtol=2e-3)
    assert found.from_optimum < 1e-3
    assert found.problems == ()


def test_intervals_are_taken_on_their_scales():
    X = two_clouds()
    found = standard_errors(fitted(X, "full"), X, level=0.9)
    z = norm.ppf(0.95)
    w, e = found.weights.value, found.weights.error
    odds = np.log(found.weights.high / (1 - found.weights.high)) - np.log(w / (1 - w))
    np.testing.assert_allclose(odds, z * e / (w * (1 - w)), rtol=1e-9)
    s = found.widths
    np.testing.assert_allclose(np.log(s.high / s.value), z * s.error / s.value, rtol=1e-9)
    np.testing.assert_allclose(np.log(s.value / s.low), z * s.error / s.value, rtol=1e-9)
    variances = (np.diagonal(part, axis1=1, axis2=2) for part in found.covariances[2:])
    for bound, root in zip(variances, s[2:], strict=True):
        np.testing.assert_allclose(np.sqrt(bound), root, rtol=1e-9)
    assert (np.abs(found.correlations.low) <= 1).all()


def test_lost_information_is_the_rate_of_em():
    """The last steps of plain EM shrink by the share of the information that is lost.

    Dempster, Laird and Rubin 1977, theorem 4.
    """
    X = two_clouds(apart=2.0, n=1200)
    model = fitted(X, "diag")
    found = standard_errors(model, X)
    slow = GaussianMixture(
        2,
        covariance_type="diag",
        means_init=model.means_ + np.array([0.3, 3.0]),
        weights_init=model.weights_,
        precisions_init=model.precisions_,
        tol=1e-15,
        max_iter=120,
    )
    with pytest.warns(ConvergenceWarning):
        bounds = np.array(slow.fit(X).lower_bounds_)
    gains = np.diff(bounds)[60:90]
    rate = np.sqrt(np.exp(np.polyfit(np.arange(30), np.log(gains), 1)[0]))  # gains are quadratic
    assert found.lost == pytest.approx(rate, rel=0.01)
    share = 1 - np.prod(model.weights_) / (len(X) * found.weights.error**2)
    np.testing.assert_allclose(found.lost_of_weights, share, rtol=1e-9)
    np.testing.assert_allclose(
        found.weights_by_design**2 + np.prod(model.weights_) / len(X),
        found.weights.error**2,
        rtol=1e-9,
    )


def test_two_components_in_one_place_are_told_not_inverted():
    X = one_cloud()
    S = np.cov(X.T, bias=True)
    twice = mixture_of("full", [0.5, 0.5], [X.mean(0)] * 2, [S] * 2)
    found = errors_from(twice, ask(Information(twice), X))
    assert np.isnan(found.means.error).all()
    assert np.isnan(found.weights.low).all()
    assert "components 0, 1" in found.problems[0]
    assert "fewer components" in found.problems[0]
    assert json.dumps(found.to_dict()["means"]["error"]) == "[[null, null], [null, null]]"


def test_a_component_without_rows_is_named():
    X = two_clouds()
    model = fitted(X, "full")
    means = np.concatenate([model.means_, [[1e5, 1e5]]])
    S = np.concatenate([model.covariances_, np.eye(2)[None]])
    third = mixture_of("full", [*(model.weights_ * (1 - 1e-300)), 1e-300], means, S)
    found = inverse(third, ask(Information(third), X), "hessian")
    assert "component 2 has" in found.problem


def test_products_of_few_scores_are_told():
    X = two_clouds(n=8)
    model = mixture_of("full", [0.5, 0.5], X[[0, 7]], [np.cov(X.T)] * 2)
    found = errors_from(model, ask(Information(model), X), "opg")
    assert "problems" in found.to_dict()
    assert np.isnan(found.means.error).all()


def test_a_fit_that_stopped_early_says_so():
    X = two_clouds(apart=1.5)
    with pytest.warns(ConvergenceWarning):
        model = GaussianMixture(2, max_iter=2, random_state=0).fit(X)
    found = standard_errors(model, X)
    assert any("top of the likelihood" in text or "No standard" in text for text in found.problems)


def test_data_of_every_kind_give_one_answer(tmp_path):
    import dask.array as da
    import zarr

    X = two_clouds()
    model = fitted(X, "full")
    expected = standard_errors(model, X)
    stored = zarr.create_array(str(tmp_path / "x.zarr"), data=X, chunks=(100, 2))
    again = ZarrSource(tmp_path / "x.zarr")
    for data in (da.from_array(X, chunks=(90, 2)), stored, ArraySource(X), again):
        found = standard_errors(model, data)
        np.testing.assert_allclose(found.means.error, expected.means.error, rtol=1e-9)
        np.testing.assert_allclose(found.weights.low, expected.weights.low, rtol=1e-9)


def test_holes_and_noise_widen_errors():
    """Half the values of one column missing: the error of its mean grows by nearly root 2."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(N, 2))
    holes = X.copy()
    holes[::2, 1] = np.nan
    model = GaussianMixture(1, covariance_type="diag", missing="marginalize", tol=1e-12).fit(holes)
    found = standard_errors(model, holes)
    np.testing.assert_allclose(
        found.means.error[0], np.nanstd(holes, axis=0) / np.sqrt([N, N / 2]), rtol=1e-5
    )
    variance = np.full_like(X, 3.0)
    noisy = X + np.sqrt(variance) * rng.normal(size=X.shape)
    deep = GaussianMixture(1, covariance_type="diag", tol=1e-13, max_iter=5000)
    deep.fit(noisy, noise=variance)
    found = standard_errors(deep, noisy, noise=variance)
    np.testing.assert_allclose(found.means.error[0], noisy.std(axis=0) / np.sqrt(N), rtol=1e-4)
    of_variance = noisy.var(axis=0) * np.sqrt(2 / N)  # that of the noise is known
    np.testing.assert_allclose(found.covariances.error[0].diagonal(), of_variance, rtol=1e-3)


def test_questions_that_cannot_be_answered_are_refused():
    X = two_clouds()
    model = fitted(X, "full")
    with pytest.raises(ConfigError, match="hessian, opg, sandwich"):
        standard_errors(model, X, method="bootstrap")
    with pytest.raises(ConfigError, match="between 0 and 1"):
        standard_errors(model, X, level=95)
    wide = mixture_of("full", [1.0], np.zeros((1, 80)), np.eye(80)[None])
    model.mixture_ = wide
    with pytest.raises(ConfigError, match="3321 parameters"):
        standard_errors(model, np.zeros((10, 80)))
    groups = mixture_of("full", [0.5, 0.5], np.zeros((2, 2)), np.stack([np.eye(2)] * 2))
    object.__setattr__(groups, "weights", np.full((3, 2), 0.5))
    model.mixture_ = groups
    with pytest.raises(ConfigError, match="3 groups of weights"):
        standard_errors(model, X)


def test_everything_is_plain_json():
    X = two_clouds()
    found = json.loads(json.dumps(standard_errors(fitted(X, "spherical"), X).to_dict()))
    assert "share of the population" in found["what_a_weight_is"]
    assert np.shape(found["covariances"]["low"]) == (2, 2, 2)
    assert set(found["weights"]) == {"value", "error", "low", "high"}
