"""Arrays that are no rows of real numbers: npy files and zarr stores."""

from __future__ import annotations

from typing import Any

from tests.faults.bad import arrays
from tests.faults.bad.case import Case
from tests.faults.bad.malformed import malformed


@malformed(25, case=arrays.no_numbers())
def test_types_that_are_no_numbers(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(25, case=arrays.no_matrix())
def test_shapes_that_are_no_matrix(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(25, case=arrays.integers())
def test_integers_that_float64_cannot_hold(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(34, case=arrays.headers())
def test_headers_that_cannot_be(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(34, case=arrays.no_arrays())
def test_files_that_are_something_else(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(42, case=arrays.metadata())
def test_metadata_that_cannot_be(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(34, case=arrays.chunks())
def test_chunks_that_are_not_there(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(25, case=arrays.keys())
def test_keys_of_a_group(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)
