from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from report_samples import run_facts

from gmm_dask import FormatError
from pipeline.report import Histogram, Results


def same(a: object, b: object) -> bool:
    """Equal in every part, arrays and nan included."""
    if dataclasses.is_dataclass(a):
        fields = dataclasses.fields(a)
        return type(a) is type(b) and all(
            same(getattr(a, field.name), getattr(b, field.name)) for field in fields
        )
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("name", ["digits", "single", "line", "hostile"])
def test_json_gives_back_the_same_value(samples: dict[str, Results], name: str) -> None:
    text = samples[name].to_json()
    assert same(Results.from_json(text), samples[name])


def test_the_text_is_strict_json(samples: dict[str, Results]) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    plain = json.loads(samples["hostile"].to_json(), parse_constant=refuse)
    assert plain["version"] == 1
    odd = plain["candidates"][2]
    assert odd["bic"] is None
    assert odd["log_likelihood_per_row"] == "inf"
    assert odd["trace"] == [None, "-inf"]


def test_arrays_that_were_read_cannot_be_changed(digits: Results) -> None:
    read = Results.from_json(digits.to_json())
    with pytest.raises(ValueError, match="read-only"):
        read.overlap[0, 0] = 2.0


def test_a_newer_version_is_refused(digits: Results) -> None:
    plain = json.loads(digits.to_json()) | {"version": 2}
    with pytest.raises(FormatError, match="version 2, this program reads up to 1"):
        Results.from_json(json.dumps(plain))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "do not carry"),
        ('{"version": 1}', "do not carry"),
        ('{"format": "gmm-dask results"}', "version None"),
        ('{"format": "gmm-dask results", "version": true}', "version True"),
        ('{"format": "gmm-dask results", "version": 1}', "no run"),
    ],
)
def test_other_files_are_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        Results.from_json(text)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("run", "passes"), 1.5, "results.run.passes: a whole number"),
        (("run", "passes"), True, "results.run.passes: a whole number"),
        (("run", "name"), 3, "results.run.name: a string"),
        (("candidates", 0, "bic"), "low", r"candidates\[0\].bic: a number"),
        (("candidates", 0, "converged"), 1, r"candidates\[0\].converged: true or false"),
        (("candidates",), {}, "results.candidates: a list"),
        (("overlap", 0), [1.0], "overlap: lists of numbers of one length"),
        (("overlap",), 7, "overlap: a list of numbers"),
        (("components", 1, "mean", 0), "x", r"components\[1\].mean: a number"),
        (("components", 1, "mean"), [1.0], "mean of component 1 has shape"),
        (("pairs", 0, "counts"), [[1.0]], "counts of pair 0 has shape"),
        (("pairs", 0, "x"), 64, "pair 0 is of columns 64"),
        (("chosen",), 99, "chosen is 99"),
        (("run", "extra"), 1, "unknown part 'extra'"),
    ],
)
def test_a_damaged_part_is_named(
    digits: Results, path: tuple[str | int, ...], value: object, words: str
) -> None:
    plain = json.loads(digits.to_json())
    place = plain
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(FormatError, match=words):
        Results.from_json(json.dumps(plain))


def test_every_missing_part_without_default_is_an_error(samples: dict[str, Results]) -> None:
    plain = json.loads(samples["line"].to_json())
    optional = {
        field.name for field in dataclasses.fields(Results)
        if field.default is not dataclasses.MISSING
    }  # fmt: skip
    for part in set(plain) - {"format", "version"}:
        text = json.dumps({key: value for key, value in plain.items() if key != part})
        if part in optional:
            Results.from_json(text)
            continue
        with pytest.raises(FormatError, match=f"has no {part}"):
            Results.from_json(text)


def test_parts_that_do_not_fit_are_refused_when_made(digits: Results) -> None:
    wrong = Histogram(edges=np.arange(4.0), counts=np.arange(4.0))
    with pytest.raises(FormatError, match="edges of probability has shape"):
        dataclasses.replace(digits, probability=wrong)
    with pytest.raises(FormatError, match="overlap has shape"):
        dataclasses.replace(digits, overlap=np.eye(2))


def test_derived_numbers(digits: Results) -> None:
    assert digits.choice is digits.candidates[digits.chosen]
    assert digits.n_labelled == 1797
    choice = digits.choice
    expected = -2 * choice.log_likelihood + choice.n_parameters * math.log(choice.n_rows)
    assert choice.bic == pytest.approx(expected, rel=1e-12)
    assert run_facts(10).rows_in == 13
