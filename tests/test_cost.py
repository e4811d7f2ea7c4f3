"""The cost model: its shape, not its seconds, which belong to a machine."""

from __future__ import annotations

import pytest

from gmm_dask import Grid, machine_factor, pass_seconds
from gmm_dask.cost import row_seconds
from gmm_dask.engine.plan import make_plan
from gmm_dask.families.gaussian import COVARIANCE_TYPES


@pytest.mark.parametrize("kind", COVARIANCE_TYPES)
def test_more_columns_components_and_rows_cost_more(kind: str) -> None:
    assert 0 < row_seconds(kind, 2, 3) < row_seconds(kind, 2, 4) < row_seconds(kind, 3, 4)
    plans = [make_plan(n, 5, 8) for n in (10**5, 10**7, 10**9)]
    seconds = [pass_seconds(plan, Grid((3,), (kind,)), 5, 2) for plan in plans]
    assert seconds[0] < seconds[1] < seconds[2]


def test_many_components_cost_in_proportion() -> None:
    assert row_seconds("full", 1000, 10) / row_seconds("full", 100, 10) == pytest.approx(
        10, rel=0.1
    )


def test_fits_of_a_grid_add_up() -> None:
    plan = make_plan(10**8, 10, 8)
    alone = [
        pass_seconds(plan, Grid((K,), (kind,)), 10, 4) for K in (2, 7) for kind in ("full", "diag")
    ]
    empty = pass_seconds(plan, Grid((), ("full",)), 10, 4)
    together = pass_seconds(plan, Grid((2, 7), ("full", "diag"), n_init=3), 10, 4)
    assert together - empty == pytest.approx(3 * (sum(alone) - 4 * empty))


def test_threads_share_blocks_whole() -> None:
    """Sixteen blocks are two rounds of eight threads and also of twelve."""
    plan = make_plan(16 * 40960, 3, 8, block_rows=40960)
    grid = Grid((10,), ("full",))
    assert pass_seconds(plan, grid, 3, 8) == pass_seconds(plan, grid, 3, 12)
    assert pass_seconds(plan, grid, 3, 16) < pass_seconds(plan, grid, 3, 8)


def test_the_machine_is_compared_once() -> None:
    assert machine_factor() > 0
    assert machine_factor() is machine_factor()
