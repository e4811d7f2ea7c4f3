"""Widths with the errors taken off beside those of a fit that ignores them."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from report_samples import line_results

from gmm_dask import FormatError
from pipeline.report import Results, Widths, render, summary_text, widths_text
from pipeline.report.widths import width_table


def with_widths() -> Results:
    results = line_results()
    own = np.array([component.std for component in results.components])
    widths = Widths(
        std=np.hypot(own, 0.5),
        weights=np.array([component.weight for component in results.components]),
        error=np.full(own.shape[1], 0.5),
        log_likelihood_per_row=-1.0,
        converged=False,
    )
    return replace(results, widths=widths)


def test_stored_and_read_back() -> None:
    results = with_widths()
    again = Results.from_json(results.to_json()).widths
    assert again is not None
    np.testing.assert_array_equal(again.std, results.widths.std)
    assert Results.from_json(line_results().to_json()).widths is None  # as earlier versions wrote


def test_table_csv_page_and_terminal(tmp_path: Path) -> None:
    results = with_widths()
    table = width_table(results)
    assert len(table.lines) == len(results.components)
    assert set(table.errors) == {"0.500"}
    assert "had not converged" in table.note
    text = unquote(table.link.uri.partition(",")[2])
    rows = list(csv.DictReader(io.StringIO(text)))
    for row, component in zip(rows, results.components, strict=True):
        assert float(row["std"]) == pytest.approx(component.std[0], rel=1e-7)
        square = float(row["std_errors_ignored"]) ** 2 - float(row["std"]) ** 2
        assert square == pytest.approx(0.25, rel=1e-5)  # numbers of eight digits
    page = render(results, tmp_path / "report.html").read_text()
    assert "Widths with the errors taken off, and with them" in page
    shown = widths_text(results)
    assert shown.count("\n") == len(results.components) + 1
    assert shown in summary_text(results)


def test_without_errors_nothing_is_said(tmp_path: Path) -> None:
    results = line_results()
    assert width_table(results) is None
    assert widths_text(results) == ""
    assert "errors taken off" not in render(results, tmp_path / "report.html").read_text()


def test_shapes_are_checked() -> None:
    results = with_widths()
    wrong = replace(results.widths, error=np.zeros(7))
    with pytest.raises(FormatError, match="error of the widths"):
        replace(results, widths=wrong)
