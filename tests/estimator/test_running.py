"""Warm starts, progress, callbacks, Ctrl-C and checkpoints of `GaussianMixture`."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from gmm_dask import ConfigError, DataError, GaussianMixture, Interrupted
from gmm_dask.errors import CheckpointError
from tests.strategies import KINDS, clusters

X, _ = clusters(400, 2, 4, seed=2, apart=3.0)


def model(**words) -> GaussianMixture:
    words = {"random_state": 0, "tol": 1e-7, "max_iter": 1000, **words}
    return GaussianMixture(4, **words)


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_goes_on(kind):
    whole = model(covariance_type=kind).fit(X)
    warm = model(covariance_type=kind, warm_start=True, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warm.fit(X)
    before = warm.lower_bound_
    warm.set_params(max_iter=1000).fit(X)
    assert warm.lower_bounds_[0] > before
    assert warm.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-6)
    assert warm.fit(X).n_iter_ <= 3


@pytest.mark.parametrize("words", [{"n_components": 2}, {"covariance_type": "diag"}])
def test_a_warm_start_under_other_words_is_not_ignored(words):
    warm = model(warm_start=True).fit(X)
    warm.set_params(**words)
    try:
        warm.fit(X)
    except ConfigError:
        return  # refusing is as good
    assert len(warm.weights_) == warm.n_components
    shape = {"full": (warm.n_components, 2, 2), "diag": (warm.n_components, 2)}
    assert warm.covariances_.shape == shape[warm.covariance_type]


def test_a_warm_start_on_other_columns_is_refused_or_starts_anew():
    warm = model(warm_start=True).fit(X)
    wide = np.concatenate([X, X[:, :1] ** 2], axis=1)
    try:
        warm.fit(wide)
    except (ConfigError, DataError):
        return
    assert warm.means_.shape == (4, 3)


def test_a_warm_start_on_other_rows_uses_their_floor():
    warm = model(warm_start=True).fit(X)
    small = X * 1e-9  # far below the floor of the first fit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm.fit(small)
    assert np.isfinite(warm.means_).all()
    assert warm.lower_bound_ > model().fit(X).lower_bound_ + 30  # 2 log(1e9) is 41


def test_callbacks_see_every_pass():
    seen = []
    fitted = model(n_init=2).fit(X, callback=seen.append)
    assert [done.number for done in seen] == list(range(1, len(seen) + 1))
    assert seen[-1].live == 0
    assert len(seen) >= fitted.n_iter_
    assert len(seen[0].fits) == 2


def test_verbose_prints_lines(capsys):
    model(verbose=1, verbose_interval=5).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert all("log-likelihood per row" in line for line in lines)
    assert "0 live" in lines[-1]
    model().fit(X)
    assert capsys.readouterr().out == ""


def stop_at(number: int):
    def callback(done) -> None:
        if done.number == number:
            raise KeyboardInterrupt

    return callback


def test_ctrl_c_raises_with_what_there_is():
    with pytest.raises(Interrupted) as caught:
        model().fit(X, callback=stop_at(4))
    assert caught.value.number == 4
    assert isinstance(caught.value, KeyboardInterrupt)


def test_ctrl_c_returns_the_best_so_far_when_asked_to():
    stopped = model(n_init=3).fit(X, callback=stop_at(6), on_interrupt="return")
    assert not stopped.converged_
    assert stopped.n_iter_ == 5  # the first of the six passes was the start's
    assert np.isfinite(stopped.score(X))
    assert stopped.candidate_.best.outcome in ("RUNNING", "CONVERGED")
    whole = model(n_init=3).fit(X)
    assert stopped.score(X) <= whole.score(X) + 1e-9


def test_ctrl_c_before_there_is_anything_raises():
    with pytest.raises(KeyboardInterrupt):
        model().fit(X, callback=stop_at(1), on_interrupt="return")


def test_unknown_words_of_fit_are_refused():
    with pytest.raises(ConfigError, match="on_interrupt"):
        model().fit(X, on_interrupt="ignore")


def test_unknown_resume_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="resume"):
        model().fit(X, checkpoint=tmp_path / "c", resume="always")


def test_errors_of_a_callback_come_through():
    def broken(done):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        model().fit(X, callback=broken)


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    whole = model(n_init=2).fit(X)
    with pytest.raises(Interrupted):
        model(n_init=2).fit(X, checkpoint=tmp_path / "c", callback=stop_at(7))
    seen = []
    resumed = model(n_init=2).fit(X, checkpoint=tmp_path / "c", callback=seen.append)
    assert seen[0].number == 8
    np.testing.assert_array_equal(resumed.means_, whole.means_)
    np.testing.assert_array_equal(resumed.covariances_, whole.covariances_)
    assert resumed.lower_bounds_ == whole.lower_bounds_


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    model().fit(X, checkpoint=tmp_path / "c")
    other = X.copy()
    other[0, 0] += 1e-9
    with pytest.raises(CheckpointError, match="data"):
        model().fit(other, checkpoint=tmp_path / "c")
    with pytest.raises(CheckpointError, match="n_init"):
        model(n_init=3).fit(X, checkpoint=tmp_path / "c")


def test_a_longer_run_may_go_on(tmp_path):
    with pytest.warns(ConvergenceWarning):
        model(max_iter=4).fit(X, checkpoint=tmp_path / "c")
    longer = model().fit(X, checkpoint=tmp_path / "c", resume="require")
    np.testing.assert_array_equal(longer.means_, model().fit(X).means_)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        model().fit(X, checkpoint=tmp_path / "nothing", resume="require")


@pytest.mark.parametrize("part", ["weights_init", "means_init", "precisions_init"])
def test_another_given_start_is_another_run(tmp_path, part):
    """A checkpoint of one start must not be taken for another."""
    fitted = model().fit(X)
    value = {
        "weights_init": [0.1, 0.2, 0.3, 0.4],
        "means_init": fitted.means_ + 0.5,
        "precisions_init": fitted.precisions_,
    }[part]
    with pytest.raises(Interrupted):
        model().fit(X, checkpoint=tmp_path / "c", callback=stop_at(3))
    with pytest.raises(CheckpointError):
        model(**{part: value}).fit(X, checkpoint=tmp_path / "c")
