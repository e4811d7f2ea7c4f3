from __future__ import annotations

import contextlib
import json
import math
import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gmm_dask.errors import DataError, FormatError
from gmm_dask.store.codec import Codec
from gmm_dask.store.layout import DTYPES, Limits

from .values import CODEC, Kind, Params, State, state

# Bits of every float, among them all NaN and both zeros
FLOATS = st.integers(0, 2**64 - 1).map(lambda n: struct.unpack("<d", struct.pack("<Q", n))[0])
ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda name: hnp.arrays(name, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
SCALARS = st.sampled_from(DTYPES).flatmap(lambda name: hnp.from_dtype(np.dtype(name)))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), FLOATS, st.floats(), ARRAYS, SCALARS,
    st.text(st.characters(), max_size=8), st.sampled_from(Kind),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(st.characters(), max_size=6), inner, max_size=4),
        st.builds(Params, inner, inner),
        st.builds(State, inner, st.sampled_from(Kind), inner, inner),
    ),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Return whether two values are of one type and hold the same bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    if isinstance(a, State):
        return same(tuple(vars(a).values()), tuple(vars(b).values()))
    return bool(a == b)


def there_and_back(value: Any, codec: Codec = CODEC) -> Any:
    skeleton, arrays = codec.encode(value)
    return codec.decode(json.loads(json.dumps(skeleton, allow_nan=False)), arrays)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_comes_back_has_the_same_bits(value: Any) -> None:
    assert same(there_and_back(value), value)


def test_lists_become_tuples_and_numpy_strings_plain() -> None:
    assert there_and_back([1, [np.str_("x")]]) == (1, ("x",))


@pytest.mark.parametrize("array", [
    np.arange(6, dtype=">f8").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(12.0).reshape(2, 6)[:, ::2],
])  # fmt: skip
def test_arrays_come_back_native_and_contiguous(array: np.ndarray) -> None:
    back = there_and_back(array)
    assert back.flags.c_contiguous
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [
    np.array(["a"]), np.array([1j]), np.array([object()], object), np.ma.array([1.0]),
    np.array(["2020-01-01"], "M8[D]"), {1, 2}, {1: 2}, b"bytes", 1j, object(), print,
    np.longdouble(1), np.datetime64(1, "s"),
])  # fmt: skip
def test_what_cannot_be_stored_is_named_with_its_place(value: Any) -> None:
    with pytest.raises(TypeError, match=r"params\.means.*cannot store"):
        CODEC.encode(State(Params((value, 1)[0])))


def test_a_class_of_the_same_name_is_not_mistaken() -> None:
    class Params(NamedTuple):
        means: int

    with pytest.raises(TypeError, match="cannot store Params"):
        CODEC.encode(Params(1))


class Open(NamedTuple):
    a: int


@dataclass
class Mutable:
    a: int


@dataclass(frozen=True)
class Positive:
    a: int
    twice: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.a < 1:
            raise DataError(f"{self.a} is not positive")
        object.__setattr__(self, "twice", 2 * self.a)


def test_classes_that_could_run_code_or_change_are_not_accepted() -> None:
    for cls in (Mutable, dict, object, int):
        with pytest.raises(TypeError, match="not a frozen dataclass"):
            Codec([cls])
    other = type("Open", (), {"__annotations__": {"b": int}, "b": 1})
    with pytest.raises(ValueError, match="two classes are named Open"):
        Codec([Open, dataclass(frozen=True)(other)])


def test_derived_fields_are_made_anew_and_constructors_judge() -> None:
    codec = Codec([Positive])
    assert there_and_back(Positive(3), codec).twice == 6
    with pytest.raises(FormatError, match="stored Positive is not valid: 0 is not positive"):
        codec.decode({"class": ["Positive", {"a": 0}]}, {})


def test_fields_of_older_and_newer_versions() -> None:
    old = {"class": ["State", {"params": None}]}
    assert CODEC.decode(old, {}) == State(None)  # type: ignore[arg-type]
    assert CODEC.decode({"class": ["Params", {"means": 1}]}, {}) == Params(1)  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="State lacks params, which has no default"):
        CODEC.decode({"class": ["State", {}]}, {})
    with pytest.raises(FormatError, match=r"State has no field colour.*newer version"):
        CODEC.decode({"class": ["State", {"params": 1, "colour": 2}]}, {})
    with pytest.raises(FormatError, match="class 'Robust' is not known"):
        CODEC.decode({"class": ["Robust", {}]}, {})
    with pytest.raises(FormatError, match="Kind has no member 'DIAG'"):
        CODEC.decode({"enum": ["Kind", "DIAG"]}, {})
    with pytest.raises(FormatError, match=r"unknown sort 'pickle'.*upgrade"):
        CODEC.decode({"pickle": "gASV"}, {})


@pytest.mark.parametrize("skeleton", [
    {}, {"array": "nowhere"}, {"array": 3}, {"class": "State"}, {"class": ["State"]},
    {"class": [["State"], {}]}, {"class": ["State", []]}, {"class": ["Kind", {}]},
    {"enum": ["State", "params"]}, {"enum": ["Kind", 3]}, {"enum": ["Kind", "__class__"]},
    {"float": "zz"}, {"float": "00"}, {"float": 1.5}, {"int": "zz"}, {"int": 5}, {"dict": [1]},
    {"scalar": ["O", "00"]}, {"scalar": ["<f8", "00"]}, {"scalar": ["<U1", "61000000"]},
    {"scalar": [["<f8"], "00"]}, {"scalar": ["<f8", "00" * 16]}, {"scalar": "x"},
    {"dict": {}, "array": "x"},
])  # fmt: skip
def test_damage_is_a_format_error(skeleton: Any) -> None:
    with pytest.raises(FormatError):
        CODEC.decode(skeleton, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class", "enum", "dict", "array", "float", "int", "scalar", "x"]),
            inner | st.tuples(st.sampled_from(["State", "Kind", "Params", "<f8"]), inner).map(list),
            max_size=2,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_a_value_or_a_format_error(skeleton: Any) -> None:
    with contextlib.suppress(FormatError):
        CODEC.decode(skeleton, {})


def test_depth_and_size_are_bounded_both_ways() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for act in (CODEC.encode, lambda value: CODEC.decode(value, {})):
        with pytest.raises(FormatError, match="nested deeper than 64"):
            act(deep)
    small = Codec([], Limits(array_bytes=100, dimensions=2))
    for array in (np.zeros(13), np.zeros((1, 1, 1))):
        with pytest.raises(FormatError, match="exceeds the limits"):
            small.encode(array)


def test_names_say_where_the_array_is() -> None:
    _, arrays = CODEC.encode({"best": state(0), "Best": state(1)})
    assert "best.params.means" in arrays
    assert len({name.lower() for name in arrays}) == len(arrays) == 8


def test_nan_keeps_its_sign() -> None:
    assert math.copysign(1, there_and_back(-math.nan)) == -1
