"""Models and checkpoints that were changed and signed again: refused, or harmless."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gmm_dask import ArraySource, FormatError, GaussianMixture, Grid, LocalEngine, run_grid
from gmm_dask.estimator.models import FITTED, PARTS, WORDS, _checked
from gmm_dask.sound import mixtures_in
from gmm_dask.state import CODEC, MODEL_CODEC, CheckpointSettings, check_fits
from gmm_dask.store.group import from_files
from gmm_dask.store.model import load_model, save_model
from pipeline.run.stored import stored_model, stored_transform
from pipeline.stages.transform import Transform
from tests.faults.harness import Faults
from tests.strategies import clusters

KINDS = ("full", "tied", "diag", "spherical")
MANY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# Numbers that no array of a mixture may hold, or that make it none.
BAD = st.sampled_from([np.nan, np.inf, -np.inf, -1.0, -1e300])
ARRAYS = ("weights", "means", "covariances", "shift", "scale", "scatter", "centre", "variance")
# Where a negative number is as good as any.
ANYWHERE = ("means", "shift", "scatter", "centre")
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.floats(width=16),
    lambda inner: st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
Change = Callable[[np.ndarray], np.ndarray]
SHAPES: list[Change] = [
    lambda a: a[..., :-1],
    lambda a: a[None],
    lambda a: np.concatenate([a, a], axis=-1),
    lambda a: a.astype(np.float32),
    lambda a: a.astype(bool),
    lambda a: np.zeros((0, *a.shape)),
    lambda a: a.reshape(-1)[:1].reshape(()),
]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stored model of each covariance type, with a transform beside it."""
    rows, _ = clusters(200, D=3, K=2, seed=4)
    fitted = GaussianMixture(2, covariance_type=request.param, random_state=0, tol=1e-3).fit(rows)
    path = tmp_path_factory.mktemp("model") / "model.zarr"
    steps = (
        {"name": "arcsinh", "where": (0,), "labels": ("a",), "cofactor": 5.0},
        {"name": "standardize", "mean": np.zeros(3), "deviation": np.ones(3)},
        {"name": "pca", "mean": np.zeros(3), "components": np.eye(3), "explained": np.ones(3) / 3},
    )
    names = ("a", "b", "c")
    fitted.save(path, {"transform": {"before": names, "steps": steps}, "columns": names})
    return path


@cache
def stored(model: Path) -> dict[str, Any]:
    """Return what a model's files hold."""
    return load_model(model, MODEL_CODEC)[0]


def read_back(value: Any) -> Any:
    """Return the mixture of a value that went into a file and out of it, all checksums right."""
    return _checked(MODEL_CODEC.decode(*MODEL_CODEC.encode(value)), "here")


def spoiling(number: float, where: int) -> Change:
    """Return what puts a number into an array."""

    def spoil(array: np.ndarray) -> np.ndarray:
        result = array.copy()
        result.flat[where % array.size] = number
        return result

    return spoil


def changed_array(mixture: Any, name: str, change: Any) -> Any:
    """Return a mixture with one array, wherever it stands, replaced by what `change` makes."""

    def visit(node: Any) -> Any:
        names = _fields(node)
        if not names:
            return node
        parts = {n: visit(getattr(node, n)) for n in names}
        if name in parts and isinstance(parts[name], np.ndarray):
            parts[name] = change(parts[name])
        return type(node)(**parts)

    return visit(mixture)


def _fields(node: Any) -> tuple[str, ...]:
    if dataclasses.is_dataclass(node):
        return tuple(field.name for field in dataclasses.fields(node))
    return getattr(node, "_fields", ())


@MANY
@given(name=st.sampled_from(ARRAYS), number=BAD, where=st.integers(0, 2**20))
def test_numbers_that_make_no_mixture(model: Path, name: str, number: float, where: int) -> None:
    if np.isfinite(number) and name in ANYWHERE:
        return
    value = stored(model)
    mixture = changed_array(value["mixture"], name, spoiling(number, where))
    with pytest.raises(FormatError, match="damaged"):
        read_back({**value, "mixture": mixture})


@MANY
@given(name=st.sampled_from(ARRAYS), change=st.sampled_from(SHAPES))
def test_shapes_and_types_that_make_no_mixture(model: Path, name: str, change: Change) -> None:
    value = stored(model)
    with pytest.raises(FormatError):
        read_back({**value, "mixture": changed_array(value["mixture"], name, change)})


@pytest.mark.parametrize("model", ["full", "tied"], indirect=True)
def test_covariances_that_are_not_symmetric_or_not_definite(model: Path) -> None:
    def lopsided(S: np.ndarray) -> np.ndarray:
        result = S.copy()
        result[..., 0, 1] += 1e-3 * np.abs(S).max()
        return result

    def indefinite(S: np.ndarray) -> np.ndarray:
        result = S.copy()
        beyond = 2.0 * np.sqrt(S[..., 0, 0] * S[..., 1, 1])  # a correlation of 2
        result[..., 0, 1] = result[..., 1, 0] = beyond
        return result

    value = stored(model)
    for change, told in ((lopsided, "not symmetric"), (indefinite, "not positive definite")):
        mixture = changed_array(value["mixture"], "covariances", change)
        with pytest.raises(FormatError, match=told):
            read_back({**value, "mixture": mixture})


