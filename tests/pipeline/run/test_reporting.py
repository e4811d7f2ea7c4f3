"""The report of a run, and made again from what it stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipeline.run.helpers import Workplace

pytestmark = pytest.mark.cluster


def test_the_report_is_rebuilt_without_data_or_cluster(place: Workplace) -> None:
    place.call("run", place.config(report={"title": "Two heaps", "features": [["y", "x"]]}))
    path = place.run / "report.html"
    first = path.read_bytes()
    path.unlink()
    (place.path / "rows.csv").unlink()
    answer = place.call("report", "runs/fit", "--json")
    assert answer.code == 0, answer.err
    assert Path(answer.json["report"]).resolve() == path
    assert path.read_bytes() == first
    assert place.call("status", "runs/fit", "--require", "finished").code == 0
    text = first.decode()
    assert "Two heaps" in text
    assert "<script src" not in text
    assert len(first) < 2_000_000


def test_composition_by_a_carried_column(place: Workplace) -> None:
    lines = (place.path / "rows.csv").read_text().splitlines()
    kinds = ["kind", *("odd" if i % 2 else "even" for i in range(len(lines) - 1))]
    text = "\n".join(f"{line},{kind}" for line, kind in zip(lines, kinds, strict=True))
    (place.path / "rows.csv").write_text(text)
    answer = place.call("run", place.config(report={"colour_by": "kind"}))
    assert answer.code == 0, answer.err
    (found,) = json.loads((place.run / "results.json").read_text())["compositions"]
    assert found["name"] == "kind"
    assert sorted(found["categories"]) == ["even", "odd"]


def test_transforms_are_undone_in_the_report(place: Workplace) -> None:
    """The component table of a standardized fit is that of the plain one."""
    results = []
    for name, transform in (("a", []), ("b", ["standardize"])):
        config = place.config(report={}, transform=transform, run={"name": name})
        assert place.call("run", config).code == 0
        stored = json.loads((place.path / "runs" / name / "results.json").read_text())
        results.append(stored["components"])
    for plain, undone in zip(*results, strict=True):
        assert undone["mean"] == pytest.approx(plain["mean"], rel=1e-4)
        assert undone["std"] == pytest.approx(plain["std"], rel=1e-4)


def test_without_results_there_is_no_report(place: Workplace) -> None:
    place.call("run", place.config())
    answer = place.call("report", "runs/fit")
    assert answer.code == 2
    assert "has no results.json" in answer.err
