"""`fit_many`: a grid for library users."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gmm_dask import ConfigError, GaussianMixture, fit_many
from gmm_dask.initial import INIT_PARAMS
from tests.strategies import KINDS, clusters

X, _ = clusters(240, 2, 3, seed=4, apart=8.0)
WORDS = {"tol": 1e-4, "max_iter": 1000, "random_state": 3}


@pytest.mark.parametrize("init", INIT_PARAMS)
def test_a_fit_alone_and_in_the_grid_agree(init):
    # plain EM in both: a jump of an accelerated fit magnifies the last bits of a shared pass
    plain = {"accelerate": False, "race": False, **WORDS}
    grid = fit_many(X, [1, 3], KINDS, n_init=2, init_params=init, **plain)
    for kind in KINDS:
        alone = GaussianMixture(3, covariance_type=kind, n_init=2, init_params=init, **WORDS).fit(X)
        i = [(c.covariance_type, c.n_components) for c in grid.result.candidates].index((kind, 3))
        among = grid.models[i]
        np.testing.assert_allclose(among.weights_, alone.weights_, rtol=1e-10)
        np.testing.assert_allclose(among.means_, alone.means_, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(among.covariances_, alone.covariances_, rtol=1e-9, atol=1e-10)
        assert among.n_iter_ == alone.n_iter_
        assert among.bic(X) == pytest.approx(alone.bic(X), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_acceleration_reaches_the_same_optimum(kind):
    near, _ = clusters(400, 2, 3, seed=2, apart=3.0)
    words = {"tol": 1e-8, "max_iter": 5000, "random_state": 3, "init_params": "kmeans"}
    plain = fit_many(near, 3, kind, accelerate=False, **words)
    fast = fit_many(near, 3, kind, **words)
    assert plain.best.converged_
    assert fast.best.converged_
    assert fast.best.score(near) == pytest.approx(plain.best.score(near), abs=1e-6)
    assert fast.best.n_iter_ <= plain.best.n_iter_ + 5
    np.testing.assert_allclose(fast.best.means_, plain.best.means_, atol=1e-2)


def test_models_are_fitted_estimators():
    frame = pd.DataFrame(X, columns=["mass", "size"])
    grid = fit_many(frame, [2, 3], ["full", "diag"], **WORDS)
    assert grid.best is grid.models[grid.chosen]
    assert grid.chosen == int(np.argmin([row["bic"] for row in grid.table()]))
    for model, row in zip(grid.models, grid.table(), strict=True):
        assert model.n_components == row["n_components"]
        assert model.covariance_type == row["covariance_type"]
        assert model.bic(frame) == pytest.approx(row["bic"], rel=1e-11)
        assert model.aic(frame) == pytest.approx(row["aic"], rel=1e-11)
        assert model.icl(frame) == pytest.approx(row["icl"], rel=1e-11)
        assert model.score(frame) == pytest.approx(row["log_likelihood_per_row"], rel=1e-11)
        np.testing.assert_array_equal(model.feature_names_in_, ["mass", "size"])
        assert len(model.sample(3)[0]) == 3
        assert model.n_parameters == row["n_parameters"]


def test_criteria_choose():
    picks = {c: fit_many(X, range(1, 6), criterion=c, **WORDS) for c in ("bic", "aic", "icl")}
    for criterion, grid in picks.items():
        assert grid.chosen == int(np.argmin([row[criterion] for row in grid.table()]))


def test_held_out_and_one_standard_error():
    words = {**WORDS, "criterion": "held_out", "held_out": 0.3}
    best = fit_many(X, range(1, 6), **words)
    simple = fit_many(X, range(1, 6), rule="one_standard_error", **words)
    scores = [row["held_out"] for row in best.table()]
    assert best.chosen == int(np.argmax(scores))
    assert simple.chosen <= best.chosen
    comparison = simple.result.comparison
    gap = scores[best.chosen] - scores[simple.chosen]
    assert gap <= comparison.paired_error(best.chosen)[simple.chosen]
    if simple.chosen:
        smaller = simple.chosen - 1
        assert scores[best.chosen] - scores[smaller] > comparison.paired_error(best.chosen)[smaller]


@pytest.mark.parametrize(
    "n_components", [3, np.int64(3), [3], (3,), range(3, 4), np.array([3])], ids=str
)
def test_one_or_many_components(n_components):
    grid = fit_many(X, n_components, **WORDS)
    assert [m.n_components for m in grid.models] == [3]


@pytest.mark.parametrize(
    "words",
    [
        {"n_components": 0},
        {"n_components": []},
        {"n_components": [2, 2.5]},
        {"covariance_type": "fulll"},
        {"covariance_type": []},
        {"n_init": 0},
        {"max_iter": 0},
        {"tol": -1.0},
        {"reg_covar": -1.0},
        {"init_params": "k-means"},
        {"criterion": "bicc"},
        {"rule": "best_of_all"},
        {"rule": "one_standard_error"},
        {"criterion": "held_out", "held_out": 0.0},
        {"criterion": "held_out", "held_out": 1.0},
        {"on_interrupt": "ignore"},
        {"resume": "always"},
        {"missing": "ignore"},
        {"compute_dtype": "float16"},
    ],
    ids=str,
)
def test_words_out_of_range_are_refused_before_any_pass(words):
    def no_pass(done):
        pytest.fail("a pass was spent")

    arguments = {"n_components": 2, **WORDS, "callback": no_pass, **words}
    with pytest.raises(ConfigError):
        fit_many(X, **arguments)


def test_the_callback_sees_all_fits():
    seen = []
    fit_many(X, [1, 2], n_init=2, callback=seen.append, **WORDS)
    assert len(next(done for done in seen if done.sample is None).fits) == 4


def test_ctrl_c_returns_what_there_is():
    def stop(done):
        if done.number == 5:
            raise KeyboardInterrupt

    grid = fit_many(X, [2, 5], callback=stop, on_interrupt="return", **WORDS)
    assert len(grid.models) == 2
    assert np.isfinite(grid.best.score(X))
    with pytest.raises(KeyboardInterrupt):
        fit_many(X, [2, 5], callback=stop, **WORDS)


def test_a_checkpoint_is_picked_up(tmp_path):
    def stop(done):
        if done.number == 5:
            raise KeyboardInterrupt

    whole = fit_many(X, [2, 4], **WORDS)
    with pytest.raises(KeyboardInterrupt):
        fit_many(X, [2, 4], callback=stop, checkpoint=tmp_path / "c", **WORDS)
    rest = fit_many(X, [2, 4], checkpoint=tmp_path / "c", **WORDS)
    assert rest.result.resumed is not None
    for a, b in zip(rest.models, whole.models, strict=True):
        np.testing.assert_array_equal(a.means_, b.means_)
