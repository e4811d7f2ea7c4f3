"""Tables whose columns are no numbers, or not those that were asked for."""

from __future__ import annotations

from typing import Any

from tests.faults.bad import tables
from tests.faults.bad.case import Case
from tests.faults.bad.malformed import malformed


@malformed(34, case=tables.odd_types())
def test_columns_that_are_no_numbers(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(17, case=tables.large_integers())
def test_columns_of_large_integers(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(34, case=tables.names())
def test_names_that_are_not_there(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(42, case=tables.filters())
def test_filters_that_cannot_be_read(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(25, case=tables.differing())
def test_files_that_differ(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(25, case=tables.empty_tables())
def test_tables_without_anything_to_fit(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(42, case=tables.texts())
def test_texts_that_are_no_tables(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(42, case=tables.random_texts())
def test_random_texts(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(25, case=tables.changed_cells())
def test_cells_that_are_no_numbers(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)
