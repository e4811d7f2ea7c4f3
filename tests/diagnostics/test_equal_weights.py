"""Tests of equal weights against direct maximisation by scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2, norm
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import ConfigError, GaussianMixture, compare_weights, fit_many


def rows(share: float, n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(4)
    first = rng.random(n) < share
    return np.where(first, rng.normal(0, 1, n), rng.normal(3.2, 0.8, n))[:, None]


def best_log_likelihood(X: np.ndarray, row_weight: np.ndarray, *, equal: bool) -> float:
    """Over weight, means and log widths, by quasi-Newton steps."""

    def loss(q):
        odds = 0.0 if equal else q[4]
        p = 1 / (1 + np.exp(-odds))
        parts = (
            np.log(p) + norm.logpdf(X[:, 0], q[0], np.exp(q[1])),
            np.log1p(-p) + norm.logpdf(X[:, 0], q[2], np.exp(q[3])),
        )
        return -float(row_weight @ np.logaddexp(*parts))

    return -minimize(loss, [0, 0, 3.2, -0.2, 0.0], method="BFGS", options={"gtol": 1e-6}).fun


@pytest.mark.parametrize(("share", "weighted"), [(0.5, False), (0.68, True)])
def test_likelihood_ratio_is_that_of_direct_maximisation(share, weighted):
    X = rows(share)
    row_weight = np.random.default_rng(0).gamma(5, 0.2, len(X)) if weighted else None
    a = np.ones(len(X)) if row_weight is None else row_weight
    model = fit_many(X, 2, n_init=2, random_state=0, tol=1e-10, sample_weight=row_weight)
    found = compare_weights(model, X, sample_weight=row_weight)
    free, equal = (best_log_likelihood(X, a, equal=e) for e in (False, True))
    assert found.converged
    assert found.likelihood_ratio == pytest.approx(2 * (free - equal), abs=0.02)
    assert found.likelihood_ratio_p == pytest.approx(chi2.sf(found.likelihood_ratio, 1))
    # both tests say nearly the same of regular questions
    z = found.log_ratio / found.error
    assert z**2 == pytest.approx(found.likelihood_ratio, rel=0.15, abs=0.1)
    assert found.wald_p == pytest.approx(chi2.sf(z**2, 1), rel=1e-9)
    assert (found.wald_p < 0.01) == (share != 0.5)
    assert json.loads(json.dumps(found.to_dict()))["converged"] is True


def test_the_standard_error_alone_is_one_pass():
    X = rows(0.5)
    model = fit_many(X, 2, n_init=2, random_state=0).best
    found = compare_weights(model, X, 1, 0, likelihood_ratio=False)
    assert found.n_passes == 1
    assert np.isnan(found.likelihood_ratio)
    assert found.to_dict()["likelihood_ratio"] is None


def test_what_has_no_likelihood_ratio_is_refused():
    X = rows(0.5)
    model = fit_many(X, 2, random_state=0, covariance_prior=True).best
    with pytest.raises(ConfigError, match="under a prior"):
        compare_weights(model, X)
    found = compare_weights(model, X, likelihood_ratio=False)
    assert any("prior" in text for text in found.problems)
    with pytest.raises(ConfigError, match="two different numbers"):
        compare_weights(model, X, 0, 2)


def test_a_fit_that_stopped_early_goes_on_beside_the_other():
    """Else the likelihood ratio would lack what the free fit had still to gain."""
    X = rows(0.68)
    early = GaussianMixture(
        2, max_iter=3, tol=1e-9, means_init=[[-1.0], [2.0]], weights_init=[0.3, 0.7]
    )
    with pytest.warns(ConvergenceWarning):
        early.fit(X)
    a = np.ones(len(X))
    free, equal = (best_log_likelihood(X, a, equal=e) for e in (False, True))
    assert len(X) * early.score(X) < free - 0.1
    found = compare_weights(early, X)
    assert found.likelihood_ratio == pytest.approx(2 * (free - equal), abs=0.02)
