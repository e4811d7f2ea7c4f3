"""Values that cannot be fitted, in every format: counted, named, and nothing left behind."""

from __future__ import annotations

from typing import Any

from tests.faults.bad.case import Case
from tests.faults.bad.malformed import malformed
from tests.faults.bad.values import bad_values


@malformed(12, case=bad_values("holes"))
def test_missing_and_infinite_values(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(12, case=bad_values("flat"))
def test_constant_columns(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(12, case=bad_values("extreme"))
def test_units_at_the_ends_of_double_precision(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(12, case=bad_values("mixed"))
def test_single_values_far_away(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)


@malformed(12, case=bad_values("few"))
def test_fewer_rows_than_components(cluster: dict[str, Any], case: Case) -> None:
    case.attempt(cluster)
