"""Who may import whom, read from the files; sizes; and what `import gmm_dask` drags in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gmm_dask", "pipeline")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))

# The room of each module of gmm_dask: the longest matching name counts.
ROOMS = {
    "errors": 0,
    "tree": 1,
    "blocks": 1,
    "draws": 1,
    "stats": 1,
    "kernels": 2,
    "families": 3,
    "weights": 3,
    "mixture": 4,
    "folds": 5,
    "fits": 6,
    "rows": 6,  # row outputs of a mixture: beside fits, below the engine that maps them
    "engine": 7,
    "store": 8,
    "first_pass": 9,
    "drive": 9,
    "search": 9,
    "selection": 10,
    "diagnostics": 10,
    "state": 10,
    "many": 10,
    "inputs": 11,
    "estimator": 11,
    "fit_many": 11,
    "frames": 11,
    "": 12,  # gmm_dask/__init__.py knows all public names
}
# engine runs any fold and store keeps any value: both stand on the ground floor only.
ONLY = {"engine": {0, 1}, "store": {0, 1}}
PIPELINE_APART = ("sources", "stages", "sinks", "clusters", "report")


def module_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def type_checking_only(tree: ast.Module) -> set[ast.AST]:
    """Return nodes under ``if TYPE_CHECKING``: they import nothing at run time."""
    hidden: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for part in node.body:
                hidden.update(ast.walk(part))
    return hidden


def imports(path: Path, *, all_of_them: bool = True) -> list[tuple[int, str]]:
    """Return line and full name of everything a file imports, inside functions as well."""
    tree = ast.parse(path.read_text())
    hidden = set() if all_of_them else type_checking_only(tree)
    found = []
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def in_package(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def home(name: str) -> str:
    """Return the room of a full name of gmm_dask, such as ``folds``."""
    inside = name.removeprefix("gmm_dask").lstrip(".")
    matches = [r for r in ROOMS if r and in_package(inside, r)]
    return max(matches, key=len, default="")


def test_files_were_found():
    names = {module_of(path) for path in FILES}
    assert {"gmm_dask", "gmm_dask.tree", "gmm_dask.folds.e_step", "gmm_dask.engine.base"} <= names


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[-2] != "pipeline"], ids=module_of)
def test_every_module_has_a_room(path):
    module = module_of(path)
    if in_package(module, "gmm_dask") and module != "gmm_dask":
        assert home(module), f"{module} is in no room: add it to ROOMS"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_room_imports_lower_rooms_only(path):
    module = module_of(path)
    if not in_package(module, "gmm_dask"):
        return
    room = home(module)
    for line, name in imports(path):
        if not in_package(name, "gmm_dask"):
            continue
        other = home(name)
        if other == room:
            continue  # within one room
        where = f"{path.relative_to(ROOT)}:{line}: room {ROOMS[room]} ({module}) imports {name}"
        if other == "":
            assert in_package(name, "gmm_dask.tree") or module == "gmm_dask" or name in TOP, where
            continue
        assert ROOMS[other] <= ROOMS[room], f"{where} of the higher room {ROOMS[other]}"
        if room in ONLY:
            assert ROOMS[other] in ONLY[room], f"{where}; only rooms {ONLY[room]} are allowed"


# `from gmm_dask import tree` names a room through the package
TOP = {f"gmm_dask.{room}" for room in ROOMS if room}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_libraries_stay_in_their_rooms(path):
    module = module_of(path)
    for line, name in imports(path, all_of_them=False):
        where = f"{path.relative_to(ROOT)}:{line}: {module} imports {name}"
        if name.split(".")[0] in ("dask", "distributed") and in_package(module, "gmm_dask"):
            allowed = module.startswith("gmm_dask.engine.dask_") or module == "gmm_dask.frames"
            assert allowed, where
        if in_package(name, "zarr") and in_package(module, "gmm_dask"):
            assert in_package(module, "gmm_dask.store"), where
        if name.split(".")[0] in ("numba", "llvmlite"):
            assert in_package(module, "gmm_dask.kernels"), where
        if in_package(name, "pickle"):
            assert in_package(module, "gmm_dask.engine"), where


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_pipeline_uses_public_names_only(path):
    module = module_of(path)
    for line, name in imports(path):
        where = f"{path.relative_to(ROOT)}:{line}: {module} imports {name}"
        if in_package(module, "gmm_dask"):
            assert not in_package(name, "pipeline"), where
            continue
        if in_package(name, "gmm_dask"):
            import gmm_dask

            assert name.count(".") <= 1, f"{where}; pipeline imports from gmm_dask itself"
            public = name.partition(".")[2]
            assert not public or public in gmm_dask.__all__ or public == "__version__", where
        rooms = [r for r in PIPELINE_APART if in_package(module, f"pipeline.{r}")]
        for other in PIPELINE_APART:
            if rooms and other not in rooms:
                assert not in_package(name, f"pipeline.{other}"), where


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_cycles_hidden_in_functions(path):
    """Imports inside functions are for optional or heavy libraries, not to dodge the layers."""
    tree = ast.parse(path.read_text())
    heavy = ("gmm_dask.engine.dask_", "gmm_dask.store.zarr_source", "gmm_dask.store.spool")
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and in_package(node.module or "", "gmm_dask"):
                if in_package(module_of(path), "gmm_dask"):
                    assert (node.module or "").startswith(heavy), f"{path}:{node.lineno}"


ALL_FILES = sorted(p for d in ("gmm_dask", "pipeline", "tests", "scripts") for p in (ROOT / d).rglob("*.py"))


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_over_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_function_is_over_80_lines(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            begin = (first.end_lineno if is_doc else node.lineno) or node.lineno
            assert (node.end_lineno or begin) - begin <= 60, f"{path}:{node.lineno} {node.name}"


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


def test_public_names_exist():
    code = "import gmm_dask\nfor name in gmm_dask.__all__: getattr(gmm_dask, name)\nprint('ok')"
    assert run_alone(code) == "ok"


def test_every_package_has_a_first_line():
    for path in FILES:
        if path.name != "__init__.py" or path.stat().st_size:
            assert ast.get_docstring(ast.parse(path.read_text())), path
