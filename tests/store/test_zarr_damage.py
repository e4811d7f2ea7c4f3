"""Chunks that are missing, cut, changed, out of reach or hostile: never zeros, always named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr
from numcodecs import Blosc as OldBlosc
from numcodecs import GZip as OldGZip
from zarr.codecs import BloscCodec, Crc32cCodec, GzipCodec, ZstdCodec
from zarr.storage import MemoryStore

from gmm_dask.errors import DataError, StoreError
from gmm_dask.store import zarr_open
from gmm_dask.store.zarr_source import ZarrSource, from_array

from .test_strict_store import Failing
from .test_zarr_source import ROWS, make

WAYS = {
    "v3 zstd": {},
    "v3 zstd crc": {"compressors": [ZstdCodec(), Crc32cCodec()]},
    "v3 plain crc": {"compressors": [Crc32cCodec()]},
    "v3 gzip": {"compressors": [GzipCodec()]},
    "v3 blosc": {"compressors": [BloscCodec()]},
    "v3 plain": {"compressors": None},
    "v2": {"zarr_format": 2},
    "v2 blosc": {"zarr_format": 2, "compressors": OldBlosc("lz4", 5, OldBlosc.BITSHUFFLE)},
    "v2 gzip": {"zarr_format": 2, "compressors": OldGZip()},
    "v2 plain": {"zarr_format": 2, "compressors": None},
    "v2 nested": {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
}


def chunk_files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(path for path in found if path.name not in ("zarr.json", ".zarray", ".zattrs"))


@pytest.fixture(params=WAYS)
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make(tmp_path / "x", chunks=(20, 2), **WAYS[request.param])
    return tmp_path / "x"


def test_any_missing_chunk_is_named_with_its_rows(stored: Path) -> None:
    files = chunk_files(stored)
    assert len(files) == 12
    for path in files:
        data = path.read_bytes()
        path.unlink()
        key = path.relative_to(stored).as_posix()
        first = 20 * int(key.replace(".", "/").split("/")[-2])
        rows = rf"chunk {key} \(rows {first} to {min(first + 20, 103) - 1}\) is missing"
        with pytest.raises(DataError, match=rows):
            _ = ZarrSource(stored).fingerprint
        with pytest.raises(DataError, match=rows):
            ZarrSource(stored).read(0, 103)
        before = ZarrSource(stored)
        if first >= 20:
            np.testing.assert_array_equal(before.read(0, first).values, ROWS[:first])
        path.write_bytes(data)
    np.testing.assert_array_equal(ZarrSource(stored).read(0, 103).values, ROWS)


def test_missing_chunks_may_be_allowed(stored: Path) -> None:
    chunk_files(stored)[0].unlink()
    source = ZarrSource(stored, allow_missing_chunks=True)
    assert (source.read(0, 20).values[:, :2] == 0).all()
    np.testing.assert_array_equal(source.read(0, 20).values[:, 2], ROWS[:20, 2])
    assert len(source.fingerprint) == 64


def test_any_cut_chunk_is_named_with_its_rows(stored: Path) -> None:
    for path in chunk_files(stored):
        data = path.read_bytes()
        for damaged in (data[:-1], data[: len(data) // 2], b""):
            path.write_bytes(damaged)
            key = path.relative_to(stored).as_posix()
            with pytest.raises(DataError, match=rf"chunk {key} \(rows .*damaged or cut short"):
                ZarrSource(stored).read(0, 103)
        path.write_bytes(data)


@pytest.mark.parametrize("way", ["v3 zstd crc", "v3 plain crc"])
def test_checksums_are_checked(tmp_path: Path, way: str) -> None:
    make(tmp_path / "x", **WAYS[way])
    path = tmp_path / "x/c/2/0"
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 7):
        data[place] ^= 4
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"chunk c/2/0 \(rows 40 to 59\) is damaged"):
            ZarrSource(tmp_path / "x").read(0, 103)
        data[place] ^= 4


def test_a_lost_and_a_partly_written_shard(tmp_path: Path) -> None:
    make(tmp_path / "x", chunks=(5, 3), shards=(20, 3))
    source = ZarrSource(tmp_path / "x")
    np.testing.assert_array_equal(source.read(0, 103).values, ROWS)
    assert len(source.fingerprint) == 64
    (tmp_path / "x/c/1/0").unlink()
    with pytest.raises(DataError, match=r"chunk c/1/0 \(rows 20 to 39\) is missing"):
        ZarrSource(tmp_path / "x").read(0, 103)


@pytest.mark.parametrize(("dtype", "fill"), [
    ("f4", 0), ("f4", np.nan), ("f8", -999.0), ("i2", 0), ("i4", 5), ("u1", 255),
])  # fmt: skip
def test_a_chunk_missing_inside_its_shard(tmp_path: Path, dtype: str, fill: float) -> None:
    """Here the store holds the key; only the index of the shard knows."""
    values = np.random.default_rng(1).integers(1, 9, (40, 3)).astype(dtype)
    array = zarr.create_array(
        tmp_path / "x", shape=(40, 3), dtype=dtype, chunks=(5, 3), shards=(20, 3), fill_value=fill
    )
    array[...] = values
    values[3, 1] = np.dtype(dtype).type(fill)
    array[0:20] = values[:20]
    given = np.float32 if dtype not in ("f8", "i4") else np.float64
    np.testing.assert_array_equal(
        ZarrSource(tmp_path / "x").read(0, 40).values, values.astype(given)
    )
    array[25:30] = np.dtype(dtype).type(fill)  # as a chunk of nothing but the fill value: left out
    with pytest.raises(DataError, match="chunk of rows 25 to 29 is missing inside its shard"):
        ZarrSource(tmp_path / "x").read(0, 40)
    np.testing.assert_array_equal(ZarrSource(tmp_path / "x").read(30, 40).values, values[30:])
    allowed = ZarrSource(tmp_path / "x", allow_missing_chunks=True).read(25, 26).values
    np.testing.assert_array_equal(allowed, np.full((1, 3), fill, given))


def failing(times: int, kind: type[Exception], waits: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    class Faulty(Failing):
        pass

    Faulty.times, Faulty.error = times, kind
    held: dict[str, Any] = {}
    make(MemoryStore(held))
    monkeypatch.setattr(zarr_open, "WAITS", waits)
    return from_array(zarr.open_array(Faulty(held, read_only=True), mode="r"))


def test_transient_errors_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    source = failing(2, ConnectionResetError, (0, 0), monkeypatch)
    np.testing.assert_array_equal(source.read(0, 20).values, ROWS[:20])


def test_lasting_errors_may_be_repeated_later(monkeypatch: pytest.MonkeyPatch) -> None:
    source = failing(10**9, TimeoutError, (0, 0), monkeypatch)
    with pytest.raises(
        StoreError, match=r"c/1/0 \(rows 20 to 39\) cannot be read: TimeoutError.*3 att"
    ):
        source.read(25, 30)


def test_permission_is_the_users_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    source = failing(10**9, PermissionError, (0, 0), monkeypatch)
    with pytest.raises(DataError, match=r"c/1/0 \(rows 20 to 39\).*Check the permissions"):
        source.read(25, 30)


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def grid(*shape: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": shape}}


@pytest.mark.parametrize("changes", [
    {"shape": [2**50, 3], "chunk_grid": grid(2**50, 3)},
    {"shape": [2**50, 2**30], "chunk_grid": grid(10, 3)},
    {"shape": [10, 2**50], "chunk_grid": grid(10, 2**50)},
    {"shape": [-5, 3]},
    {"data_type": "object"},
    {"codecs": [{"name": "import_os"}]},
    {"chunk_grid": None},
    {"zarr_format": 9},
])  # fmt: skip
def test_hostile_metadata_are_refused_at_once(tmp_path: Path, changes: dict[str, Any]) -> None:
    make(tmp_path / "x")
    rewrite(tmp_path / "x", **changes)
    before = psutil.Process().memory_info().rss
    with pytest.raises(DataError):
        ZarrSource(tmp_path / "x")
    assert psutil.Process().memory_info().rss - before < 100e6


@pytest.mark.parametrize("name", ["zarr.json", ".zarray"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"[" * 10**5, b"\xff\xfe"])
def test_damaged_metadata(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        ZarrSource(tmp_path)


def test_a_petabyte_of_rows_with_few_chunks_costs_no_pass(tmp_path: Path) -> None:
    make(tmp_path / "x")
    rewrite(tmp_path / "x", shape=[2**50, 3])
    with pytest.raises(DataError, match=r"chunk c/6/0 \(rows 120 to 139\) is missing"):
        _ = ZarrSource(tmp_path / "x").fingerprint
    before = psutil.Process().memory_info().rss
    with pytest.raises(DataError, match="missing"):
        ZarrSource(tmp_path / "x").read(2**49, 2**49 + 5)
    assert psutil.Process().memory_info().rss - before < 100e6


def test_a_chunk_larger_than_the_machine_says_what_to_do(tmp_path: Path) -> None:
    make(tmp_path / "x")
    rewrite(tmp_path / "x", shape=[2**47, 3], chunk_grid=grid(2**47, 3))
    with pytest.raises(DataError, match=r"1688849860263936 bytes each.*smaller chunks, such as \("):
        ZarrSource(tmp_path / "x")
