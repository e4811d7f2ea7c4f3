from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.errors import FormatError
from gmm_dask.store.manifest import Entry, canonical
from gmm_dask.store.marker import Marker, NewerFormatError, differences, parse, render

MARKER = Marker(
    12,
    "0000000012-" + "a" * 32,
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    {"seed": 1},
    {"zarr.json": Entry(3, "0" * 64)},
)


def test_there_and_back() -> None:
    assert parse(render(MARKER), "0000000012.json") == MARKER


@given(st.data())
def test_every_flipped_bit_is_noticed(data: st.DataObject) -> None:
    raw = bytearray(render(MARKER))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FormatError) as caught:
        parse(bytes(raw), MARKER.name)
    assert not isinstance(caught.value, NewerFormatError)


def forged(**changes: Any) -> bytes:
    body = {**json.loads(render(MARKER))["body"], **changes}
    return canonical({"body": body, "sha256": hashlib.sha256(canonical(body)).hexdigest()})


@pytest.mark.parametrize("changes", [
    {"pass": 13}, {"pass": None}, {"data": "../../etc"}, {"data": "x"},
    {"data": "0000000013-" + "a" * 32}, {"written": "yesterday"}, {"identity": 3},
    {"files": {"../x": [1, "0"]}}, {"files": {"x": [2**60, "0"]}}, {"files": []},
    {"format": "other"}, {"version": "1"},
])  # fmt: skip
def test_forged_markers_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse(forged(**changes), MARKER.name)


def test_a_marker_under_another_name_is_refused() -> None:
    with pytest.raises(FormatError, match="belongs to pass 12"):
        parse(render(MARKER), "0000000013.json")


def test_a_newer_version_is_not_damage() -> None:
    with pytest.raises(NewerFormatError, match=r"version 2.*upgrade"):
        parse(forged(version=2), MARKER.name)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"null", b"{}", b"[" * 100_000, b"NaN", b'{"body":NaN}']
)
def test_what_is_no_marker_is_damage(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse(raw, MARKER.name)


def test_differences_name_key_old_and_new() -> None:
    old, new = {"k": 3, "same": 1, "gone": "x"}, {"k": 4, "same": 1, "fresh": None}
    assert differences(old, new) == [
        "fresh: (absent) -> null",
        'gone: "x" -> (absent)',
        "k: 3 -> 4",
    ]
