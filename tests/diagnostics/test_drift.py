"""Drift: verdicts on shifts of known size, and no alarm by chance."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gmm_dask import GaussianMixture, Margins, Profile, drift, own_profile, profile
from gmm_dask.errors import ConfigError, FormatError
from tests.diagnostics.models import model_of

MODEL = model_of([0.4, 0.6], [[0, 0], [6, 6]], [np.eye(2), np.eye(2)])


def rows(n: int, seed: int, share: float = 0.6, off: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)) + off
    X[rng.random(n) < share] += 6
    return X


REFERENCE = profile(MODEL, rows(20000, 0))


def test_a_profile_is_what_scipy_says():
    X = rows(3000, 1)
    found = profile(MODEL, X)
    parts = [
        w * multivariate_normal(m, np.eye(2)).pdf(X) for w, m in ((0.4, [0, 0]), (0.6, [6, 6]))
    ]
    logs, resp = np.log(sum(parts)), np.stack(parts, axis=1) / sum(parts)[:, None]
    assert found.log_density == pytest.approx(logs.mean(), rel=1e-12)
    assert found.log_density_variance == pytest.approx(logs.var(), rel=1e-9)
    assert found.weights == pytest.approx(resp.mean(axis=0), rel=1e-12)
    assert found.weights_variance == pytest.approx(resp.var(axis=0), rel=1e-9)
    again = Profile.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.to_dict() == found.to_dict()


def test_a_models_own_rows():
    own = own_profile(MODEL)
    # separated: minus the entropy is sum w (log w - log 2 pi e); a row's variance D / 2 and labels'
    expected = 0.4 * np.log(0.4) + 0.6 * np.log(0.6) - np.log(2 * np.pi * np.e)
    assert own.log_density == pytest.approx(expected, abs=4 * np.sqrt(1.05 / 1e5))
    assert own.outside == pytest.approx(1e-3, abs=4e-4)


@pytest.mark.parametrize(
    ("change", "verdict", "what"),
    [
        ({}, "keep", ""),
        ({"share": 0.5}, "refit", "of the rows moved to other components; weight of component"),
        ({"off": 0.6}, "refit", "log-likelihood per row"),
        ({"off": 3.0}, "alarm", "log-likelihood per row"),
    ],
)
@pytest.mark.parametrize("reference", [REFERENCE, None])
def test_verdicts(change, verdict, what, reference):
    found = drift(MODEL, rows(20000, 7, **change), reference=reference)
    assert found.verdict == verdict
    assert what in " ".join(found.reasons)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_bad_batch_raises_the_alarm_of_all():
    X = rows(20000, 3)
    X[12000:13000] += 30.0
    found = drift(MODEL, X, reference=REFERENCE)
    assert found.verdict == "alarm"
    assert [b.first_row for b in found.batches if b.verdict == "alarm"] == [12000]
    assert any(reason.startswith("rows 12,000 to 12,999: ") for reason in found.reasons)


def test_false_verdicts_are_rare():
    """Over all batches together the level is 99.9 %: of 40 sets none is expected."""
    wrong = [
        drift(MODEL, rows(3000, 100 + seed), reference=REFERENCE).verdict for seed in range(40)
    ]
    assert sum(verdict != "keep" for verdict in wrong) <= 1


def test_a_billion_rows_raise_no_alarm_for_nothing():
    """A sure but tiny change stays within the margins."""
    found = drift(MODEL, rows(20000, 5), reference=REFERENCE)
    huge = Profile(**{**vars(found.found), "n_rows": 1e9, "n_complete": 1e9})
    from gmm_dask import drift_from

    exact = Profile(**{**vars(REFERENCE), "n_rows": 1e9, "n_complete": 1e9})
    again = drift_from((huge,), exact, 10**9)
    assert again.verdict == "keep"
    assert again.blind == ()


def test_few_rows_say_so():
    assert "weights" in drift(MODEL, rows(50, 5), reference=REFERENCE).blind


def test_margins_are_the_callers():
    strict = Margins(weights=(0.001, 0.5))
    X = rows(20000, 7, share=0.57)
    assert drift(MODEL, X, reference=REFERENCE).verdict == "keep"
    assert drift(MODEL, X, reference=REFERENCE, margins=strict).verdict == "refit"


def test_rows_with_holes_and_weights_need_a_reference():
    X = rows(4000, 11)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    model = GaussianMixture(2, missing="marginalize", random_state=0).fit(X)
    with pytest.raises(ConfigError, match="give reference=profile"):
        drift(model, X)
    weight = np.full(4000, 2.0)
    found = drift(model, X, reference=profile(model, X), sample_weight=weight)
    assert (found.verdict, found.found.n_rows) == ("keep", 2 * (~np.isnan(X).all(axis=1)).sum())
    Y = np.where(np.isnan(X), np.nan, X + 4)
    assert drift(model, Y, reference=profile(model, X)).verdict == "alarm"


def test_refusals():
    with pytest.raises(ConfigError, match="the reference has 2 components, the model 1"):
        drift(model_of([1.0], np.zeros((1, 2)), np.eye(2)[None]), rows(10, 0), reference=REFERENCE)
    with pytest.raises(FormatError, match="damaged"):
        Profile.from_dict({"n_rows": 3})
    with pytest.raises(ConfigError, match="n_batches is 0"):
        drift(MODEL, rows(10, 0), reference=REFERENCE, n_batches=0)
