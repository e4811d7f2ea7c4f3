"""Values that cannot be fitted, in every format: counted, named, and nothing left behind."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.faults.bad.case import Case
from tests.faults.bad.place import malformed, tried
from tests.faults.bad.values import bad_values


@given(case=bad_values("holes"))
@malformed(30)
def test_missing_and_infinite_values(cluster: dict[str, Any], case: Case) -> None:
    tried(test_missing_and_infinite_values)
    case.attempt(cluster)


@given(case=bad_values("flat"))
@malformed(30)
def test_constant_columns(cluster: dict[str, Any], case: Case) -> None:
    tried(test_constant_columns)
    case.attempt(cluster)


@given(case=bad_values("extreme"))
@malformed(30)
def test_units_at_the_ends_of_double_precision(cluster: dict[str, Any], case: Case) -> None:
    tried(test_units_at_the_ends_of_double_precision)
    case.attempt(cluster)


@given(case=bad_values("mixed"))
@malformed(30)
def test_single_values_far_away(cluster: dict[str, Any], case: Case) -> None:
    tried(test_single_values_far_away)
    case.attempt(cluster)


@given(case=bad_values("few"))
@malformed(20)
def test_fewer_rows_than_components(cluster: dict[str, Any], case: Case) -> None:
    tried(test_fewer_rows_than_components)
    case.attempt(cluster)
