"""Runs with angles, colours and a background: plan, run, report, predict, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.compound import mixed

ANGLED = {"columns": ["x", "turned"], "path": "rows.csv", "id": "name"}


def write(path, n=500):
    rows, _ = mixed(n, K=2, seed=3)
    rows[::10, 0] = np.random.default_rng(0).uniform(-30, 30, len(rows[::10]))
    lines = ["name,x,turned", *(f"r{i},{x},{a}" for i, (x, a) in enumerate(rows[:, :2]))]
    path.write_text("\n".join(lines) + "\n")


def test_angles_and_a_background(place):
    write(place.path / "rows.csv")
    model = {
        "n_components": "1..3",
        "n_init": 2,
        "circular": {"turned": 360},
        "background": "uniform",
        "missing": "marginalize",
    }
    output = {"columns": ["label", "probability", "log_density", "responsibilities"]}
    config = place.config(
        source=ANGLED, model=model, transform=["standardize"], output=output, report={}
    )
    planned = place.call("plan", config)
    assert planned.code == 0, planned.err
    assert "turned (period 360); von Mises" in planned.out
    assert "one uniform component more" in planned.out
    answer = place.call("run", config)
    assert answer.code == 0, answer.err
    chosen = place.manifest["chosen"]
    K = chosen["n_components"]
    assert chosen["n_parameters"] == K * 4 + K  # mean, variance, direction, kappa; K weights
    table = pq.read_table(place.run / "assignments")
    resp = np.stack([table.column(f"resp_{k}").to_numpy() for k in range(K + 1)], axis=1)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(place.labels(), resp.argmax(axis=1))
    behind = place.labels() == K
    assert 0.03 < behind.mean() < 0.15  # a tenth, of which some lies among the others
    components = place.results()["components"]
    assert [c["name"] for c in components] == [""] * K + ["background"]
    assert all(0 <= c["mean"][1] < 360 for c in components)
    assert "uniform background" in (place.run / "report.html").read_text()
    again = place.call("predict", str(place.run), "rows.csv", "--out", "new")
    assert again.code == 0, again.err
    found = pq.read_table(place.path / "new").column("label").to_numpy()
    np.testing.assert_array_equal(found, place.labels())


def test_colours(place):
    rng = np.random.default_rng(0)
    red = rng.random(400) < 0.6
    grey = np.full(3, 80.0)
    rgb = np.where(red[:, None], [200.0, 60.0, 62.0], [40.0, 60.0, 180.0])
    rgb = np.clip(rgb + rng.normal(0, 6, (400, 3)), 0, 255)
    rgb[::40] = grey
    lines = ["name,r,g,b", *(f"r{i},{r},{g},{b}" for i, (r, g, b) in enumerate(rgb))]
    (place.path / "rows.csv").write_text("\n".join(lines) + "\n")
    model = {"n_components": 2, "circular": {"hue": 360}, "missing": "marginalize"}
    source = {"path": "rows.csv", "columns": ["r", "g", "b"], "id": "name"}
    config = place.config(source=source, model=model, transform=["rgb_to_hsv"], report={})
    assert place.call("plan", config).code == 0
    answer = place.call("run", config)
    assert answer.code == 0, answer.err
    labels = place.labels()
    coloured = np.arange(400) % 40 != 0
    assert (labels[coloured] == np.where(red, 0, 1)[coloured]).mean() > 0.99
    means = [c["mean"] for c in place.results()["components"]]
    np.testing.assert_allclose(means[0], [200, 60, 62], atol=25)  # the greys pull on one of them


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ({"circular": {"turned": 360}, "compute_dtype": "float32"}, {}, "float32 is for Gaussians"),
        ({"background": {"turned": [0, 1]}, "circular": {"turned": 360}}, {}, "box is its period"),
        ({"background": {"z": [0, 1]}}, {}, "z is not among"),
        (
            {"circular": {"turned": 360}, "missing": "marginalize"},
            {"output": {"columns": ["imputed"]}},
            "needs expected values",
        ),
        ({}, {"transform": ["rgb_to_hsv"]}, "takes three columns"),
        (
            {},
            {"source": {**ANGLED, "columns": ["x", "y", "z"]}, "transform": ["rgb_to_hsv"]},
            "the hue that rgb_to_hsv makes is an angle",
        ),
        (
            {"circular": {"turned": 360}},
            {"source": {**ANGLED, "noise": {"std": "{column}_error"}}},
            "name it in source.noise.exact",
        ),
    ],
)
def test_combinations_are_refused_before_any_row_is_read(place, model, more, message):
    sections = {"source": ANGLED, "model": {"n_components": 2, **model}, **more}
    answer = place.call("plan", place.config(**sections))
    assert answer.code == 2
    assert message in answer.err
