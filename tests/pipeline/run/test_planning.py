"""`plan`: everything that a run would do, and nothing done."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import loads
from pipeline.run.planning import columns_after, every, plan, workers_of
from tests.pipeline.run.helpers import Workplace


def test_a_plan_prints_rows_fits_blocks_and_memory(place: Workplace) -> None:
    model = {"n_components": "2..9", "covariance_type": ["full", "diag"], "n_init": 3}
    before = set(place.path.rglob("*"))
    answer = place.call("plan", place.config(model=model, transform=["standardize", {"pca": 1}]))
    assert answer.code == 0, answer.err
    assert set(place.path.rglob("*")) - before == {place.path / "fit.yaml"}  # nothing started
    lines = {line.split()[0]: line for line in answer.out.splitlines()}
    assert "rows.csv" in lines["source"]
    assert "600 rows, 2 columns" in lines["source"]
    assert lines["grid"].endswith("8 K x full, diag x 3 starts = 48 fits, in the same passes")
    assert "standardize, pca   -> 1 columns" in lines["transform"]
    assert "1 of 16,384 rows" in lines["blocks"]
    assert str(place.run) in lines["output"]
    assert answer.out.endswith("nothing started; run with: gmm-dask run fit.yaml\n")


def test_a_plan_as_json(place: Workplace) -> None:
    facts = place.call("plan", place.config(), "--json").json
    assert facts["exit_code"] == 0
    assert facts["rows"] == 600
    assert facts["fits"] == 4
    assert facts["worker_bytes"] > 2**27
    assert facts["config"]["model"]["tol"] == 1e-5


def test_a_plan_reads_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((100_000, 3)))
    from pipeline.sources.table import RowTable

    def refuse(self: RowTable, lo: int, hi: int) -> None:
        raise AssertionError(f"rows {lo} to {hi} were read")

    monkeypatch.setattr(RowTable, "read", refuse)
    text = f"source: {{path: {tmp_path / 'rows.npy'}}}\nmodel: {{n_components: 3}}"
    _, facts = plan(loads(text, "p.yaml"))
    assert facts["blocks"] == 7  # 100,000 rows in blocks of 16,384
    assert facts["tasks_per_pass"] == 7 + 1 + 1  # blocks, one merge, the question


def test_memory_that_cannot_fit_is_refused_with_numbers(place: Workplace) -> None:
    answer = place.call("plan", place.config(), "--set", "cluster.memory_limit=100MiB")
    assert answer.code == 4
    assert re.search(r"a worker needs \d+\.\d MiB of memory", answer.err)
    assert "its limit is 100.0 MiB" in answer.err
    assert "Raise cluster.memory_limit" in answer.err


def test_wrong_columns_are_found_by_the_plan(place: Workplace) -> None:
    answer = place.call("plan", place.config(source={"path": "rows.csv", "columns": ["x", "z"]}))
    assert answer.code == 3
    assert "rows.csv has no z; it has name, x, y" in answer.err


def test_figures_of_a_plan() -> None:
    base = "source: {path: builtin:iris}\nmodel: {n_components: 2}\n"
    config = loads(f"{base}transform: [log, pca: 3, standardize]\n", "p.yaml")
    assert columns_after(config, 4) == 3
    assert columns_after(loads(base, "p.yaml"), 4) == 4
    assert every(config) == "every 60 s"
    often = loads(f"{base}checkpoint: {{every: 10 passes}}\n", "p.yaml")
    assert every(often) == "every 10 passes"
    cluster = "cluster: {n_workers: 3, threads_per_worker: 2, memory_limit: 2GiB}\n"
    assert workers_of(loads(base + cluster, "p.yaml")) == (3, 2, 2 * 2**30)
