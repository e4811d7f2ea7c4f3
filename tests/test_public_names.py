"""The package as a whole: its names, and what importing it brings along."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gmm_dask

ROOT = Path(__file__).resolve().parents[1]


def run_alone(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_does_not_import_distributed():
    code = "import sys, gmm_dask; print('distributed' in sys.modules, 'dask' in sys.modules)"
    assert run_alone(code) == "False False"


@pytest.mark.parametrize("kind", ["numpy", "pandas"])
def test_fitting_in_memory_does_not_import_distributed(kind):
    code = f"""
import sys
import numpy as np
from gmm_dask import GaussianMixture, fit_many
X = np.random.default_rng(0).normal(size=(60, 2))
if {kind!r} == "pandas":
    import pandas
    X = pandas.DataFrame(X, columns=["a", "b"])
model = GaussianMixture(2, random_state=0).fit(X)
model.predict(X), model.score(X), model.sample(3), model.bic(X), model.score_samples(X)
fit_many(X, [1, 2], random_state=0)
print("distributed" in sys.modules)
"""
    assert run_alone(code) == "False"


def test_stub_and_module_offer_the_same_names():
    stub = ast.parse((ROOT / "gmm_dask" / "__init__.pyi").read_text())
    names = [name.asname for node in stub.body[1:] for name in node.names]  # type: ignore[attr-defined]
    assert sorted(names) == gmm_dask.__all__


def test_public_names_exist():
    code = "import gmm_dask\nfor name in gmm_dask.__all__: getattr(gmm_dask, name)\nprint('ok')"
    assert run_alone(code) == "ok"


def test_no_public_name_is_a_module():
    code = """
import types
from gmm_dask import FitMany, fit_many
from gmm_dask import *
import gmm_dask
found = [n for n in gmm_dask.__all__ if isinstance(getattr(gmm_dask, n), types.ModuleType)]
print(found, callable(fit_many))
"""
    assert run_alone(code) == "[] True"
