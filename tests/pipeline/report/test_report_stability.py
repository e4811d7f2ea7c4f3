"""How the agreement of labels is shown: table, curve, console and glance."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from report_pages import Page
from report_samples import line_results

from gmm_dask.stability import SAME
from pipeline.report import Results, candidates_table, render
from pipeline.report.words import agreement

NAN = math.nan


@pytest.fixture(scope="module")
def line() -> Results:
    return line_results()


@pytest.fixture(scope="module")
def compared(line: Results) -> Results:
    """Candidates of two types whose values differ from one another."""
    rows = line.candidates
    found = [
        dataclasses.replace(row, stability=s, stability_neighbours=n, restarts_compared=4)
        for row, s, n in zip(
            rows,
            (NAN, 0.931, 0.52, NAN, 0.997, 0.41),
            (NAN, 0.88, 0.67, NAN, 0.76, NAN),
            strict=True,
        )
    ]
    chosen = {"chosen": 4, "criterion": "stability"}
    return dataclasses.replace(line, candidates=tuple(found), **chosen)


@pytest.fixture(scope="module")
def page(compared: Results, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(render(compared, tmp_path_factory.mktemp("stability") / "report.html"))


def test_words() -> None:
    assert agreement(0.931, 0.879) == "0.93 (restarts), 0.88 (neighbours)"
    assert agreement(0.931, NAN) == "0.93 (restarts)"
    assert agreement(NAN, 0.879) == "0.88 (neighbours)"
    assert agreement(NAN, NAN) == "–"


def test_the_table_of_the_page(compared: Results, page: Page) -> None:
    head, *lines = next(table for table in page.tables if "starts agree" in table[0])
    column = head.index("stability")
    assert [line[column] for line in lines] == [
        agreement(row.stability, row.stability_neighbours) for row in compared.candidates
    ]
    assert "Stability: mean adjusted Rand index" in page.text
    header, *rows = page.csv("candidates")
    place = header.index("stability")
    assert header[place : place + 3] == ["stability", "stability_neighbours", "restarts_compared"]
    assert rows[1][place : place + 3] == ["0.931", "0.88", "4"]


def test_the_curve_decides_and_shows_the_neighbours(page: Page) -> None:
    titles = [part for part in page.pieces if "by number of components" in part]
    assert "Stability of the labels" in titles[0]  # what decided comes first
    assert "Larger is better. This criterion decided." in page.text
    assert f"within {SAME:g} of the largest, the smallest BIC" in page.text
    header, *rows = page.csv("stability")
    assert header == ["n_components", "covariance_type", "stability", "neighbours"]
    assert rows[1] == ["2", "full", "0.931", "0.88"]


def test_the_glance_and_the_sentence(page: Page) -> None:
    assert "chosen among 12 fits by stability" in page.text
    assert "1.00 (restarts), 0.76 (neighbours)" in page.text


def test_the_console(compared: Results) -> None:
    head, *lines = candidates_table(compared).splitlines()
    assert "stability" in head
    assert "0.93" in lines[1].split()
    assert lines[4].startswith(">")
    assert "1.00" in lines[4].split()


def test_nothing_is_shown_where_labels_were_not_compared(line: Results, tmp_path: Path) -> None:
    assert "stability" not in candidates_table(line)
    assert "tability" not in Page(render(line, tmp_path / "report.html")).text


def test_results_stored_before_are_still_read(line: Results) -> None:
    plain = json.loads(line.to_json())
    for row in plain["candidates"]:
        for part in ("stability", "stability_neighbours", "restarts_compared"):
            del row[part]
    assert math.isnan(Results.from_json(json.dumps(plain)).choice.stability)
