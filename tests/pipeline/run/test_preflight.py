"""What could not be written is refused before any pass, and before any cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.run.helpers import Workplace

NO_CLUSTER = {"type": "address", "address": "tcp://127.0.0.1:9", "timeout": "60s"}


def refusal(place: Workplace, **sections: Any) -> tuple[int, str]:
    answer = place.call("run", place.config(cluster=NO_CLUSTER, **sections))
    assert not (place.run / "scratch" / "spool").exists()
    assert json.loads((place.run / "run.json").read_text())["status"] == "failed"
    return answer.code, answer.err


def test_write_back_into_a_csv(place: Workplace) -> None:
    code, err = refusal(place, output={"write_back": {"obs": "gmm"}})
    assert code == 2
    assert "output.write_back: the source is not one AnnData file" in err


def test_an_output_that_would_replace_something_else(place: Workplace) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("...")
    code, err = refusal(place, output={"path": "mine"})
    assert code == 2
    assert "output.path" in err
    assert "mine holds something that this program did not write" in err
    assert Path("mine/thesis.tex").is_file()


def test_an_id_with_the_name_of_an_output(place: Workplace) -> None:
    lines = Path("rows.csv").read_text().replace("name,x,y", "label,x,y")
    Path("rows.csv").write_text(lines)
    source = {"path": "rows.csv", "columns": ["x", "y"], "id": "label"}
    code, err = refusal(place, source=source)
    assert code == 2
    assert "source.id: label is also the name of an output" in err


@pytest.mark.parametrize(
    ("transform", "features", "message"),
    [
        ([], [["x", "z"]], "report.features: z is not among the columns"),
        ([{"pca": 1}], [["x", "y"]], "after pca the figures show principal components"),
    ],
)
def test_features_that_no_figure_has(
    place: Workplace, transform: list[Any], features: list[Any], message: str
) -> None:
    source = {"path": "rows.csv", "id": "name"}
    code, err = refusal(place, source=source, transform=transform, report={"features": features})
    assert code == 2
    assert message in err


def test_a_run_folder_that_is_a_file(place: Workplace) -> None:
    Path("taken").write_text("")
    for folder in ("taken", "taken/below"):
        answer = place.call("run", place.config(run={"dir": folder}))
        assert answer.code == 2
        assert "is a file; name a folder for the run" in answer.err


def test_a_run_folder_where_nothing_can_be_made(place: Workplace) -> None:
    answer = place.call("run", place.config(run={"dir": "/proc/none"}))
    assert answer.code == 4
    assert "run.dir: /proc/none cannot be made" in answer.err
