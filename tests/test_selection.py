"""Criteria by independent formulas, and the choice among candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from gmm_dask.errors import ConfigError, DataError
from gmm_dask.fits.base import Outcome
from gmm_dask.fits.em import EM
from gmm_dask.fits.restart import Restart
from gmm_dask.folds.compare import Comparison
from gmm_dask.folds.score import Score
from gmm_dask.problems import problems_of
from gmm_dask.selection import Candidate, best_restarts, choose
from gmm_dask.summaries import RestartSummary
from tests.oracle import Oracle, e_step
from tests.strategies import KINDS, ask, clusters, mixture_near, mixture_of

X, _ = clusters(700, 2, 3, apart=2.0)
FINE = RestartSummary(0, "kmeans", -1.0, 5, "CONVERGED", ())


def candidate(kind: str = "full", K: int = 3) -> Candidate:
    mixture = mixture_near(X, kind, K)
    return Candidate(mixture, (FINE,), (-1.0,), ask(Score(mixture), X), 1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("K", [1, 3])
def test_criteria_by_their_definitions(kind, K):
    c = candidate(kind, K)
    model = Oracle(c.mixture.weights[0], c.mixture.means, c.mixture.dense_covariances)
    total, resp = e_step(model, X)
    N, D = X.shape
    p = (
        {
            "full": K * D * (D + 1) // 2,
            "tied": D * (D + 1) // 2,
            "diag": K * D,
            "spherical": K,
        }[kind]
        + K * D
        + K
        - 1
    )
    assert c.n_parameters == p
    assert c.bic == pytest.approx(-2 * total + p * np.log(N), rel=1e-12)
    assert c.aic == pytest.approx(-2 * total + 2 * p, rel=1e-12)
    entropy = -(resp * np.log(np.where(resp > 0, resp, 1))).sum()
    assert c.icl == pytest.approx(c.bic + 2 * entropy, rel=1e-12)
    assert c.icl_map == pytest.approx(c.bic - 2 * np.log(resp.max(axis=1)).sum(), rel=1e-12)
    assert c.log_likelihood_per_row == pytest.approx(total / N, rel=1e-12)
    assert c.ambiguous == pytest.approx((resp.max(axis=1) < 0.9).mean())
    assert c.icl_map >= c.bic - 1e-9
    if K == 1:
        assert c.icl == pytest.approx(c.bic)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("K", [1, 3])
@pytest.mark.parametrize("D", [1, 5])
def test_parameters_are_counted_as_scikit_learn_does(kind, K, D):
    rows, _ = clusters(200, D, 3)
    twin = GaussianMixture(K, covariance_type=kind, max_iter=200, reg_covar=1e-3).fit(rows)
    assert mixture_near(rows, kind, K).n_parameters == twin._n_parameters()


def faked(**values) -> Candidate:
    """Return a candidate whose criteria are these."""

    class Fake(Candidate):
        bic = values.get("bic", 0.0)
        aic = values.get("aic", 0.0)
        icl = values.get("icl", 0.0)
        icl_map = values.get("icl_map", 0.0)
        n_parameters = values.get("p", 1)

    base = candidate()
    problems = values.get("problems", ())
    best = FINE._replace(problems=problems, outcome=values.get("outcome", "CONVERGED"))
    held = values.get("held", float("nan"))
    return Fake(base.mixture, (best,), (), base.score, 1e-3, held, 0.0)


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl", "icl_map"])
def test_the_smallest_is_chosen(criterion):
    assert choose([faked(**{criterion: v}) for v in (3.0, 1.0, 2.0)], criterion) == 1


def test_the_largest_held_out_is_chosen():
    assert choose([faked(held=v) for v in (-3.0, -1.0, -2.0)], "held_out") == 1


def test_degenerate_candidates_lose_however_good():
    flat = faked(bic=-1e9, problems=("component 0 is flat",))
    singular = faked(bic=-1e9, outcome="DEGENERATE")
    assert choose([flat, faked(bic=5.0), singular]) == 1


def test_where_all_are_degenerate_the_likelihood_does_not_rank():
    """It grows without bound as a component collapses."""
    flat = [faked(bic=-1e9, p=9, problems=("x",)), faked(bic=-1e3, p=5, problems=("x",))]
    for criterion in ("bic", "held_out", "stability"):
        assert choose(flat, criterion) == 1
        assert choose(flat[::-1], criterion) == 0


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_nan_is_the_worst(criterion):
    nan = float("nan")
    assert choose([faked(**{criterion: v}) for v in (nan, 3.0, nan, 2.0)], criterion) == 3
    assert choose([faked(held=v) for v in (nan, -3.0, nan, -2.0)], "held_out") == 3


def test_one_standard_error_takes_the_smallest_model_near_the_best():
    rng = np.random.default_rng(0)
    logs = rng.normal(-3, 1, (400, 1)) + rng.normal(0, 0.1, (400, 4)) + [0.0, 0.028, 0.03, -0.2]
    comparison = Comparison(400.0, logs.mean(axis=0), np.cov(logs.T, bias=True))
    candidates = [faked(held=m, p=p) for m, p in zip(logs.mean(axis=0), (5, 9, 20, 1), strict=True)]
    best = int(logs.mean(axis=0).argmax())
    assert choose(candidates, "held_out", "best", comparison) == best
    deficit = logs.mean(axis=0)[best] - logs.mean(axis=0)
    errors = (logs - logs[:, [best]]).std(axis=0) / np.sqrt(400)
    near = [i for i in range(4) if deficit[i] <= errors[i]]
    wanted = min(near, key=lambda i: (5, 9, 20, 1)[i])
    assert choose(candidates, "held_out", "one_standard_error", comparison) == wanted


def test_wrong_words_are_refused():
    with pytest.raises(ConfigError, match="bicc"):
        choose([faked()], "bicc")
    with pytest.raises(ConfigError, match="no standard error"):
        choose([faked()], "bic", "one_standard_error")


def test_starts_agree_counts_restarts_at_the_best_optimum():
    c = candidate()
    near = [FINE._replace(number=i, lower_bound=b) for i, b in enumerate((-1.0, -1.005, -1.02, -9))]
    assert replace(c, restarts=tuple(near), tol=1e-3).starts_agree == 2
    assert replace(c, restarts=tuple(near), tol=1e-12).starts_agree == 1
    near[1] = near[1]._replace(outcome="DROPPED")  # its likelihood may be that of a sample
    assert replace(c, restarts=tuple(near), tol=1e-3).starts_agree == 1


def test_problems_name_flat_and_empty_components():
    mixture = mixture_of("diag", [1.0, 0.0], [[0.0, 0.0], [1.0, 1.0]], [[1.0, 1e-6], [1.0, 1.0]])
    flat, empty = problems_of(mixture)
    assert "component 0 is flat" in flat
    assert "component 1 is empty" in empty
    assert problems_of(mixture_near(X, "full", 3)) == ()


def ended(mixture, bound: float, outcome: Outcome = Outcome.CONVERGED, index: int = 0) -> Restart:
    em = EM(mixture, 1e-3, 100, None, (bound - 1.0, bound), outcome)
    return Restart(index, "kmeans", 1e-3, 100, em=em)


def test_a_degenerate_restart_loses_however_high_its_likelihood():
    sound = mixture_near(X, "full", 2)
    flat = mixture_of("full", [0.5, 0.5], [[0, 0], [1, 1]], [np.eye(2), np.diag([1.0, 1e-6])])
    fits = [
        ended(flat, 99.0, index=0),
        ended(sound, -3.0, index=1),
        ended(sound, 99.0, Outcome.DEGENERATE, index=2),
        ended(sound, -2.0, Outcome.MAX_ITER, index=3),
        ended(sound, -2.0, index=4),
    ]
    ((best, summaries),) = best_restarts(fits)
    assert best is fits[3]
    assert [s.number for s in summaries] == [3, 4, 1, 0, 2]
    assert "flat" in summaries[3].problems[0]


def test_each_k_and_type_has_its_best():
    fits = [
        ended(mixture_near(X, "diag", 2), -3.0),
        ended(mixture_near(X, "full", 2), -2.0),
        ended(mixture_near(X, "diag", 3), -1.0),
        ended(mixture_near(X, "diag", 2), -2.5, index=1),
    ]
    assert [best for best, _ in best_restarts(fits)] == [fits[3], fits[1], fits[2]]


def test_nothing_started_is_an_error():
    with pytest.raises(DataError, match="no restart finished"):
        best_restarts([])
