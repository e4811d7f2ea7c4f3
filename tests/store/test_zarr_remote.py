"""Arrays behind URLs, in archives and on file systems that are asynchronous or cannot list."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr
from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from zarr.storage import FsspecStore, MemoryStore, ZipStore

from gmm_dask.errors import DataError, StoreError
from gmm_dask.store.zarr_source import ZarrSource, from_array

from .test_zarr_source import ROWS, make


def test_memory_urls() -> None:
    make(FsspecStore.from_url("memory://test/a.zarr"), overwrite=True)
    source = ZarrSource("memory://test/a.zarr", storage_options={})
    np.testing.assert_array_equal(source.read(10, 90).values, ROWS[10:90])
    before = source.fingerprint
    fsspec.filesystem("memory").pipe("/test/a.zarr/c/1/0", b"other")
    assert source.fingerprint != before
    fsspec.filesystem("memory").rm("/test/a.zarr/c/1/0")
    with pytest.raises(DataError, match=r"memory://test/a\.zarr: chunk c/1/0 \(rows 20 to 39\)"):
        source.read(0, 103)
    with pytest.raises(DataError, match="c/1/0"):
        _ = source.fingerprint


@pytest.mark.parametrize("name", ["x.zip", "zip://x.zarr::{}/y.zip"])
def test_zip_files(tmp_path: Path, name: str) -> None:
    with ZipStore(tmp_path / "x.zip", mode="w") as store:
        make(store)
    make(tmp_path / "x.zarr")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        for path in (tmp_path / "x.zarr").rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    source = ZarrSource(name.format(tmp_path) if "::" in name else tmp_path / name)
    np.testing.assert_array_equal(source.read(10, 90).values, ROWS[10:90])
    assert len(source.fingerprint) == 64
    assert pickle.loads(pickle.dumps(source)).read(0, 5).values.shape == (5, 3)


class Asynchronous(AsyncFileSystem):
    """A remote file system, as s3fs is one: asynchronous, with tags; listing may be refused."""

    protocol = "pretend"
    contents: dict[str, bytes] = {}  # noqa: RUF012
    lists = True
    cachable = False

    async def _cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        await self._info(path)
        return self.contents[path][start:end]

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        if path not in self.contents:
            raise FileNotFoundError(path)
        data = self.contents[path]
        return {"name": path, "size": len(data), "type": "file", "ETag": str(hash(data))}

    async def _find(self, path: str, **_: Any) -> dict[str, Any]:
        inside = [name for name in self.contents if name.startswith(path)] if self.lists else []
        return {name: await self._info(name) for name in inside}


@pytest.mark.parametrize("lists", [True, False])
def test_remote_file_systems(lists: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, Any] = {}
    make(MemoryStore(held))
    contents = {f"bucket/x.zarr/{k}": v.to_bytes() for k, v in held.items()}
    monkeypatch.setattr(Asynchronous, "contents", contents)
    monkeypatch.setattr(Asynchronous, "lists", lists)
    store = FsspecStore(Asynchronous(asynchronous=True), path="bucket/x.zarr", read_only=True)
    source = from_array(zarr.open_array(store, mode="r"))
    assert "pretend://bucket/x.zarr" in repr(source)
    np.testing.assert_array_equal(source.read(10, 90).values, ROWS[10:90])
    first = source.fingerprint
    assert source.fingerprint == first
    data = contents["bucket/x.zarr/c/2/0"]
    contents["bucket/x.zarr/c/2/0"] = data + b"0"
    assert source.fingerprint != first
    contents["bucket/x.zarr/c/2/0"] = data[:-1] + bytes([data[-1] ^ 1])
    assert (source.fingerprint != first) == lists, "same size, another tag"
    del contents["bucket/x.zarr/c/3/0"]
    with pytest.raises(DataError, match=r"c/3/0 \(rows 60 to 79\) is missing"):
        _ = source.fingerprint


@pytest.mark.parametrize(("error", "expected"), [
    (ConnectionError("s3cr3t"), StoreError), (PermissionError("no right to list"), None),
])  # fmt: skip
def test_a_listing_that_fails(
    error: Exception, expected: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(FsspecStore.from_url("memory://listing/a.zarr"), overwrite=True)

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(MemoryFileSystem, "find", fail)
    source = ZarrSource("memory://listing/a.zarr", storage_options={"key": "s3cr3t"})
    if expected is None:
        assert len(source.fingerprint) == 64
        return
    with pytest.raises(
        expected, match=r"listing/a\.zarr cannot be listed: ConnectionError: \*\*\*"
    ):
        _ = source.fingerprint


def test_secrets_stay_secret() -> None:
    """Neither in messages nor in the repr nor in the fingerprint."""
    secret = "s3cr3t-pass"
    for path, options in (
        (f"nosuch://user:{secret}@bucket/x?token={secret}", {}),
        ("nosuch://bucket/x", {"secret": secret}),
        (f"memory://user:{secret}@none", {}),
        (f"zip://x::memory://{secret}@none?k={secret}", {}),
    ):
        with pytest.raises(DataError) as caught:
            ZarrSource(path, storage_options=options)
        error: BaseException | None = caught.value
        assert secret not in str(error)
        assert error is not None
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
    make(FsspecStore.from_url("memory://secret/a.zarr"), overwrite=True)
    plain = ZarrSource("memory://secret/a.zarr")
    keyed = ZarrSource("memory://secret/a.zarr", storage_options={"skip_instance_cache": True})
    assert plain.fingerprint == keyed.fingerprint
    assert "skip" not in repr(keyed)
