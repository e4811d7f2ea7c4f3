from __future__ import annotations

import gc
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from gmm_dask.blocks import Source
from gmm_dask.errors import DataError, SourceChangedError
from gmm_dask.store import zarr_source
from gmm_dask.store.zarr_source import ZarrSource, from_array

ROWS = np.random.default_rng(0).normal(size=(103, 3)).astype(np.float32)
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


def make(path: Any, values: np.ndarray = ROWS, **options: Any) -> Any:
    options.setdefault("chunks", (20, values.shape[1]))
    return zarr.create_array(path, data=values, **options)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    make(tmp_path / "x.zarr")
    return tmp_path / "x.zarr"


@FORMATS
@pytest.mark.parametrize("chunks", [(103, 3), (20, 3), (20, 2), (1, 1), (7, 1)])
def test_rows_are_those_of_the_array(
    tmp_path: Path, zarr_format: int, chunks: tuple[int, int]
) -> None:
    make(tmp_path / "x", chunks=chunks, zarr_format=zarr_format)
    source = ZarrSource(tmp_path / "x")
    assert isinstance(source, Source)
    assert (source.n_rows, source.columns, source.dtype) == (103, ("x0", "x1", "x2"), np.float32)
    for lo, hi in ((0, 103), (0, 1), (102, 103), (19, 21), (40, 60)):
        block = source.read(lo, hi)
        np.testing.assert_array_equal(block.values, ROWS[lo:hi])
        assert block.start == lo
        assert block.values.flags.c_contiguous
    for lo, hi in ((-1, 3), (5, 5), (0, 104), (9, 2)):
        with pytest.raises(DataError, match="rows"):
            source.read(lo, hi)


@FORMATS
@pytest.mark.parametrize(("stored", "given"), [
    ("f2", "f4"), ("f4", "f4"), (">f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("i1", "f4"),
    ("u1", "f4"), ("i2", "f4"), (">i2", "f4"), ("u2", "f4"), ("i4", "f8"), (">i4", "f8"),
    ("u4", "f8"), ("i8", "f8"), ("u8", "f8"),
])  # fmt: skip
def test_numbers_of_any_type_arrive_without_loss(
    tmp_path: Path, stored: str, given: str, zarr_format: int
) -> None:
    kind = np.dtype(stored)
    if kind.kind == "f":
        values = np.array([[0.1, -1e4], [np.inf, 6e-5], [np.nan, -0.0]]).astype(kind)
    else:
        info = np.iinfo(kind)
        low, high = max(info.min, -(2**53)), min(info.max, 2**53)
        values = np.array([[low, high], [0, 1], [2, 3]], kind)
    array = zarr.create_array(tmp_path / "x", shape=(3, 2), dtype=kind, zarr_format=zarr_format)
    array[...] = values
    block = ZarrSource(tmp_path / "x").read(0, 3)
    assert block.values.dtype == np.dtype(given)
    assert block.values.dtype.isnative
    np.testing.assert_array_equal(block.values.astype(kind.newbyteorder("=")), values)


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, -(2**63)])
def test_integers_that_would_lose_digits_are_refused_with_their_place(
    tmp_path: Path, number: int
) -> None:
    values = np.zeros((50, 3), np.int64)
    values[33, 2] = number
    make(tmp_path / "x", values, chunks=(50, 3))
    with pytest.raises(DataError, match=rf"row 33, column 2 holds {number}.*beyond 2\*\*53"):
        ZarrSource(tmp_path / "x").read(30, 50)


@pytest.mark.parametrize(("values", "message"), [
    (np.zeros(5), r"shape \(5,\); needed: two dimensions"),
    (np.zeros((2, 3, 4)), "needed: two dimensions"),
    (np.zeros((5, 2), complex), "dtype complex128; needed: real numbers"),
    (np.zeros((5, 2), bool), "dtype bool"),
    (np.full((5, 2), "a"), "dtype"),
    (np.zeros((5, 2), "M8[s]"), "dtype datetime64"),
    (np.zeros((0, 2)), "at least one row"),
    (np.zeros((5, 0)), "1 to 100000 columns"),
])  # fmt: skip
@FORMATS
@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
def test_what_cannot_be_rows_is_refused(
    tmp_path: Path, values: np.ndarray, message: str, zarr_format: int
) -> None:
    zarr.create_array(
        tmp_path / "x",
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, n) for n in values.shape),
        zarr_format=zarr_format,
    )
    with pytest.raises(DataError, match=message):
        ZarrSource(tmp_path / "x")


def test_objects_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".zarray").write_text(
        '{"zarr_format":2,"shape":[5,2],"chunks":[5,2],"dtype":"|O","compressor":null,'
        '"fill_value":null,"order":"C","filters":[{"id":"pickle"}]}'
    )
    with pytest.raises(DataError):
        ZarrSource(tmp_path)


