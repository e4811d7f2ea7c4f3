"""Arrays that are no rows of real numbers: npy files and zarr stores."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.faults.bad import arrays
from tests.faults.bad.case import Case
from tests.faults.bad.place import malformed, tried


@given(case=arrays.no_numbers())
@malformed(30)
def test_types_that_are_no_numbers(cluster: dict[str, Any], case: Case) -> None:
    tried(test_types_that_are_no_numbers)
    case.attempt(cluster)


@given(case=arrays.no_matrix())
@malformed(30)
def test_shapes_that_are_no_matrix(cluster: dict[str, Any], case: Case) -> None:
    tried(test_shapes_that_are_no_matrix)
    case.attempt(cluster)


@given(case=arrays.integers())
@malformed(30)
def test_integers_that_float64_cannot_hold(cluster: dict[str, Any], case: Case) -> None:
    tried(test_integers_that_float64_cannot_hold)
    case.attempt(cluster)


@given(case=arrays.headers())
@malformed(40)
def test_headers_that_cannot_be(cluster: dict[str, Any], case: Case) -> None:
    tried(test_headers_that_cannot_be)
    case.attempt(cluster)


@given(case=arrays.no_arrays())
@malformed(40)
def test_files_that_are_something_else(cluster: dict[str, Any], case: Case) -> None:
    tried(test_files_that_are_something_else)
    case.attempt(cluster)


@given(case=arrays.metadata())
@malformed(50)
def test_metadata_that_cannot_be(cluster: dict[str, Any], case: Case) -> None:
    tried(test_metadata_that_cannot_be)
    case.attempt(cluster)


@given(case=arrays.chunks())
@malformed(40)
def test_chunks_that_are_not_there(cluster: dict[str, Any], case: Case) -> None:
    tried(test_chunks_that_are_not_there)
    case.attempt(cluster)


@given(case=arrays.keys())
@malformed(30)
def test_keys_of_a_group(cluster: dict[str, Any], case: Case) -> None:
    tried(test_keys_of_a_group)
    case.attempt(cluster)
