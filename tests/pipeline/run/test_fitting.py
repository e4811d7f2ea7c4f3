"""From a configuration to a grid and candidates."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gmm_dask import ArraySource, Grid, LocalEngine, run_grid
from pipeline.config import loads
from pipeline.run.asked import checkpoint_of, grid_of, spec_of
from pipeline.run.fitting import Shift, candidate_row, in_source_units
from tests.strategies import clusters

BASE = "source: {path: builtin:iris}\n"


def test_grid_of_a_configuration() -> None:
    model = "model: {n_components: 2..4, covariance_type: [full, diag], n_init: 3, tol: 1e-4, "
    more = "max_iter: 77, reg_covar: 1e-5, random_state: 9, init_params: k-means||}\n"
    grid = grid_of(loads(f"{BASE}{model}{more}", "p.yaml"))
    wanted = Grid((2, 3, 4), ("full", "diag"), 3, "k-means||", 1e-4, 77, 1e-5, 9)
    assert grid == replace(wanted, accelerate=True, race=True)
    select = "select: {criterion: held_out, held_out: 0.25}\n"
    held = grid_of(loads(f"{BASE}model: {{n_components: 2}}\n{select}", "p.yaml"))
    assert held.rows is not None
    train = held.rows.mask(ArraySource(np.zeros((40_000, 1))).read(0, 40_000))
    # three quarters are trained on: 0.75 +- 5 standard errors
    assert train.mean() == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / 40_000))


def test_checkpoints_of_a_configuration(tmp_path: Path) -> None:
    model = "model: {n_components: 2}\n"
    path = f"checkpoint: {{every: 10 passes, keep: 2, path: {tmp_path}}}\n"
    settings = checkpoint_of(loads(BASE + model + path, "p.yaml"), "require")
    assert (settings.path, settings.keep) == (tmp_path, 2)
    assert (settings.every_passes, settings.resume) == (10, "require")
    settings = checkpoint_of(loads(f"{BASE}{model}checkpoint: {{every: 5m}}", "p.yaml"), "auto")
    assert (settings.every_seconds, settings.every_passes) == (300.0, None)
    assert settings.path == Path("runs/p/checkpoints")


def test_what_the_report_colours_by_is_carried() -> None:
    report = "report: {colour_by: [target_name, target]}\nmodel: {n_components: 2}\n"
    source = "source: {path: builtin:iris, carry: target}\n"
    spec = spec_of(loads(source + report, "p.yaml"))
    assert spec.carry == ("target", "target_name")


def test_shifting_changes_no_choice_and_no_difference() -> None:
    source = ArraySource(clusters(800, seed=2)[0])
    result = run_grid(source, Grid((1, 2, 3), n_init=2), LocalEngine(1))
    shifted = in_source_units(result, Shift(-3.5, -3.25))
    for before, after in zip(result.candidates, shifted.candidates, strict=True):
        assert after.log_likelihood_per_row == pytest.approx(before.log_likelihood_per_row - 3.5)
        assert after.bic - before.bic == pytest.approx(2 * 800 * 3.5)
        assert after.starts_agree == before.starts_agree
        assert after.lower_bounds[0] == pytest.approx(before.lower_bounds[0] - 3.5)
        assert after.icl - after.bic == pytest.approx(before.icl - before.bic, abs=1e-9)
    for criterion in ("bic", "aic", "icl"):
        assert result.choose(criterion) == shifted.choose(criterion)
    assert in_source_units(result, Shift(0.0, 0.0)) is result


def test_row_of_a_candidate() -> None:
    source = ArraySource(clusters(500, seed=3)[0])
    result = run_grid(source, Grid((2,), n_init=3), LocalEngine(1))
    row = candidate_row(result.candidates[0], True)
    assert row["chosen"]
    assert (row["n_components"], row["covariance_type"], row["n_init"]) == (2, "full", 3)
    assert row["n_parameters"] == 11
    total = 500 * row["log_likelihood_per_row"]
    assert row["bic"] == pytest.approx(-2 * total + 11 * math.log(500))
    assert row["aic"] == pytest.approx(-2 * total + 22)
    assert math.isnan(row["held_out"])
