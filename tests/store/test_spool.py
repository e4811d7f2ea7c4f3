from __future__ import annotations

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from gmm_dask import tree
from gmm_dask.blocks import ArraySource, Block
from gmm_dask.errors import DataError, StoreError
from gmm_dask.store import spool as module
from gmm_dask.store.files import LOCAL
from gmm_dask.store.spool import create_spool, seal, spool, write_rows
from gmm_dask.store.zarr_source import ZarrSource

from .simulated import FaultyFiles, names, no_permission

ROWS = np.random.default_rng(0).normal(size=(103, 3))
SOURCE = ArraySource(ROWS, ("a", "b", "c"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scratch" / "spool.zarr"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 20, 103, 500])
def test_rows_names_and_type_are_kept(path: Path, dtype: type, rows: int) -> None:
    source = ArraySource(ROWS.astype(dtype), ("a", "b", "c"))
    spooled = spool(source, path, rows)
    assert (spooled.n_rows, spooled.columns, spooled.dtype) == (103, ("a", "b", "c"), dtype)
    np.testing.assert_array_equal(spooled.read(7, 99).values, source.values[7:99])
    assert names(path.parent) == ["spool.zarr"]


def test_chunks_are_checked_not_compressed_and_zeros_are_written(path: Path) -> None:
    spool(ArraySource(np.zeros((40, 3))), path, 20)
    array = zarr.open_array(LocalStore(path), mode="r")
    codecs = [type(codec).__name__ for codec in array.metadata.codecs]
    assert codecs == ["BytesCodec", "Crc32cCodec"]
    assert np.isnan(array.fill_value)
    assert [p.stat().st_size for p in (path / "c").rglob("0") if p.is_file()] == [484, 484]


def test_many_writers_of_disjoint_chunks_in_any_order_and_twice(path: Path) -> None:
    create_spool(path, 103, 3, np.float64, 10, ("a", "b", "c"), "mark")
    starts = [*range(0, 103, 20)] * 2
    np.random.default_rng(1).shuffle(starts)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda lo: write_rows(path, Block(ROWS[lo : lo + 20], lo)), starts))
    source = seal(path)
    np.testing.assert_array_equal(source.read(0, 103).values, ROWS)
    assert seal(path).fingerprint == source.fingerprint == "mark"


def test_reading_waits_for_the_seal(path: Path) -> None:
    create_spool(path, 103, 3, np.float64, 20)
    with pytest.raises(DataError, match="there is no zarr store"):
        ZarrSource(path)
    write_rows(path, Block(ROWS[:40], 0))
    with pytest.raises(StoreError, match="rows from 40 on were not written"):
        seal(path)
    (draft,) = path.parent.iterdir()
    with pytest.raises(DataError, match="is a spool that is not sealed"):
        ZarrSource(draft)
    write_rows(path, Block(ROWS[40:], 40))
    with pytest.raises(DataError, match="not sealed"):
        ZarrSource(draft)
    assert seal(path).n_rows == 103


def test_a_chunk_cut_short_is_not_sealed(path: Path) -> None:
    create_spool(path, 103, 3, np.float64, 20)
    write_rows(path, Block(ROWS, 0))
    (draft,) = path.parent.iterdir()
    chunk = draft / "c/2/0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(StoreError, match="rows from 40 on"):
        seal(path)


@pytest.mark.parametrize(("block", "message"), [
    (Block(ROWS[:20], 10), "whole chunks of 20 rows"),
    (Block(ROWS[:15], 0), "whole chunks"),
    (Block(ROWS[:20], 100), "out of 103"),
    (Block(ROWS[:0], 0), "whole chunks"),
    (Block(ROWS[:20, :2], 0), "x 3 columns"),
    (Block(ROWS[:20].astype(np.float32), 0), "holds float64; float32 came"),
])  # fmt: skip
def test_what_is_not_whole_chunks_is_refused(path: Path, block: Block, message: str) -> None:
    create_spool(path, 103, 3, np.float64, 20)
    with pytest.raises(DataError, match=message):
        write_rows(path, block)


def test_there_must_be_a_spool(path: Path) -> None:
    for act in (lambda: write_rows(path, Block(ROWS, 0)), lambda: seal(path)):
        with pytest.raises(StoreError, match="there is no open spool"):
            act()
    for shape in ((0, 3, "f8", 5), (5, 0, "f8", 5), (5, 3, "f8", 0), (5, 3, "i8", 5)):
        with pytest.raises(DataError, match="needed"):
            create_spool(path, *shape)  # type: ignore[arg-type]


