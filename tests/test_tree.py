"""Arithmetic on nested tuples, and fingerprints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask import tree


class Pair(NamedTuple):
    a: object
    b: object


@dataclass(frozen=True)
class Value:
    x: object
    cached: object = field(default=None, compare=False)


floats = st.floats(-1e6, 1e6)
trees = st.recursive(
    floats.map(np.asarray),
    lambda inner: st.one_of(
        st.tuples(inner, inner), st.builds(Pair, inner, inner), st.builds(Pair, inner, st.none())
    ),
    max_leaves=8,
)


def test_combine_keeps_types_and_none():
    total = tree.add(Pair(np.ones(2), (None, 2.0)), Pair(np.arange(2.0), (None, 3.0)))
    assert isinstance(total, Pair)
    np.testing.assert_array_equal(total.a, [1.0, 2.0])
    assert total.b == (None, 5.0)


@given(trees)
def test_scale_is_repeated_addition(value):
    twice, doubled = tree.add(value, value), tree.scale(value, 2.0)
    for x, y in zip(tree.leaves(twice), tree.leaves(doubled), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("a", "b"), [((1.0, 2.0), (1.0,)), ((1.0,), 1.0), (None, 1.0), ((None,), (1.0,))]
)
def test_other_shapes_are_refused(a, b):
    with pytest.raises(ValueError, match="trees differ"):
        tree.add(a, b)


def test_a_value_where_none_is_first_is_refused_either_way():
    with pytest.raises((ValueError, TypeError)):
        tree.add((1.0,), (None,))


def test_leaves_see_dataclass_fields_that_count():
    leaves = list(tree.leaves(Value((1, 2), cached=np.zeros(3))))
    assert leaves == ["Value", "x", 1, 2]


def test_nbytes_and_finite():
    assert tree.nbytes((np.zeros(3), Pair(np.zeros((2, 2)), None))) == 56
    assert tree.is_finite((np.zeros(2), "text", None, 1))
    assert not tree.is_finite((np.array([1.0, np.nan]),))
    assert not tree.is_finite(Pair(float("inf"), 0))
    assert not tree.is_finite((np.float32("nan"),))


def test_fingerprints_see_every_bit():
    base = (np.array([1.0, 2.0]), 3)
    same = (np.array([1.0, 2.0]), 3)
    others = [
        (np.array([1.0, np.nextafter(2.0, 3.0)]), 3),
        (np.array([1.0, 2.0], dtype=np.float32), 3),
        (np.array([[1.0, 2.0]]), 3),
        (np.array([1.0, 2.0]), 3.0),
        (np.array([1.0, 2.0]), "3"),
        (np.array([1.0, 2.0]), np.int64(3)),
        (np.array([2.0, 1.0]), 3),
        (np.array([0.0, 2.0]), 3),
        (np.array([-0.0, 2.0]), 3),
    ]
    prints = [tree.fingerprint(value) for value in (base, *others)]
    assert tree.fingerprint(same) == prints[0]
    assert len(set(prints)) == len(prints)


def test_fingerprints_do_not_depend_on_memory_layout():
    a = np.arange(12.0).reshape(3, 4)
    assert tree.fingerprint(a) == tree.fingerprint(np.asfortranarray(a))
    assert tree.fingerprint(a[:, ::2]) == tree.fingerprint(a[:, ::2].copy())


def test_fingerprints_see_the_class_and_ignore_caches():
    assert tree.fingerprint(Value(1)) != tree.fingerprint((1,))
    assert tree.fingerprint(Value(1, cached=2)) == tree.fingerprint(Value(1, cached=3))