@MANY
@given(part=st.sampled_from(PARTS), junk=JUNK)
@example(part="fitted", junk={"predict": 3})
@example(part="words", junk={"__class__": "x"})
@example(part="feature_names", junk=("a", "b"))
def test_what_stands_beside_the_mixture(model: Path, part: str, junk: Any) -> None:
    value = stored(model)
    try:
        read_back({**value, part: junk})
    except FormatError:
        return
    # accepted: then nothing but settings and results of their own names will be set
    assert part != "mixture"
    known = {"words": WORDS, "fitted": FITTED}
    assert part not in known or set(junk) <= set(known[part])


def test_what_is_missing(model: Path) -> None:
    value = stored(model)
    for part in PARTS:
        with pytest.raises(FormatError, match="is no stored estimator"):
            read_back({name: item for name, item in value.items() if name != part})


def test_loading_goes_by_these_checks(model: Path, tmp_path: Path, faults: Faults) -> None:
    value = stored(model)
    bad = changed_array(value["mixture"], "weights", spoiling(-1.0, 0))
    for change in ({"mixture": bad}, {"fitted": {"predict": 3}}, {"extra": {}}):
        save_model(tmp_path / "changed.zarr", {**value, **change}, MODEL_CODEC, {})
        faults.add("changed model")
        with pytest.raises(FormatError, match="damaged"):
            stored_model(tmp_path / "changed.zarr")


@MANY
@given(
    step=st.integers(0, 2),
    key=st.sampled_from(["name", "mean", "deviation", "components", "where", "labels", "cofactor"]),
    junk=JUNK | st.sampled_from([np.full(3, np.nan), np.ones(2), np.zeros(3), -np.ones((3, 3))]),
)
@example(step=0, key="where", junk=(7,))
@example(step=1, key="deviation", junk=np.array([1.0, 0.0, 1.0]))
def test_transforms_that_fit_nothing(model: Path, step: int, key: str, junk: Any) -> None:
    extra = stored(model)["extra"]
    steps = list(extra["transform"]["steps"])
    if key not in steps[step]:
        return
    steps[step] = {**steps[step], key: junk}
    changed = {**extra, "transform": {**extra["transform"], "steps": tuple(steps)}}
    try:
        found = stored_transform(changed, 3, model)
    except FormatError:
        return
    assert np.isfinite(found.apply(np.full((2, 3), 0.5))).all()


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"columns": ("a", "b", "c")},
        {"columns": ("a", "b"), "transform": Transform(("a", "b")).as_dict()},
        {"columns": ("a", "b", "c"), "transform": Transform(("c", "b", "a")).as_dict()},
        {"columns": (), "transform": Transform(()).as_dict()},
        {"columns": ("a", "b", "c"), "transform": {"before": 3, "steps": None}},
    ],
)
def test_columns_and_transform_belong_together(model: Path, extra: dict[str, Any]) -> None:
    assert stored_transform(stored(model)["extra"], 3, model).before == ("a", "b", "c")
    with pytest.raises(FormatError, match="its transform is damaged"):
        stored_transform(extra, 3, model)


def test_nothing_is_unpickled(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    GaussianMixture.load(model)
    stored_model(model)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of a small grid that has not converged."""
    path = tmp_path_factory.mktemp("checkpoints")
    source = ArraySource(clusters(300, D=2, K=2, seed=5)[0])
    grid = Grid((2,), ("full", "diag"), n_init=2, init_params="random", tol=1e-9, max_iter=4)
    run_grid(source, grid, LocalEngine(1), checkpoint=CheckpointSettings(path, every_passes=1))
    return path


@cache
def newest(path: Path) -> Any:
    data = max((path / "data").iterdir(), key=lambda item: item.name)
    files = {f.relative_to(data).as_posix(): f.read_bytes() for f in data.rglob("*") if f.is_file()}
    return from_files(files, CODEC)[0]


@MANY
@given(name=st.sampled_from(ARRAYS), number=BAD, fit=st.integers(0, 3), where=st.integers(0, 99))
def test_fits_of_a_checkpoint(saved: Path, name: str, number: float, fit: int, where: int) -> None:
    if np.isfinite(number) and name in ANYWHERE:
        return
    fits = newest(saved)
    check_fits(fits, "here")
    assert all(list(mixtures_in(one)) for one in fits)
    em = fits[fit].em
    mixture = changed_array(em.mixture, name, spoiling(number, where))
    spoilt = dataclasses.replace(fits[fit], em=dataclasses.replace(em, mixture=mixture))
    with pytest.raises(FormatError, match="damaged"):
        check_fits((*fits[:fit], spoilt, *fits[fit + 1 :]), "here")


def test_what_is_no_fit_is_not_gone_on_with(saved: Path) -> None:
    fits = newest(saved)
    for junk in (None, list(fits), (fits[0], 3), {"fits": fits}):
        with pytest.raises(FormatError, match="holds no fits"):
            check_fits(junk, "here")
    begun = dataclasses.replace(fits[0], em=None)
    with pytest.raises(FormatError, match="neither begun nor a start"):
        check_fits((begun,), "here")
