from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
import scipy
from threadpoolctl import threadpool_info

from gmm_dask import __version__
from gmm_dask.engine import platform
from gmm_dask.engine.platform import code_digest, differing, joined, platform_facts
from gmm_dask.machine import machine_facts, vector_bits

ROOT = Path(__file__).parents[2]


def test_facts_are_those_of_this_process() -> None:
    found = machine_facts()
    assert found["gmm_dask"] == __version__
    assert (found["numpy"], found["scipy"]) == (np.__version__, scipy.__version__)
    assert found["processor"] == llvm.get_host_cpu_name()
    assert all(isinstance(word, str) and word for word in found.values())
    loaded = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
    assert loaded
    for lib in loaded:
        assert f"{lib['internal_api']} {lib['version']}" in found["BLAS"]
    flags = Path("/proc/cpuinfo")
    if flags.is_file() and " avx2 " in flags.read_text():
        assert found["vectors"] == f"{512 if ' avx512f ' in flags.read_text() else 256} bits"


def test_facts_do_not_depend_on_what_was_imported_before() -> None:
    code = "from gmm_dask.engine.platform import blas; print(blas())"
    alone = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert alone.stdout.strip() == platform_facts()["BLAS"]


@pytest.mark.parametrize(
    ("features", "bits"),
    [("+avx2,+avx512f", 512), ("+sse2,+avx,+avx2", 256), ("+avx,-avx512f", 256), ("+neon", 128)],
)
def test_the_widest_register(features: str, bits: int) -> None:
    assert vector_bits(features) == bits


def package(folder: Path, **sources: str) -> str:
    """Write a package, put it on the path and return the digest of its code."""
    home = folder / "of_a_test"
    (home / "inner").mkdir(parents=True, exist_ok=True)
    for name, text in sources.items():
        (home / f"{name.replace('__in__', 'inner/')}.py").write_text(text)
    (home / "__init__.py").touch()
    (home / "__pycache__").mkdir(exist_ok=True)
    (home / "__pycache__" / "x.pyc").write_bytes(str(sources).encode())
    code_digest.cache_clear()
    sys.modules.pop("of_a_test", None)
    importlib.invalidate_caches()
    return code_digest("of_a_test")


def test_the_digest_is_of_names_and_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    first = package(tmp_path, a="x = 1", __in__b="y = 1")
    assert len(first) == platform.DIGITS
    assert package(tmp_path, a="x = 1", __in__b="y = 1") == first
    assert package(tmp_path, a="x = 2", __in__b="y = 1") != first
    assert package(tmp_path, a="x = 1", __in__b="y = 2") != first
    assert package(tmp_path, a="x = 1", __in__b="y = 1") == first
    (tmp_path / "of_a_test" / "a.py").rename(tmp_path / "of_a_test" / "c.py")
    assert package(tmp_path) != first
    assert code_digest("no_such_package_anywhere") == ""
    sys.modules.pop("of_a_test", None)


def test_kinds_are_told_together_whatever_the_number_and_order() -> None:
    one, other = {"BLAS": "x", "numpy": "2"}, {"BLAS": "y", "numpy": "2"}
    assert joined([one, other, one]) == {"BLAS": "x and y", "numpy": "2"}
    assert joined([other, one]) == joined([one, one, other])


def test_what_differs_is_told_then_and_now() -> None:
    then = {"processor": "zen", "numpy": "2.1", "CPU": "EPYC 1", "old": "1"}
    now = {"processor": "skylake", "numpy": "2.1", "CPU": "Xeon", "new": "1"}
    assert differing(then, then) == ()
    assert differing(then, now) == (
        "processor: zen then, skylake now",
        "old: 1 then, not there now",
        "new: not there then, 1 now",
    )
