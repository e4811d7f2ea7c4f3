"""Red, green and blue as hue, saturation and value: against colorsys and finite differences."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from gmm_dask import DataError, GaussianMixture
from pipeline.stages.colours import RgbToHsv, palette, to_hsv, to_rgb
from pipeline.stages.transform import Transform, describe_step

STEP = RgbToHsv((2, 0, 1), ("r", "g", "b"))


def colours(n=200, seed=0):
    return np.random.default_rng(seed).random((n, 3))


def test_as_the_standard_library_has_it():
    rgb = np.concatenate([colours(), np.eye(3), 1 - np.eye(3), [[0.5, 0.2, 0.2]]])
    wanted = np.array([colorsys.rgb_to_hsv(*row) for row in rgb]) * [360.0, 1.0, 1.0]
    np.testing.assert_allclose(to_hsv(rgb), wanted, atol=1e-12)
    np.testing.assert_allclose(to_rgb(wanted), rgb, atol=1e-12)
    assert ((to_hsv(rgb)[:, 0] >= 0) & (to_hsv(rgb)[:, 0] < 360)).all()


def test_what_is_not_defined_is_missing():
    found = to_hsv(np.array([[0.3, 0.3, 0.3], [0.0, 0.0, 0.0], [np.nan, 0.1, 0.2]]))
    np.testing.assert_array_equal(np.isnan(found), [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert found[0, 1] == 0.0


def test_value_keeps_the_unit():
    rgb = colours()
    bright = to_hsv(255 * rgb)
    np.testing.assert_allclose(bright / [1, 1, 255], to_hsv(rgb), rtol=1e-10)


def test_the_jacobian_is_that_of_finite_differences():
    rows, h = colours(40)[:, [1, 2, 0]] * 255, 1e-4
    logs = STEP.log_jacobian(rows)
    for row, log in zip(rows, logs, strict=True):
        slopes = [
            (STEP.apply((row + h * e)[None]) - STEP.apply((row - h * e)[None]))[0] / (2 * h)
            for e in np.eye(3)
        ]
        assert np.linalg.slogdet(np.array(slopes))[1] == pytest.approx(log, abs=1e-5)


def test_names_and_positions():
    transform = Transform(("g", "b", "r"), (STEP,))
    assert transform.after == ("saturation", "value", "hue")
    again = Transform.from_dict(transform.as_dict())
    rows = colours()
    np.testing.assert_array_equal(again.apply(rows), transform.apply(rows))
    np.testing.assert_allclose(transform.invert(transform.apply(rows)), rows, atol=1e-12)
    assert describe_step(STEP).startswith("rgb_to_hsv of r, g, b")
    with pytest.raises(DataError, match="row 7"):
        transform.apply(np.array([[0.1, -0.2, 0.3]]), 7)


def test_a_covariance_goes_back_as_a_sample_does():
    rng = np.random.default_rng(0)
    mean, deviation = np.array([0.6, 0.5, 40.0]), np.array([0.01, 0.01, 1.0])
    rows = mean + deviation * rng.normal(size=(40000, 3))
    wanted = np.cov(STEP.invert(rows).T)
    found = STEP.invert_covariance(mean, np.diag(deviation**2))
    np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())


def test_a_palette_is_drawn_from_a_fit():
    rng = np.random.default_rng(0)
    hue = np.where(rng.random(500) < 0.5, rng.normal(0, 8, 500), rng.normal(210, 8, 500)) % 360
    rows = np.stack([hue, rng.uniform(0.6, 0.9, 500), rng.uniform(0.5, 0.8, 500)], axis=1)
    model = GaussianMixture(2, circular={0: 360}, random_state=0).fit(rows)
    drawn = palette(model, 200)
    assert drawn.shape == (200, 3)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    red = (drawn[:, 0] > drawn[:, 1]) & (drawn[:, 0] > drawn[:, 2])
    assert 0.35 < red.mean() < 0.65  # a half, +- 0.035; a blue or red one lies 15 widths off
