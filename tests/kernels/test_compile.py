"""Machine code on disk: shared by processes, never half written, never stale, never needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from gmm_dask.kernels import call, table
from gmm_dask.kernels import compile as compiling
from gmm_dask.kernels.native.key import Key
from gmm_dask.kernels.native.module import module
from gmm_dask.tree import fingerprint
from tests.kernels.mixtures import KINDS, assert_same_sums, log_weights_of, prepared_of, rows_of

SCRIPT = """
from gmm_dask.kernels import table
from gmm_dask.tree import fingerprint
from tests.kernels.mixtures import log_weights_of, prepared_of, rows_of
prepared = prepared_of("full", 5, 3)
print(fingerprint(table.e_step(prepared, log_weights_of(3), rows_of(prepared, 500))))
"""


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache on disk, and nothing loaded in this process."""
    monkeypatch.setenv(compiling.CACHE_VARIABLE, str(tmp_path / "cache"))
    call._function.cache_clear()
    yield tmp_path / "cache"
    call._function.cache_clear()


def sums(kind="full", D=5):
    prepared = prepared_of(kind, D, 3)
    return table.e_step(prepared, log_weights_of(3), rows_of(prepared, 500))


def text_of(D=4):
    return module(Key("e_step", "full", D, "double", False, 28, 256, False, 0))


def test_processes_that_start_together_agree_and_leave_whole_files(fresh):
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", SCRIPT]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    started = [
        subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {process.communicate(timeout=200)[0].strip() for process in started}
    assert answers == {fingerprint(sums())}
    # 500 rows: whole tiles and a padded one use the same module
    assert [path.suffix for path in fresh.iterdir()] == [".o"]


def test_the_second_start_compiles_nothing(fresh, monkeypatch):
    expected = fingerprint(sums())
    call._function.cache_clear()
    monkeypatch.setattr(compiling, "compile_text", None)
    assert fingerprint(sums()) == expected


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 5000])
def test_a_damaged_file_is_replaced(fresh, damage):
    expected = fingerprint(sums())
    (path,) = fresh.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage)
    call._function.cache_clear()
    assert fingerprint(sums()) == expected
    assert path.read_bytes()[:32] == whole[:32]


def test_a_flipped_bit_is_noticed(fresh):
    code = compiling.machine_code(text_of())
    (path,) = fresh.iterdir()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    assert compiling.read_cached(path) is None
    assert compiling.machine_code(text_of()) == code


def test_without_a_writable_cache_it_still_works(fresh):
    expected = fingerprint(sums())
    fresh.rename(fresh.with_name("gone"))
    fresh.write_text("a file where the folder should be")
    call._function.cache_clear()
    assert fingerprint(sums()) == expected


def test_names_follow_text_and_processor(monkeypatch):
    names = {compiling.digest_of(text_of(4)), compiling.digest_of(text_of(5))}
    monkeypatch.setattr(compiling, "processor", lambda: ("other", "+fma"))
    names.add(compiling.digest_of(text_of(4)))
    assert len(names) == 3


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv(compiling.CACHE_VARIABLE, str(tmp_path))
    assert compiling.cache_folder() == tmp_path
    monkeypatch.delenv(compiling.CACHE_VARIABLE)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert compiling.cache_folder() == tmp_path / "xdg" / "gmm-dask"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_files_of_other_users_are_not_run(fresh, monkeypatch):
    compiling.machine_code(text_of())
    (path,) = fresh.iterdir()
    assert compiling.read_cached(path)
    owner = os.getuid() + 1
    real = Path.stat

    class Other:
        st_uid = owner

    monkeypatch.setattr(
        Path, "stat", lambda self, **kw: Other if self == path else real(self, **kw)
    )
    assert compiling.read_cached(path) is None


def test_same_bits_twice_and_from_many_threads():
    models = []
    for kind in KINDS:
        for D in (3, 26):
            prepared = prepared_of(kind, D, 4)
            models.append((table.ready(prepared, log_weights_of(4)), rows_of(prepared, 3000)))
    alone = [fingerprint(table.measure(*model)) for model in models]
    barrier, found = Barrier(4), {}

    def work(thread: int) -> None:
        barrier.wait(60)
        turn = models[thread:] + models[:thread]
        answers = [fingerprint(table.measure(*model)) for model in turn]
        found[thread] = answers[len(models) - thread :] + answers[: len(models) - thread]

    threads = [Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [found[i] for i in range(4)] == [alone] * 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("D", [3, 16, 26, 50])
@pytest.mark.parametrize("compute_dtype", ["float64", "float32"])
def test_narrower_vectors_give_the_same_bits(kind, D, compute_dtype, monkeypatch):
    features = compiling.processor()[1].split(",")
    if "+avx2" not in features or "+fma" not in features:
        pytest.skip("this processor has no AVX2")
    prepared, log_weights = prepared_of(kind, D, 6, spread=4.0), log_weights_of(6)
    rows = rows_of(prepared, 700)
    model = table.ready(prepared, log_weights, compute_dtype=compute_dtype)
    here = table.measure(model, rows)

    def narrow(key: Key):
        text = module(key._replace(registers=6))
        return compiling.load(compiling.compile_text(text, "+avx2,+fma"), "run")

    monkeypatch.setattr(call, "function", narrow)
    there = table.measure(model, rows)
    assert_same_sums(there, here, prepared)
    assert fingerprint(there) == fingerprint(here)


def test_memory_is_not_written_out_of_bounds():
    prepared, log_weights = prepared_of("full", 3, 2), log_weights_of(2)
    rows = np.ascontiguousarray(rows_of(prepared, 513))
    guard = rows.copy()
    table.e_step(prepared, log_weights, rows)
    np.testing.assert_array_equal(rows, guard)
