"""The CSV beside each figure against the numbers of the results."""

from __future__ import annotations

import numpy as np
import pytest
from report_pages import Page

from pipeline.report import Results
from pipeline.report.csv_links import csv_link, file_name

# Numbers are written with eight digits.
REL = 1e-7


def columns(lines: list[list[str]]) -> dict[str, np.ndarray]:
    return dict(zip(lines[0], np.array(lines[1:]).T, strict=True))


def test_candidates(digits: Results, pages: dict[str, Page]) -> None:
    table = columns(pages["digits"].csv("candidates"))
    for field in ("n_components", "log_likelihood_per_row", "bic", "icl", "held_out_error"):
        expected = [getattr(row, field) for row in digits.candidates]
        np.testing.assert_allclose(table[field].astype(float), expected, rtol=REL)
    assert np.flatnonzero(table["chosen"] == "yes").tolist() == [digits.chosen]


def test_components_in_source_units(digits: Results, pages: dict[str, Page]) -> None:
    table = columns(pages["digits"].csv("components"))
    assert table["rows"].astype(int).tolist() == [c.rows for c in digits.components]
    for i, column in enumerate(digits.source.columns):
        for field in ("mean", "std"):
            expected = [getattr(c, field)[i] for c in digits.components]
            found = table[f"{field} {column.name}"].astype(float)
            np.testing.assert_allclose(found, expected, rtol=REL)


def test_density_and_boundaries_of_a_pair(digits: Results, pages: dict[str, Page]) -> None:
    pair = digits.pairs[0]
    lines = pages["digits"].csv("pair-1-density")
    np.testing.assert_allclose(np.array(lines[0][1:], float), pair.y_edges, rtol=REL)
    x = [float(line[0]) for line in lines[1:]]
    np.testing.assert_allclose(x, pair.x_edges, rtol=REL)
    counts = np.array([line[1:] for line in lines[1:-1]], float)
    np.testing.assert_array_equal(counts, pair.counts)
    table = columns(pages["digits"].csv("pair-1-boundaries"))
    for contour in pair.contours:
        own = (table["component"].astype(int) == contour.component) & (
            table["sigma"].astype(float) == contour.sigma
        )
        found = np.column_stack([table[name][own].astype(float) for name in list(table)[2:]])
        np.testing.assert_allclose(found, contour.points, rtol=1e-6, atol=1e-6)


def test_coarser_bins_keep_every_row(samples: dict[str, Results], pages: dict[str, Page]) -> None:
    lines = pages["wide"].csv("pair-1-density")
    counts = np.array([line[1:] for line in lines[1:-1]], float)
    assert counts.shape == (100, 100)
    fine = samples["wide"].pairs[0].counts
    np.testing.assert_array_equal(counts, fine.reshape(100, 2, 100, 2).sum(axis=(1, 3)))


def test_curves_starts_and_traces(digits: Results, pages: dict[str, Page]) -> None:
    page = pages["digits"]
    bic = columns(page.csv("bic"))
    expected = [row.bic for row in digits.candidates]
    np.testing.assert_allclose(bic["bic"].astype(float), expected, rtol=REL)
    starts = columns(page.csv("starts"))["log_likelihood_per_row"].astype(float)
    bounds = [start.lower_bound for row in digits.candidates for start in row.restarts]
    np.testing.assert_allclose(starts, bounds, rtol=REL)
    trace = columns(page.csv("log-likelihood"))
    own = (trace["n_components"].astype(int) == digits.choice.n_components) & (
        trace["covariance_type"] == "full"
    )
    found = trace["log_likelihood_per_row"][own].astype(float)
    np.testing.assert_allclose(found, digits.choice.trace, rtol=REL)


def test_rows_and_passes(digits: Results, pages: dict[str, Page]) -> None:
    page = pages["digits"]
    assert digits.probability is not None
    assert digits.passes is not None
    table = columns(page.csv("probability"))
    np.testing.assert_array_equal(table["rows"].astype(float), digits.probability.counts)
    assert table["rows"].astype(float).sum() == 1797
    passes = columns(page.csv("passes"))
    np.testing.assert_allclose(passes["seconds"].astype(float), digits.passes.seconds, rtol=REL)


def test_overlap_pairs_come_strongest_first(digits: Results, pages: dict[str, Page]) -> None:
    table = columns(pages["digits"].csv("overlap"))
    found = table["bhattacharyya"].astype(float)
    K = len(digits.components)
    assert len(found) == K * (K - 1) // 2
    assert (np.diff(found) <= 0).all()
    a, b = table["component_a"].astype(int), table["component_b"].astype(int)
    np.testing.assert_allclose(found, digits.overlap[a, b], rtol=REL)


def test_composition(digits: Results, pages: dict[str, Page]) -> None:
    lines = pages["digits"].csv("composition-digit")
    order = [int(cell) for cell in lines[0][1:]]
    counts = np.array([line[1:] for line in lines[1:]], float)
    np.testing.assert_array_equal(counts, digits.compositions[0].counts[:, order])


def test_one_column_densities(samples: dict[str, Results], pages: dict[str, Page]) -> None:
    line = samples["line"].line
    assert line is not None
    table = np.array(pages["line"].csv("densities")[1:], float)
    np.testing.assert_allclose(table[:, 0], line.grid, rtol=REL)
    np.testing.assert_allclose(table[:, 1:], line.densities.T, rtol=REL)


def test_hostile_names_stay_in_their_cells(
    samples: dict[str, Results], pages: dict[str, Page]
) -> None:
    lines = pages["hostile"].csv("components")
    assert {len(line) for line in lines} == {7 + 2 * 8}
    pair = pages["hostile"].csv("pair-1-boundaries")
    assert not [cell for cell in pair[0] if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (float("nan"), ""), (0.1, "0.1"), (3.0, "3"), (-1.5e-12, "-1.5e-12"), (7, "7"),
        ("=1+1", "'=1+1"), ('a"b', '"a""b"'), ("x,y", '"x,y"'), (float("inf"), "inf"),
        (True, "True"), (123456789.0, "123456789"),
    ],
)  # fmt: skip
def test_cells(value: str | float, cell: str) -> None:
    from urllib.parse import unquote

    link = csv_link("CSV", "a.csv", ("head", "end"), [(value, 1)])
    assert unquote(link.uri.split(",", 1)[1]) == f"head,end\n{cell},1\n"


def test_file_names_are_plain() -> None:
    assert file_name("../../etc/passwd\n", "x") == "etc-passwd-x.csv"
    assert file_name("", "x") == "run-x.csv"
    assert file_name("gaia-cone_45.0", "pair-1") == "gaia-cone_45.0-pair-1.csv"
