"""Tables whose columns are no numbers, or not those that were asked for."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.faults.bad import tables
from tests.faults.bad.case import Case
from tests.faults.bad.place import malformed, tried


@given(case=tables.odd_types())
@malformed(40)
def test_columns_that_are_no_numbers(cluster: dict[str, Any], case: Case) -> None:
    tried(test_columns_that_are_no_numbers)
    case.attempt(cluster)


@given(case=tables.large_integers())
@malformed(20)
def test_columns_of_large_integers(cluster: dict[str, Any], case: Case) -> None:
    tried(test_columns_of_large_integers)
    case.attempt(cluster)


@given(case=tables.names())
@malformed(40)
def test_names_that_are_not_there(cluster: dict[str, Any], case: Case) -> None:
    tried(test_names_that_are_not_there)
    case.attempt(cluster)


@given(case=tables.filters())
@malformed(50)
def test_filters_that_cannot_be_read(cluster: dict[str, Any], case: Case) -> None:
    tried(test_filters_that_cannot_be_read)
    case.attempt(cluster)


@given(case=tables.differing())
@malformed(30)
def test_files_that_differ(cluster: dict[str, Any], case: Case) -> None:
    tried(test_files_that_differ)
    case.attempt(cluster)


@given(case=tables.empty_tables())
@malformed(30)
def test_tables_without_anything_to_fit(cluster: dict[str, Any], case: Case) -> None:
    tried(test_tables_without_anything_to_fit)
    case.attempt(cluster)


@given(case=tables.texts())
@malformed(50)
def test_texts_that_are_no_tables(cluster: dict[str, Any], case: Case) -> None:
    tried(test_texts_that_are_no_tables)
    case.attempt(cluster)


@given(case=tables.random_texts())
@malformed(50)
def test_random_texts(cluster: dict[str, Any], case: Case) -> None:
    tried(test_random_texts)
    case.attempt(cluster)


@given(case=tables.changed_cells())
@malformed(30)
def test_cells_that_are_no_numbers(cluster: dict[str, Any], case: Case) -> None:
    tried(test_cells_that_are_no_numbers)
    case.attempt(cluster)
