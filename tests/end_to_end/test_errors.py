"""The errors that users hit first, through the installed program: a sentence and a code."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.program import Place

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def odd(place: Place) -> Place:
    """Rows with what goes wrong."""
    rows = np.load(place.path / "rows.npy")[:2000]
    ids = np.random.default_rng(0).permutation(10**6)[:2000] + 10**9
    lines = [f"{i},{x},{y},4" for i, (x, y) in zip(ids, rows, strict=True)]
    head = "source_id,pmra,pmdec,flag"
    (place.path / "stars.csv").write_text("\n".join([head, *lines]))
    lines[12], lines[40] = f"{ids[12]},,1.5,4", f"{ids[40]},,,4"
    (place.path / "holes.csv").write_text("\n".join([head, *lines]))
    same = [f"{i},1.0,5.0,4" if i < 1200 else line for i, line in enumerate(lines)]
    (place.path / "twins.csv").write_text("\n".join([head, *same]))
    return place


def fails(place: Place, cluster: dict[str, str], code: int, name: str, **sections: Any) -> str:
    """Run a configuration that must fail; return what it said."""
    done: subprocess.CompletedProcess[str]
    done = place.call("run", place.config(name, **{"cluster": cluster, **sections}))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_misspelt_and_misplaced_keys(place: Place, cluster: dict[str, str]) -> None:
    model, select = {"n_component": 3}, {"n_init": 3}
    told = fails(place, cluster, 2, "misspelt", model=model, select=select)
    assert "model.n_component: no such key. Did you mean n_components?" in told
    assert "select.n_init: no such key. It belongs to model.n_init." in told
    assert "config misspelt.yaml:" in told


def test_wrong_column(odd: Place, cluster: dict[str, str]) -> None:
    source = {"path": "stars.csv", "columns": ["pmra", "pm_dec"]}
    told = fails(odd, cluster, 3, "column", source=source)
    assert "stars.csv has no pm_dec; it has source_id, pmra, pmdec, flag" in told
    assert "Did you mean pmdec?" in told


def test_missing_values(odd: Place, cluster: dict[str, str]) -> None:
    source = {"path": "holes.csv", "columns": ["pmra", "pmdec"], "id": "source_id"}
    told = fails(odd, cluster, 3, "holes", source=source)
    assert "2 of 2000 rows have no pmra" in told
    assert "1 of 2000 rows have no pmdec" in told
    assert "first: row 12" in told


def test_identifiers_are_left_out_and_constants_refused(
    odd: Place, cluster: dict[str, str]
) -> None:
    config = odd.config("ids", source={"path": "stars.csv"}, cluster=cluster)
    plan = odd.ask("plan", config)
    assert "source_id looks like an identifier" in plan.stdout
    assert "name it in source.id to keep it" in plan.stdout
    told = fails(odd, cluster, 3, "ids", source={"path": "stars.csv"})
    assert "1 of 3 columns are constant: flag (always 4)" in told


def test_a_file_that_the_workers_cannot_see(
    place: Place, cluster: dict[str, str], tmp_path: Path
) -> None:
    """The driver sees it through a descriptor that no other process has."""
    hidden = tmp_path / "rows.npy"
    np.save(hidden, np.random.default_rng(0).normal(size=(100, 2)))
    with hidden.open("rb") as file:
        config = place.config(
            "hidden",
            source={"path": f"/proc/self/fd/{file.fileno()}", "format": "npy"},
            cluster=cluster,
        )
        done = place.ask("run", config)
    assert done.exit_code == 4, done.stderr
    assert "2 of 2 workers cannot open the source" in done.stderr
    assert "Use a path that all workers share, or a URL" in done.stderr


def test_a_collapsed_component_is_a_warning(odd: Place, cluster: dict[str, str]) -> None:
    source = {"path": "twins.csv", "columns": ["pmra", "pmdec"], "filter": "pmra is not null"}
    model = {"n_components": [1, 2, 3], "n_init": 3}
    done = odd.ask("run", odd.config("twins", source=source, model=model, cluster=cluster))
    assert done.exit_code == 0, done.stderr
    notes = [row["problems"] for row in odd.manifest("twins")["candidates"]]
    assert any("flat" in note for note in notes)
    assert "degenerate" in done.stdout
    assert not odd.manifest("twins")["chosen"]["problems"]
