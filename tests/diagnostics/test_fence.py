"""Rows on the fence, boundaries and bit errors against published numbers and direct sums."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kurtosis, norm

from gmm_dask import ambiguity, bit_errors, boundary, regions, rows_on_the_fence
from gmm_dask.errors import ConfigError, DataError
from tests.diagnostics.models import model_of

# Two bottling lines: N(1, var .1) and N(3, sd .3); see the boundaries below.
LINES = model_of([0.5, 0.5], [1.0, 3.0], [0.1, 0.09])
PAIR = model_of([0.6, 0.4], [0.0, 2.0], [1.0, 1.5])


def test_boundaries_of_unequal_variances():
    assert boundary(LINES, 0, 1).roots == pytest.approx((2.0238, 39.98), abs=5e-3)
    assert [r.component for r in regions(LINES)] == [0, 1, 0]
    assert rows_on_the_fence(LINES, np.array([[2.0]])).probability[0] == pytest.approx(
        0.623, abs=1e-3
    )


def test_boundaries_agree_with_the_labels():
    X = np.linspace(-20, 60, 4001)[:, None]
    label = LINES.predict(X)
    for low, high, component in regions(LINES):
        inside = (X[:, 0] > low) & (X[:, 0] < high)
        assert (label[inside] == component).all()
    near = np.linspace(-1, 5, 500)[:, None]
    resp = LINES.predict_proba(near)
    odds = boundary(LINES, 0, 1).log_odds(near)
    assert np.allclose(odds, np.log(resp[:, 0] / resp[:, 1]), atol=1e-9, rtol=1e-9)


def test_a_component_may_have_no_region():
    found = regions(model_of([0.999, 0.001], [0.0, 0.1], [1.0, 1.0]))
    assert [r.component for r in found] == [0, 1]  # equal widths: one cut, far away
    assert abs(found[0].high) > 50
    hidden = regions(model_of([0.99, 0.01], [0.0, 0.0], [1.0, 0.9]))
    assert [r.component for r in hidden] == [0]


def test_flags_of_rows():
    X = np.array([[1.0], [-9.0], [-0.5]])
    model = model_of([0.5, 0.5], [0.0, 2.5], [1.0, 1.0])
    rows = rows_on_the_fence(model, X)
    assert rows.ambiguous.tolist() == [True, False, False]
    assert rows.outlier.tolist() == [False, True, False]  # certain of its label, and nobody's
    assert rows.doubt[1] < rows.doubt[0]
    p = model.predict_proba(X)
    assert np.allclose(rows.entropy, -(p * np.log(p)).sum(axis=1))
    assert np.allclose(rows.margin, np.abs(p[:, 0] - p[:, 1]))
    assert (rows.second_label == 1 - rows.label).all()


def test_doubt_keeps_its_digits():
    rows = rows_on_the_fence(PAIR, np.array([[-12.0]]))
    joint = [w * norm.pdf(-12.0, m, np.sqrt(v)) for w, m, v in ((0.6, 0, 1), (0.4, 2, 1.5))]
    smaller = min(joint) / sum(joint)
    assert rows.doubt[0] == pytest.approx(smaller, rel=1e-9)


def test_expected_error_is_the_bayes_error_and_calibrated():
    X, truth = PAIR.sample(50000)
    found = ambiguity(PAIR, X)

    def least(x: float) -> float:
        return float(min(0.6 * norm.pdf(x), 0.4 * norm.pdf(x, 2, np.sqrt(1.5))))

    bayes = quad(least, -10, 15, limit=300)[0]
    assert found.expected_error == pytest.approx(bayes, abs=3e-3)
    wrong = PAIR.predict(X) != truth
    assert wrong.mean() == pytest.approx(found.expected_error, abs=4 * np.sqrt(bayes / 50000))
    outside = [b for b in found.bins if not b.simulated_low <= b.expected_error <= b.simulated_high]
    assert len([b for b in outside if b.rows]) <= 2  # of eight 95 % intervals
    assert found.share == np.mean(PAIR.predict_proba(X).max(axis=1) < 0.9)
    json.dumps(found.to_dict(), allow_nan=False)


def test_weights_count_rows():
    heavy = ambiguity(PAIR, PAIR.sample(5000)[0], sample_weight=np.full(5000, 3.0))
    assert heavy.n_rows == 15000


# Weights, deviations, amplitude and the ratio of the rates, from closed forms at 30 digits.
@pytest.mark.parametrize(
    ("w", "s", "A", "ratio"),
    [
        ([0.95, 0.05], [0.2, 1.0], 1.0, 21.2),
        ([0.99, 0.01], [0.15, 0.9], 1.0, 2.8e5),
        ([0.5, 0.5], [0.2, 1.0], 0.3, 0.66),
    ],
)
def test_bit_errors_of_two_states(w, s, A, ratio):
    found = bit_errors(model_of(w, [0.0, 0.0], np.square(s)), A)
    assert found.ratio[0] == pytest.approx(ratio, rel=0.02)
    one = norm.sf(A / np.sqrt(np.array(w) @ np.square(s)))
    assert found.gaussian[0] == pytest.approx(one, rel=1e-12)


def test_bit_errors_of_noise_off_centre_by_quadrature():
    w, m, v = np.array([0.7, 0.3]), np.array([0.1, -0.4]), np.array([0.2, 1.5])
    found = bit_errors(model_of(w, m, v), [0.5, 2.0])
    for A, rate in zip((0.5, 2.0), found.mixture, strict=True):
        below, above = (
            quad(lambda x: float(w @ norm.pdf(x, m, np.sqrt(v))), *ends, epsabs=1e-14)[0]
            for ends in ((-40, -A), (A, 40))
        )
        assert rate == pytest.approx(0.5 * (below + above), rel=1e-9)
    X, _ = model_of(w, m, v).sample(400000)
    assert found.excess_kurtosis == pytest.approx(kurtosis(X[:, 0]), abs=0.15)


def test_rates_too_small_for_a_number_keep_their_logarithm():
    found = bit_errors(model_of([1.0], [0.0], [1.0]), 60.0)
    assert found.mixture[0] == 0
    assert found.log10_mixture[0] == pytest.approx(norm.logsf(60) / np.log(10))
    assert found.log10_ratio[0] == 0


def test_refusals():
    with pytest.raises(DataError, match="columns; bit errors are those of one"):
        bit_errors(model_of([1.0], np.zeros((1, 2)), np.eye(2)[None]), 1.0)
    with pytest.raises(ConfigError, match="positive numbers"):
        bit_errors(PAIR, -1.0)
    with pytest.raises(ConfigError, match="two of 0 to 1"):
        boundary(PAIR, 0, 2)
    with pytest.raises(ConfigError, match=r"threshold is 1\.5"):
        ambiguity(PAIR, np.zeros((3, 1)), threshold=1.5)
