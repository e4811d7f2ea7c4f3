from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gmm_dask import ConfigError
from pipeline.stages.label import WORDS as EVERY_WORD
from pipeline.stages.label import label_schema, outputs_of, shares_of
from pipeline.stages.seen import EXPECTED

WORDS = tuple(word for word in EVERY_WORD if word not in EXPECTED)  # those of the shares alone

ULP = 2.0**-53


def resp_of(log_joint: np.ndarray) -> np.ndarray:
    share = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
    return share / share.sum(axis=1, keepdims=True)


def random_resp(n_rows: int = 200, n_components: int = 5, spread: float = 8.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return resp_of(spread * rng.normal(size=(n_rows, n_components)))


rows = arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(2, 7)), elements=st.floats(-700, 0)
)


@given(rows)
def test_the_probability_keeps_its_distance_from_one(log_joint: np.ndarray) -> None:
    resp = resp_of(log_joint)
    found = outputs_of(resp, np.zeros(len(resp)), ["label", "probability"])
    for row, label, probability in zip(resp, found["label"], found["probability"], strict=True):
        others = [Fraction(float(value)) for k, value in enumerate(row) if k != label]
        # one rounding of the difference, and the rounding of a sum of at most six shares
        assert abs(Fraction(float(probability)) - (1 - sum(others))) <= Fraction(4 * ULP)
        # the shares sum to one within a few roundings, so this is the largest share as well
        assert probability == pytest.approx(row[label], abs=8 * ULP)


@given(rows)
def test_small_remainders_keep_all_digits(log_joint: np.ndarray) -> None:
    resp = resp_of(log_joint)
    shares = shares_of(resp)
    for row, label, rest in zip(resp, shares.label, shares.rest, strict=True):
        exact = math.fsum(value for k, value in enumerate(row) if k != label)
        assert rest == pytest.approx(exact, rel=1e-14, abs=0)


@pytest.mark.parametrize("small", [1e-3, 1e-12, 1e-17, 1e-30, 1e-300])
def test_entropy_of_a_nearly_certain_row(small: float) -> None:
    resp = np.array([[small, 1.0 - small]])
    entropy = outputs_of(resp, np.zeros(1), ["entropy"])["entropy"][0]
    exact = -small * math.log(small) - (1 - small) * math.log1p(-small)
    # the plain formula would lose the second term, which is 1 part in 40 at 1e-17
    assert entropy == pytest.approx(exact, rel=1e-14, abs=0)


def test_words_against_their_definitions() -> None:
    resp = random_resp()
    log_density = np.linspace(-9, 3, len(resp))
    found = outputs_of(resp, log_density, [word for word in WORDS if word != "responsibilities"])
    order = np.sort(resp, axis=1)
    assert found["label"].tolist() == resp.argmax(axis=1).tolist()
    assert found["second_label"].tolist() == resp.argsort(axis=1)[:, -2].tolist()
    np.testing.assert_allclose(found["probability"], order[:, -1], rtol=0, atol=4 * ULP)
    np.testing.assert_array_equal(found["margin"], order[:, -1] - order[:, -2])
    np.testing.assert_array_equal(found["log_density"], log_density)
    np.testing.assert_allclose(
        found["entropy"], -(resp * np.log(resp)).sum(axis=1), rtol=1e-12, atol=1e-15
    )
    assert found["ambiguous"].tolist() == (found["probability"] < 0.9).tolist()
    assert 0 < found["ambiguous"].sum() < len(resp)


def test_ties_go_to_the_larger_component() -> None:
    resp = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    found = outputs_of(resp, np.zeros(3), ["label", "second_label", "margin"])
    assert found["label"].tolist() == [0, 1, 0]
    assert found["second_label"].tolist() == [1, 2, 1]
    assert found["margin"].tolist() == [0.0, 0.0, 0.0]


def test_a_row_of_exactly_nine_tenths_is_not_ambiguous() -> None:
    resp = np.array([[0.9, 0.1], [0.8999, 0.1001]])
    assert outputs_of(resp, np.zeros(2), ["ambiguous"])["ambiguous"].tolist() == [False, True]


def test_one_component_has_no_second() -> None:
    found = outputs_of(np.ones((3, 1)), np.zeros(3), list(WORDS))
    assert found["label"].tolist() == [0, 0, 0]
    assert found["second_label"].tolist() == [-1, -1, -1]
    for name, value in (("probability", 1), ("margin", 1), ("entropy", 0), ("resp_0", 1)):
        assert found[name].tolist() == [value] * 3
    assert not np.signbit(found["entropy"]).any()


def test_responsibilities_are_a_column_each_where_they_were_asked_for() -> None:
    resp = random_resp(n_components=3)
    found = outputs_of(resp, np.zeros(len(resp)), ["probability", "responsibilities", "label"])
    assert list(found) == ["probability", "resp_0", "resp_1", "resp_2", "label"]
    np.testing.assert_array_equal(np.stack([found[f"resp_{k}"] for k in range(3)], axis=1), resp)


@pytest.mark.parametrize("n_components", [1, 4])
def test_the_schema_says_what_is_given(n_components: int) -> None:
    resp = random_resp(n_components=n_components)
    found = outputs_of(resp, np.zeros(len(resp)), WORDS)
    identity = pa.schema([("cell", pa.string()), ("batch", pa.int8())])
    schema = label_schema(identity, WORDS, n_components)
    assert schema.names == ["cell", "batch", *found]
    assert [field.nullable for field in schema] == [True, True] + [False] * len(found)
    for name, values in found.items():
        assert schema.field(name).type == pa.array(values).type
    assert schema.field("label").type == pa.int32()


def test_words_that_are_not_known_and_names_that_are_taken() -> None:
    identity = pa.schema([("label", pa.string())])
    with pytest.raises(ConfigError, match=r"output\.columns: nonsense is not written"):
        outputs_of(np.ones((1, 1)), np.zeros(1), ["nonsense"])
    with pytest.raises(ConfigError, match=r"output\.columns: nonsense is not written"):
        label_schema(identity, ["nonsense"], 2)
    with pytest.raises(ConfigError, match="label is also the name of an output"):
        label_schema(identity, ["label"], 2)
    assert label_schema(identity, ["probability"], 2).names == ["label", "probability"]