def test_a_whole_spool_of_the_same_rows_is_used_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    real = module.write_rows
    monkeypatch.setattr(module, "write_rows", lambda p, b: written.append(b.start) or real(p, b))

    def spooled(source: ArraySource = SOURCE, rows: int = 50) -> int:
        written.clear()
        np.testing.assert_array_equal(spool(source, path, rows).read(0, 103).values, source.values)
        return len(written)

    assert (spooled(), spooled(), spooled()) == (3, 0, 0)
    assert spooled(rows=20) == 6
    assert spooled(rows=20) == 0
    other = ArraySource(ROWS + 1, ("a", "b", "c"))
    assert (spooled(other), spooled(other)) == (3, 0)
    chunk = path / "c/1/0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert spooled(other) == 3, "a cut chunk"
    chunk.unlink()
    assert spooled(other) == 3, "a lost chunk"
    shutil.copytree(path, path.with_name("copy"))
    assert spooled(ArraySource(ROWS + 1, ("d", "b", "c"))) == 3, "other names"


def test_checkpoints_outlive_a_spool_written_anew(path: Path) -> None:
    first = spool(SOURCE, path, 20).fingerprint
    shutil.rmtree(path)
    assert spool(SOURCE, path, 50).fingerprint == first == SOURCE.fingerprint
    assert spool(ArraySource(ROWS + 1), path, 50).fingerprint != first


def test_a_damaged_chunk_is_noticed_in_the_pass(path: Path) -> None:
    source = spool(SOURCE, path, 20)
    chunk = path / "c/3/0"
    data = bytearray(chunk.read_bytes())
    data[5] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(DataError, match=r"chunk c/3/0 \(rows 60 to 79\) is damaged"):
        source.read(0, 103)


def test_an_interrupted_spool_is_begun_anew(path: Path) -> None:
    class Breaking(ArraySource):
        def read(self, lo: int, hi: int) -> Block:
            if lo >= 60:
                raise KeyboardInterrupt
            return super().read(lo, hi)

    with pytest.raises(KeyboardInterrupt):
        spool(Breaking(ROWS + 5, ("a", "b", "c")), path, 20)
    assert not path.exists()
    np.testing.assert_array_equal(spool(SOURCE, path, 50).read(0, 103).values, ROWS)
    assert names(path.parent) == ["spool.zarr"]


def test_folders_of_others_are_not_deleted(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "thesis").write_text("x")
    with pytest.raises(StoreError, match="exists and is not a spool"):
        spool(SOURCE, path, 20)
    shutil.rmtree(path)
    zarr.create_array(path, data=ROWS)
    with pytest.raises(StoreError, match="exists and is not a spool"):
        create_spool(path, 3, 3, "f8", 3)
    assert zarr.open_array(path).shape == (103, 3)


def test_a_full_disk_says_which_rows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_spool(path, 103, 3, np.float64, 20)
    real = LocalStore.set

    async def full(self: LocalStore, key: str, value: Any) -> None:
        if key.startswith("c/"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await real(self, key, value)

    monkeypatch.setattr(LocalStore, "set", full)
    with pytest.raises(StoreError, match=r"cannot write rows 20 to 40.*No space left"):
        write_rows(path, Block(ROWS[20:40], 20))


@pytest.mark.parametrize("at", range(4))
def test_a_seal_that_fails_can_be_repeated(path: Path, at: int) -> None:
    spool(ArraySource(ROWS + 1), path, 20)
    create_spool(path, 103, 3, np.float64, 20)
    write_rows(path, Block(ROWS, 0))
    with pytest.raises(StoreError, match="cannot seal"):
        seal(path, files=FaultyFiles(LOCAL, at, error=no_permission()))
    np.testing.assert_array_equal(seal(path).read(0, 103).values, ROWS)


def test_the_fingerprint_of_a_source_is_asked_once(path: Path) -> None:
    asked = []

    class Counting(ArraySource):
        @property
        def fingerprint(self) -> str:  # type: ignore[override]
            asked.append(1)
            return tree.fingerprint(self.values)

    spool(Counting(ROWS), path, 50)
    assert len(asked) == 1
