"""Machine code for rows with errors: made once, kept on disk, run by any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from gmm_dask.kernels import compile as compiling
from gmm_dask.kernels import noisy
from gmm_dask.kernels.native.noisy import module
from gmm_dask.kernels.native.noisy_key import UNROLLED, NoisyKey
from gmm_dask.tree import fingerprint
from tests.kernels.test_noisy import KINDS, case


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache on disk, and nothing loaded in this process."""
    monkeypatch.setenv(compiling.CACHE_VARIABLE, str(tmp_path / "cache"))
    noisy._function.cache_clear()
    yield tmp_path / "cache"
    noisy._function.cache_clear()


def test_code_is_made_once_and_kept(fresh, monkeypatch):
    arguments, made = case("full", "full", 3, 9, 1), []
    compile_text = compiling.compile_text

    def counted(text: str) -> bytes:
        made.append(text)
        return compile_text(text)

    monkeypatch.setattr(compiling, "compile_text", counted)
    first = fingerprint(noisy.e_step(*arguments))
    for n in (1, 8, 9):
        noisy.e_step(arguments[0], *(x[:n] for x in arguments[1:]))
    assert len(made) == len(list(fresh.iterdir())) == 1
    noisy._function.cache_clear()  # as in another process: read from disk
    assert fingerprint(noisy.e_step(*arguments)) == first
    assert len(made) == 1


SCRIPT = """
from gmm_dask.kernels import noisy
from gmm_dask.tree import fingerprint
from tests.kernels.test_noisy import case
print(fingerprint(noisy.e_step(*case("full", "full", 5, 50, 1))))
"""


def test_another_process_finds_the_code_and_the_same_bits(fresh):
    expected = fingerprint(noisy.e_step(*case("full", "full", 5, 50, 1)))
    before = {path: path.stat().st_mtime_ns for path in fresh.iterdir()}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(root)}, timeout=200,
    )  # fmt: skip
    assert done.stdout.strip() == expected
    assert {path: path.stat().st_mtime_ns for path in fresh.iterdir()} == before


def test_the_bound_of_memory_covers_what_is_allocated(monkeypatch):
    sizes: list[int] = []
    aligned = noisy.aligned

    def counted(shape: tuple[int, ...]) -> Any:
        sizes.append(8 * int(np.prod(shape)))
        return aligned(shape)

    monkeypatch.setattr(noisy, "aligned", counted)
    for kind in KINDS:
        for D in (1, 5, UNROLLED, UNROLLED + 1, 12):
            for what in ("diag", "full"):
                sizes.clear()
                noisy.e_step(*case(kind, what, D, 9, 1))
                assert len(sizes) == 3
                assert sum(sizes) <= noisy.working_bytes(3, D)


def test_threads_share_nothing():
    arguments = case("full", "full", 6, 2000, 3)
    expected = fingerprint(noisy.e_step(*arguments))
    found: list[str] = []
    threads = [
        Thread(target=lambda: found.append(fingerprint(noisy.e_step(*arguments)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.parametrize("kind", ["full", "diag"])
@pytest.mark.parametrize("what", ["diag", "full"])
@pytest.mark.parametrize("D", [5, UNROLLED + 1])
def test_narrower_vectors_give_the_same_bits(kind, what, D, monkeypatch):
    features = compiling.processor()[1].split(",")
    if "+avx2" not in features or "+fma" not in features:
        pytest.skip("this processor has no AVX2")
    arguments = case(kind, what, D, 100, 6)
    here = noisy.e_step(*arguments)

    def narrow(key: NoisyKey) -> Any:
        return compiling.load(compiling.compile_text(module(key), "+avx2,+fma"), "run")

    monkeypatch.setattr(noisy, "_function", narrow)
    assert fingerprint(noisy.e_step(*arguments)) == fingerprint(here)
