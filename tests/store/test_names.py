from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gmm_dask.store.names import is_safe_key, unique_name


@given(st.lists(st.lists(st.text(max_size=30), max_size=5).map(tuple), max_size=20))
def test_names_are_unique_and_safe(places: list[tuple[str, ...]]) -> None:
    taken: set[str] = set()
    names = [unique_name(place, taken) for place in places]
    assert len({name.lower() for name in names}) == len(names)
    assert all(is_safe_key(f"{name}/zarr.json") and "/" not in name for name in names)
    assert "zarr.json" not in names


def test_readable_where_possible() -> None:
    assert unique_name(("params", "means"), set()) == "params.means"


def test_keys_that_leave_the_store_are_not_safe() -> None:
    for key in (
        "../x",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "",
        ".hidden",
        "a\\b",
        "a/.",
        "C:/x",
        "a\0",
    ):
        assert not is_safe_key(key), key
