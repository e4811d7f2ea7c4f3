from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from pipeline.report import Results, candidates_table, chosen_sentence, summary_text
from pipeline.report.sentences import warning_sentences


def variant(results: Results, **choice: object) -> Results:
    """The same results with another chosen candidate."""
    rows = list(results.candidates)
    rows[results.chosen] = dataclasses.replace(results.choice, **choice)  # type: ignore[arg-type]
    return dataclasses.replace(results, candidates=tuple(rows))


def test_the_sentence_says_what_was_chosen(digits: Results) -> None:
    results = variant(digits, starts_agree=2, n_init=3)
    K = digits.choice.n_components
    ambiguous = 100 * digits.n_ambiguous / 1797
    assert 0.1 < ambiguous < 9.9
    percent = f"{ambiguous:.1f}".removesuffix(".0")
    assert chosen_sentence(results) == (
        f"{K} components, full covariances, chosen among 36 fits by BIC; 2 of 3 starts agree; "
        f"{percent}\u202f% of the rows are ambiguous."
    )


def test_the_sentence_of_a_single_model(samples: dict[str, Results]) -> None:
    assert chosen_sentence(samples["single"]) == (
        "1 component, full covariance, the only model asked for; from one start."
    )


def test_the_sentence_names_the_rule(samples: dict[str, Results]) -> None:
    assert "by held-out likelihood (one standard error); 1 of 20 starts agrees" in chosen_sentence(
        samples["huge"]
    )


def test_the_table_marks_the_choice_and_gives_every_number(digits: Results) -> None:
    head, *lines = candidates_table(digits).splitlines()
    assert re.split(r"\s{2,}", head.strip()) == [
        *("K", "type", "starts agree", "log-lik/row", "BIC", "held-out (s.e.)", "note")
    ]
    assert [i for i, line in enumerate(lines) if line.startswith(">")] == [digits.chosen]
    for line, row in zip(lines, digits.candidates, strict=True):
        cells = line.removeprefix(">").split()
        assert cells[:3] == [
            str(row.n_components), row.covariance_type, f"{row.starts_agree}/{row.n_init}"
        ]  # fmt: skip
        assert float(cells[3]) == pytest.approx(row.log_likelihood_per_row, abs=5.1e-5)
        assert float(cells[4]) == pytest.approx(row.bic, abs=0.051)
        assert float(cells[5]) == pytest.approx(row.held_out, abs=5.1e-4)
        assert cells[6] == f"({row.held_out_error:.3f})"


@pytest.mark.parametrize("criterion", ["icl", "aic"])
def test_the_table_shows_the_criterion_that_decided(digits: Results, criterion: str) -> None:
    table = candidates_table(dataclasses.replace(digits, criterion=criterion))
    head, first = table.splitlines()[:2]
    assert criterion.upper() in head
    assert f"{getattr(digits.candidates[0], criterion):.1f}" in first.split()


def test_icl_with_hard_labels_has_a_name_of_its_own(digits: Results) -> None:
    rows = tuple(dataclasses.replace(row, icl_map=row.bic + 7.0) for row in digits.candidates)
    results = dataclasses.replace(digits, candidates=rows, criterion="icl_map")
    head, first = candidates_table(results).splitlines()[:2]
    assert "ICL (hard labels)" in head
    assert f"{rows[0].bic + 7.0:.1f}" in first.split()
    assert "by ICL (hard labels)" in chosen_sentence(results)


def test_the_table_has_one_line_per_candidate_whatever_the_names(
    samples: dict[str, Results],
) -> None:
    table = candidates_table(samples["hostile"])
    assert len(table.splitlines()) == 4
    assert "\x00" not in table
    assert table.isprintable() or set(table) - {"\n"} <= set(filter(str.isprintable, table))


def test_the_summary_is_of_mclusts_shape(digits: Results) -> None:
    text = summary_text(digits)
    choice = digits.choice
    assert f"{choice.n_components} components, full covariances (mclust VVV)" in text
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if "log.likelihood" in line)
    assert lines[place].split() == ["log.likelihood", "n", "df", "BIC", "ICL"]
    numbers = [float(cell) for cell in lines[place + 1].split()]
    expected = [choice.log_likelihood, 1617, choice.n_parameters, choice.bic, choice.icl]
    assert numbers == pytest.approx(expected, abs=5.1e-4)
    assert "smaller is better" in lines[place + 2]
    table = lines[lines.index("Clustering table:") + 1 :]
    assert [int(cell) for cell in table[0].split()] == list(range(choice.n_components))
    assert sum(int(cell) for cell in table[1].split()) == 1797


@pytest.mark.parametrize(
    ("sample", "covariance_type", "code"),
    [
        ("digits", "diag", "VVI"),
        ("digits", "spherical", "VII"),
        ("digits", "tied", "EEE"),
        ("line", "tied", "E"),
        ("line", "full", "V"),
        ("single", "full", "X"),
    ],
)
def test_mclusts_names(
    samples: dict[str, Results], sample: str, covariance_type: str, code: str
) -> None:
    text = summary_text(variant(samples[sample], covariance_type=covariance_type))
    assert f"(mclust {code})" in text


def test_the_clustering_table_of_many_components_counts_all(samples: dict[str, Results]) -> None:
    text = summary_text(samples["huge"])
    lines = text.splitlines()
    table = lines[lines.index("Clustering table:") + 1 :]
    labels = [int(cell) for line in table[::2] for cell in line.split()]
    rows = [int(cell) for line in table[1::2] for cell in line.split()]
    assert labels == list(range(200))
    assert rows == [component.rows for component in samples["huge"].components]
    assert max(map(len, lines)) < 160


def test_warnings_follow_from_the_numbers(digits: Results) -> None:
    quiet = variant(digits, starts_agree=3)
    assert warning_sentences(quiet) == digits.warnings
    assert "did not converge in 20 passes" in warning_sentences(
        variant(quiet, converged=False, n_iter=20)
    )[0]  # fmt: skip
    lonely = warning_sentences(variant(quiet, starts_agree=1))
    assert any("Only one of 3 starts" in sentence for sentence in lonely)
    last = dataclasses.replace(
        quiet, candidates=tuple(r for r in quiet.candidates if r.n_components <= 10)
    )
    assert any("largest number of components" in sentence for sentence in warning_sentences(last))


def test_strong_overlaps_are_named(digits: Results) -> None:
    overlap = digits.overlap.copy()
    overlap[3, 7] = overlap[7, 3] = 0.82
    sentences = warning_sentences(dataclasses.replace(digits, overlap=overlap))
    assert any("3 and 7 (0.82)" in sentence for sentence in sentences)
    # Two equal Gaussians exactly two standard deviations apart, the limit of two modes.
    overlap[3, 7] = overlap[7, 3] = np.exp(-(2**2) / 8)
    assert any(
        "3 and 7 (0.61)" in sentence
        for sentence in warning_sentences(dataclasses.replace(digits, overlap=overlap))
    )


def test_very_many_warnings_are_counted(samples: dict[str, Results]) -> None:
    sentences = warning_sentences(samples["huge"])
    assert len(sentences) == 31
    assert sentences[0].startswith("The chosen fit did not converge")
    assert re.fullmatch(r"37\d more warnings are in events.jsonl.", sentences[-1])