def test_groups_name_the_arrays_in_them(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "g")
    group.create_array("obsm/X_pca", data=ROWS, chunks=(50, 3))
    group.create_array("obs/age", data=np.arange(3))
    with pytest.raises(DataError, match=r"is a group.*obsm/X_pca \(103, 3\)$"):
        ZarrSource(tmp_path / "g")
    with pytest.raises(DataError, match=r"g/obsm is a group.*X_pca"):
        ZarrSource(tmp_path / "g", "obsm")
    np.testing.assert_array_equal(
        ZarrSource(tmp_path / "g", "obsm/X_pca").read(0, 9).values, ROWS[:9]
    )
    with pytest.raises(DataError, match="g/nothing: there is no zarr array or group"):
        ZarrSource(tmp_path / "g", "nothing")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no zarr store"):
        ZarrSource(tmp_path / "none")
    with pytest.raises(DataError, match="there is no zarr array or group"):
        ZarrSource(tmp_path)
    with pytest.raises(DataError, match="memory://none: there is no"):
        ZarrSource("memory://none")
    with pytest.raises(DataError, match="Protocol not known"):
        ZarrSource("nosuch://x")


def test_names_of_columns(stored: Path) -> None:
    assert ZarrSource(stored, columns=("a", "b", "c")).columns == ("a", "b", "c")
    with pytest.raises(DataError, match="3 columns, but 2 names came"):
        ZarrSource(stored, columns=("a", "b"))


def test_a_recipe_travels_without_data(stored: Path) -> None:
    source = ZarrSource(stored, columns=("a", "b", "c"))
    source.read(0, 103)
    recipe = pickle.dumps(source)
    assert len(recipe) < 1000
    assert hash(ZarrSource(stored, storage_options={"key": "x"})) is not None
    copy = pickle.loads(recipe)
    assert (copy, copy.columns, copy.fingerprint) == (source, source.columns, source.fingerprint)
    np.testing.assert_array_equal(copy.read(3, 99).values, ROWS[3:99])


def test_a_relative_path_means_the_same_on_a_worker(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stored.parent)
    recipe = pickle.dumps(ZarrSource(stored.name))
    zarr_source._handles.clear()
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(pickle.loads(recipe).read(0, 5).values, ROWS[:5])


def test_a_process_opens_a_store_once(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = pickle.dumps(ZarrSource(stored))
    zarr_source._handles.clear()
    opened = []
    real = zarr_source.open_array
    monkeypatch.setattr(
        zarr_source, "open_array", lambda *a, **k: opened.append(a) or real(*a, **k)
    )
    sources = [pickle.loads(recipe) for _ in range(8)]
    barrier = threading.Barrier(8)
    results: list[np.ndarray] = []

    def read(source: ZarrSource) -> None:
        barrier.wait()
        results.append(source.read(5, 95).values)

    threads = [threading.Thread(target=read, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    assert len(results) == 8
    for values in results:
        np.testing.assert_array_equal(values, ROWS[5:95])


def test_another_shape_than_in_the_recipe_is_noticed(stored: Path) -> None:
    recipe = pickle.dumps(ZarrSource(stored))
    zarr_source._handles.clear()
    make(stored, ROWS[:50], overwrite=True)
    with pytest.raises(SourceChangedError, match=r"had shape \(103, 3\).*now \(50, 3\)"):
        pickle.loads(recipe).read(0, 9)


@FORMATS
def test_the_fingerprint_follows_the_data_and_nothing_else(
    tmp_path: Path, zarr_format: int
) -> None:
    array = make(tmp_path / "x", zarr_format=zarr_format, attributes={"note": 1})
    source = ZarrSource(tmp_path / "x")
    first = source.fingerprint
    assert ZarrSource(f"file://{tmp_path}/x").fingerprint == first, "the way to it does not count"
    assert ZarrSource(tmp_path / "x", columns=("a", "b", "c")).fingerprint != first
    array.update_attributes({"note": 2})
    assert ZarrSource(tmp_path / "x").fingerprint == source.fingerprint == first
    array[40:41] = 7.0
    assert source.fingerprint != first
    other = make(tmp_path / "y", zarr_format=zarr_format, chunks=(50, 3))
    assert ZarrSource(tmp_path / "y").fingerprint != source.fingerprint
    assert from_array(other).fingerprint == ZarrSource(tmp_path / "y").fingerprint


def test_arrays_in_memory_travel_with_their_rows_and_are_let_go() -> None:
    array = make(MemoryStore())
    source = from_array(array, ("a", "b", "c"))
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy.read(0, 103).values, ROWS)
    first = source.fingerprint
    assert copy.fingerprint == first
    array[0] = 9
    assert source.fingerprint != first
    token = source._token
    assert token in zarr_source._handles
    del source, copy
    gc.collect()
    assert token not in zarr_source._handles, "a cache holds the user's array"
