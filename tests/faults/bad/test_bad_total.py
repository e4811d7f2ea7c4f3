"""How many malformed inputs were tried: the last of these files, so that all others have run."""

from __future__ import annotations

import pytest

from tests.faults.bad import (
    test_bad_arrays,
    test_bad_configs,
    test_bad_damage,
    test_bad_numbers,
    test_bad_runs,
    test_bad_tables,
)
from tests.faults.bad.malformed import EXPECTED, TRIED

ALL = (
    *(test_bad_arrays, test_bad_configs, test_bad_damage),
    *(test_bad_numbers, test_bad_runs, test_bad_tables),
)


def test_at_least_a_thousand_malformed_inputs_were_tried() -> None:
    assert all(any(hasattr(module, name) for module in ALL) for name in EXPECTED)
    if EXPECTED.keys() - TRIED.keys():
        pytest.skip("counts only after all the other tests of this folder")
    assert sum(TRIED.values()) >= 1000
