"""Who may import whom, read from the files; sizes; and what `import gmm_dask` drags in."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gmm_dask", "pipeline")
FILES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))

# The room of each module of gmm_dask: the longest matching name counts.
ROOMS = {
    **dict.fromkeys(("errors", "version"), 0),
    **dict.fromkeys(("tree", "blocks", "row_layout", "draws", "stats", "group_names"), 1),
    "kernels": 2,
    "families": 3,
    "laws": 3,
    "mixture": 4,
    **dict.fromkeys(("marginals", "observed", "observed_angles", "row_groups"), 4),
    **dict.fromkeys(("measuring", "described", "pieces", "projected", "completion"), 4),
    "folds": 5,
    "fits": 6,
    **dict.fromkeys(("imputation", "projections"), 5),
    "rows": 6,  # row outputs of a mixture: beside fits, below the engine that maps them
    "engine": 7,
    "store": 8,
    "machine": 8,  # the platform as the engine knows it, and the processor as kernels do
    **dict.fromkeys(("first_pass", "drive", "sound", "search", "initial", "cost", "beginnings"), 9),
    **dict.fromkeys(("angled", "grouping"), 9),
    **dict.fromkeys(("criteria", "problems", "stability", "summaries", "selection"), 10),
    "evaluation": 10,
    **dict.fromkeys(("halving", "ladder", "state", "many"), 10),
    "inputs": 11,
    "estimator": 11,
    "fit_many": 11,
    "frames": 11,
    "diagnostics": 11,  # takes what the estimator takes, which knows nothing of it
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


def where(path: Path, line: int, name: str) -> str:
    return f"{path.relative_to(ROOT)}:{line} imports {name}"


def every_import(*, at_run_time: bool = False) -> list[tuple[str, str, str]]:
    """Return the importing module, the imported name and its place, for all files."""
    return [
        (module_of(path), name, where(path, line, name))
        for path in FILES
        for line, name in imports(path, all_of_them=not at_run_time)
    ]


def test_files_were_found():
    names = {module_of(path) for path in FILES}
    assert {"gmm_dask", "gmm_dask.tree", "gmm_dask.folds.e_step", "gmm_dask.engine.base"} <= names
    assert sum(in_package(name, "gmm_dask") for _, name, _ in every_import()) > 100


def test_every_module_has_a_room():
    inside = [m for m in map(module_of, FILES) if in_package(m, "gmm_dask") and m != "gmm_dask"]
    assert [m for m in inside if not home(m)] == []  # add it to ROOMS


def is_allowed(module: str, name: str) -> bool:
    """Return whether a module of gmm_dask may import a name of gmm_dask."""
    room, other = home(module), home(name)
    if other == room:
        return True
    if ROOMS[other] > ROOMS[room]:
        return False
    return room not in ONLY or ROOMS[other] in ONLY[room]


def test_the_rule_tells_high_from_low():
    assert is_allowed("gmm_dask.folds.e_step", "gmm_dask.kernels.table")
    assert is_allowed("gmm_dask.engine.local", "gmm_dask.tree")
    assert not is_allowed("gmm_dask.folds.e_step", "gmm_dask.fits.em.EM")
    assert not is_allowed("gmm_dask.engine.local", "gmm_dask.mixture.Mixture")
    assert not is_allowed("gmm_dask.store.model", "gmm_dask.engine.base")
    assert not is_allowed("gmm_dask.fits.em", "gmm_dask.engine.base.Engine")
    assert not is_allowed("gmm_dask.many", "gmm_dask")


def test_a_room_imports_lower_rooms_only():
    found = [
        place
        for module, name, place in every_import()
        if in_package(module, "gmm_dask")
        and in_package(name, "gmm_dask")
        and not is_allowed(module, name)
    ]
    assert found == []


def stays(module: str, name: str) -> bool:
    """Return whether a library may be imported by a module of gmm_dask."""
    library = name.split(".")[0]
    if library in ("dask", "distributed"):
        return module.startswith("gmm_dask.engine.dask_") or module == "gmm_dask.frames"
    if library == "zarr":
        return in_package(module, "gmm_dask.store")
    if library in ("numba", "llvmlite"):
        return in_package(module, "gmm_dask.kernels")
    return True


def test_libraries_stay_in_their_rooms():
    found = [
        place
        for module, name, place in every_import(at_run_time=True)
        if in_package(module, "gmm_dask") and not stays(module, name)
    ]
    assert found == []


def is_public(name: str) -> bool:
    import gmm_dask

    public = name.partition(".")[2]
    return public in {*gmm_dask.__all__, "__version__", ""}


def test_pipeline_uses_public_names_only():
    found = [
        place
        for module, name, place in every_import()
        if in_package(module, "pipeline") and in_package(name, "gmm_dask") and not is_public(name)
    ]
    assert found == []


def test_the_library_knows_nothing_of_the_pipeline():
    found = [
        place
        for module, name, place in every_import()
        if in_package(module, "gmm_dask") and in_package(name, "pipeline")
    ]
    assert found == []


def test_rooms_of_the_pipeline_do_not_import_one_another():
    def room(name: str) -> str | None:
        return next((r for r in PIPELINE_APART if in_package(name, f"pipeline.{r}")), None)

    found = [
        place
        for module, name, place in every_import()
        if room(module) and room(name) and room(module) != room(name)
    ]
    assert found == []


def nodes(path: Path, kind: type | tuple[type, ...]) -> list:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kind)]


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
HEAVY = ("gmm_dask.engine.dask_", "gmm_dask.store.zarr_source", "gmm_dask.store.spool")


def test_no_cycles_hidden_in_functions():
    """Imports inside functions are for optional or heavy libraries, not to dodge the layers."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        if in_package(module_of(path), "gmm_dask")
        for function in nodes(path, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
        and in_package(node.module or "", "gmm_dask")
        and not (node.module or "").startswith(HEAVY)
    ]
    assert found == []


def test_no_file_is_over_300_lines():
    folders = ("gmm_dask", "pipeline", "tests", "scripts")
    lengths = {
        p: len(p.read_text().splitlines()) for d in folders for p in (ROOT / d).rglob("*.py")
    }
    assert {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n > 300} == {}


def body_lines(node: ast.FunctionDef) -> int:
    """Return the lines of a function after its docstring."""
    first = node.body[0]
    is_doc = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    begin = first.end_lineno if is_doc else node.lineno
    return (node.end_lineno or 0) - (begin or 0)


def test_no_function_is_over_60_lines():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {body_lines(node)}"
        for path in FILES
        for node in nodes(path, FUNCTIONS)
        if body_lines(node) > 60
    ]
    assert found == []


def test_every_module_says_what_it_is():
    found = [
        str(path.relative_to(ROOT))
        for path in FILES
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert found == []
