from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from gmm_dask import tree
from gmm_dask.blocks import ArraySource, Block
from gmm_dask.engine import LocalEngine
from gmm_dask.errors import ConfigError, DataError, PlanError, SourceChangedError
from gmm_dask.stats import batch

from .toys import ColumnSums, Generated, Poisonous, Slow, first_row

FOLD = ColumnSums((0.5, -1.0, 2.0))
SOURCE = Generated(50_000)


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_threads_change_no_bit(n_threads: int) -> None:
    single = LocalEngine(1, block_rows=4096, fan_in=3).fold(FOLD, SOURCE)
    answer = LocalEngine(n_threads, block_rows=4096, fan_in=3).fold(FOLD, SOURCE)
    assert tree.fingerprint(answer) == tree.fingerprint(single)


def test_the_answer_is_that_of_the_rows() -> None:
    answer = LocalEngine(2, block_rows=4096).fold(FOLD, SOURCE)
    rows = SOURCE.read(0, 50_000).values - np.asarray(FOLD.about)
    assert answer.count == 50_000
    # rounding of a sum of n terms in any order is below n * eps * sum |x|
    np.testing.assert_allclose(answer.product, rows.T @ rows, rtol=50_000 * np.finfo(float).eps)


def test_questions_in_a_batch_are_answered_in_order() -> None:
    engine = LocalEngine(2, block_rows=4096)
    other = ColumnSums((1.0, 1.0, 1.0))
    together = engine.fold(batch([FOLD, other]), SOURCE)
    apart = (engine.fold(FOLD, SOURCE), engine.fold(other, SOURCE))
    assert tree.fingerprint(together) == tree.fingerprint(apart)


def test_map_gives_whole_blocks_in_order() -> None:
    engine = LocalEngine(3, block_rows=8192)
    spans = engine.plan(SOURCE).blocks
    assert engine.map(first_row, SOURCE) == tuple((lo, hi - lo) for lo, hi in spans)


def test_history_and_description() -> None:
    engine = LocalEngine(2, block_rows=8192)
    engine.fold(FOLD, SOURCE)
    engine.map(first_row, SOURCE)
    first, second = engine.history
    assert (first.n_rows, first.n_blocks, first.retries, first.workers_lost) == (50_000, 7, 0, 0)
    assert first.seconds > 0
    assert first.rows_digest == second.rows_digest, "slabs and whole blocks hold the same rows"
    assert engine.describe() == {"type": "threads", "threads": 2, "block_rows": 8192, "fan_in": 8}


def test_rows_that_change_between_passes_are_refused() -> None:
    values = SOURCE.read(0, 50_000).values
    source = ArraySource(values)
    engine = LocalEngine(2, block_rows=4096)
    engine.fold(FOLD, source)
    values[9000, 1] += 1e-9
    with pytest.raises(SourceChangedError, match=r"1 of 13 blocks .* block 2 \(rows 8192 to 12287"):
        engine.fold(FOLD, source)
    engine.close()
    engine.fold(FOLD, source)
    engine.fold(FOLD, SOURCE)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_names_its_block_and_ends_the_pass(n_threads: int) -> None:
    engine = LocalEngine(n_threads, block_rows=4096)
    with pytest.raises(DataError, match=r"block 5, rows 20480 to 24575"):
        engine.fold(Poisonous((0.0,) * 3, row=20_500), SOURCE)
    assert not [t for t in threading.enumerate() if t.name.startswith(("gmm-dask", "read-ahead"))]


def test_ctrl_c_drops_the_blocks_not_yet_started() -> None:
    measured: list[int] = []

    class Interrupting(Slow):
        def measure(self, prepared: Any, block: Block) -> Any:
            measured.append(block.start)
            return super().measure(prepared, block)

        def merge(self, a: Any, b: Any) -> Any:
            raise KeyboardInterrupt  # merging happens in the calling thread, where Ctrl-C lands

    engine = LocalEngine(2, block_rows=4096, fan_in=2)
    with pytest.raises(KeyboardInterrupt):
        engine.fold(Interrupting((0.0,) * 3, pause=0.02), Generated(40 * 4096))
    done = len(measured)
    assert done < 10
    time.sleep(0.1)
    assert len(measured) == done, "nothing runs on after the interrupt"
    engine.fold(FOLD, SOURCE)


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="n_threads is 0"):
        LocalEngine(0)
    with pytest.raises(PlanError, match=r"its limit is 1.0 MiB"):
        LocalEngine(2, memory_limit=2**20).fold(FOLD, SOURCE)


def test_a_context_closes() -> None:
    with LocalEngine(1) as engine:
        engine.fold(FOLD, SOURCE)
    assert engine.history


def test_no_dask_without_a_cluster() -> None:
    code = (
        "import sys, numpy as np, gmm_dask.engine as e, gmm_dask.blocks as b; "
        "e.LocalEngine(2); print([m for m in sys.modules if m.startswith(('dask', 'distributed'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
