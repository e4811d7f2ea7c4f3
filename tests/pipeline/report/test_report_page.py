from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_extremes import HOSTILE
from report_pages import Page

from gmm_dask import ResourceError
from pipeline.report import Column, Results, chosen_sentence, render, warning_sentences
from pipeline.report.provenance import facts_line

MB = 1_000_000
ALL = ("digits", "single", "line", "hostile", "huge", "wide")


@pytest.mark.parametrize(("name", "limit"), [
    ("digits", 2 * MB), ("single", MB // 2), ("line", MB), ("hostile", 2 * MB),
    ("huge", 5 * MB), ("wide", 5 * MB),
])  # fmt: skip
def test_size(pages: dict[str, Page], name: str, limit: int) -> None:
    assert 50_000 < pages[name].path.stat().st_size < limit


@pytest.mark.parametrize("name", ALL)
def test_nothing_comes_from_elsewhere_and_nothing_runs(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        assert not [key for key in attrs if key.startswith("on")]
        for key in ("src", "href"):
            assert attrs.get(key, "data:").startswith(("data:image/", "data:text/csv", "data:"))
        assert "url(" not in attrs.get("style", "")
    style = page.html[page.html.index("<style>") : page.html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for t, a in page.tags if a.get("http-equiv", "").startswith("Cont"))
    assert policy.startswith("default-src 'none'")


@pytest.mark.parametrize("name", ALL)
def test_every_tag_is_closed_and_every_picture_described(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    assert page.open == []
    pictures = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) >= 3
    for picture in pictures:
        assert picture["alt"]
        assert int(picture["width"]) > 100
    assert sum(tag == "figcaption" for tag, _ in page.tags) == len(pictures)


@pytest.mark.parametrize("name", ["digits", "hostile"])
def test_pictures_are_svg_or_png_without_script(pages: dict[str, Page], name: str) -> None:
    for tag, attrs in pages[name].tags:
        if tag != "img":
            continue
        kind, body = attrs["src"].split(";base64,")
        data = base64.b64decode(body, validate=True)
        if kind == "data:image/png":
            assert data.startswith(b"\x89PNG")
            continue
        assert kind == "data:image/svg+xml"
        assert b"<svg" in data
        for word in (b"<script", b"onerror", b"evil.example", b"foreignObject"):
            assert word not in data


def test_hostile_words_are_text(pages: dict[str, Page]) -> None:
    page = pages["hostile"]
    for words in ("<script>alert(1)</script>", HOSTILE[1], "{{ 7*7 }}{% raw %}", HOSTILE[7]):
        assert " ".join(words.split()) in page.text
    assert "49" not in [cell for table in page.tables for row in table for cell in row[:1]]
    assert "<script" not in page.html
    assert "<img src=http" not in page.html
    assert "\x00" not in page.html
    assert "\u202e" not in page.html
    assert [tag for tag, _ in page.tags].count("style") == 1


def test_the_first_screen_comes_in_order(digits: Results, pages: dict[str, Page]) -> None:
    text, html = pages["digits"].text, pages["digits"].html
    places = [
        text.index(chosen_sentence(digits).replace("\u202f", " ")),
        text.index("Read this first"),
        text.index(digits.warnings[0]),
        text.index("At a glance"),
        text.index("Components weight rows"),
        text.index("How many components"),
        text.index("Where this comes from"),
        text.index(digits.run.command),
        text.index("Resolved configuration"),
    ]
    assert places == sorted(places)
    assert html.index('class="warnings"') < html.index("<figure") < html.index("<table")
    for sentence in warning_sentences(digits):
        assert sentence in text


def test_the_end_carries_the_record(digits: Results, pages: dict[str, Page]) -> None:
    text = pages["digits"].text
    end = text[text.index("Where this comes from") :]
    for words in (digits.run.version, digits.run.fingerprint, "principal components (10 of 64)"):
        assert words in end
    assert "n_components: 2..12" in end


def test_principal_components_are_not_counted_as_columns(digits: Results) -> None:
    assert "64 columns" in facts_line(digits)
    scores = tuple(Column(name=f"pc{i}") for i in range(10))
    columns = (*digits.source.columns, *scores)
    source = replace(digits.source, columns=columns, n_derived=10)
    told = facts_line(SimpleNamespace(run=digits.run, source=source))  # type: ignore[arg-type]
    assert "64 columns" in told


def test_the_component_table_holds_source_units(digits: Results, pages: dict[str, Page]) -> None:
    table = pages["digits"].tables[0]
    head, *lines = table
    assert len(lines) == len(digits.components)
    names = [column.name for column in digits.source.columns]
    first = head.index(next(cell for cell in head if "pixel" in cell))
    columns = [names.index(cell.removesuffix("grey level")) for cell in head[first:]]
    assert len(columns) == 8
    for line, component in zip(lines, digits.components, strict=True):
        assert int(line[0]) == component.number
        assert int(line[2].replace(",", "")) == component.rows
        for cell, column in zip(line[first:], columns, strict=True):
            mean, std = re.fullmatch(r"(\S+) \((\S+)\)", cell).groups()  # type: ignore[union-attr]
            # Two digits of the middle standard deviation of the column.
            near = 0.06 * max(c.std[column] for c in digits.components)
            assert float(mean) == pytest.approx(component.mean[column], abs=near)
            assert float(std) == pytest.approx(component.std[column], abs=near)


def test_the_candidate_table_marks_one_row(digits: Results, pages: dict[str, Page]) -> None:
    table = pages["digits"].tables[1]
    assert [row[0] for row in table[1:]].index("▸") == digits.chosen
    for row, candidate in zip(table[1:], digits.candidates, strict=True):
        assert int(row[1]) == candidate.n_components
        bic = float(row[table[0].index("BIC")].replace(",", ""))
        assert bic == pytest.approx(candidate.bic, abs=0.051)


def test_of_very_many_candidates_the_best_are_shown(
    samples: dict[str, Results], pages: dict[str, Page]
) -> None:
    results = samples["huge"]
    table = pages["huge"].tables[1]
    shown = [int(row[1]) for row in table[1:]]
    ranked = sorted(results.candidates, key=lambda row: -row.held_out)
    assert shown == sorted(row.n_components for row in ranked[: len(shown)])
    assert results.choice.n_components in shown
    assert f"{len(shown)} of 100, the best" in pages["huge"].text


def test_many_components_get_a_heat_map_and_few_boundaries(pages: dict[str, Page]) -> None:
    def titles(name: str) -> list[str]:
        html = pages[name].html
        return re.findall(r"<figure[^>]*>\s*<h3><bdi>(.*?)</bdi>", html)

    assert titles("huge")[0] == "Means"
    assert " against " in titles("wide")[0]
    assert titles("line")[0] == "Distribution of waiting"
    downloads = [attrs.get("download", "") for _, attrs in pages["huge"].tags]
    assert not [name for name in downloads if "boundaries" in name]
    assert sum(" against " in title for title in titles("wide")) <= 6


def test_a_good_fit_says_that_it_has_no_warnings(pages: dict[str, Page]) -> None:
    assert "No warnings" in pages["single"].text
    assert "Read this first" not in pages["single"].text
    assert "No warnings" not in pages["digits"].text


def test_dropped_rows_are_given_by_reason(pages: dict[str, Page]) -> None:
    assert "Dropped 3 filter: ruwe < 1.4" in pages["digits"].text
    assert "1,800 rows read · 3 dropped · 1,797 fitted · 64 columns" in pages["digits"].text


def test_the_same_results_give_the_same_bytes_also_from_json(
    samples: dict[str, Results], pages: dict[str, Page], tmp_path: Path
) -> None:
    stored = Results.from_json(samples["line"].to_json())
    again = render(stored, tmp_path / "deep" / "again.html")
    assert again == tmp_path / "deep" / "again.html"
    assert again.read_bytes() == pages["line"].path.read_bytes()
    assert [path.name for path in again.parent.iterdir()] == ["again.html"]


def test_a_page_that_cannot_be_written_leaves_nothing(
    samples: dict[str, Results], tmp_path: Path
) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ResourceError, match=r"report\.html could not be written"):
        render(samples["single"], tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
