from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numcodecs.zstd import Zstd

from gmm_dask import tree
from gmm_dask.errors import FormatError, StoreError
from gmm_dask.store.codec import Codec
from gmm_dask.store.group import from_files, to_files
from gmm_dask.store.layout import Limits
from gmm_dask.store.manifest import canonical, describe_files
from gmm_dask.store.trees import read_tree, write_tree

from .simulated import Crash, FaultyFiles, MemoryFiles, no_permission, no_space
from .test_codec import VALUES, same
from .values import CODEC, state

VALUE = state(0)


@pytest.mark.parametrize("packed", [False, True])
def test_there_and_back(tmp_path: Path, packed: bool) -> None:
    manifest = write_tree(tmp_path / "a" / "b", VALUE, CODEC, {"note": "x"}, packed=packed)
    value, attributes = read_tree(tmp_path / "a" / "b", CODEC, manifest)
    assert tree.fingerprint(value) == tree.fingerprint(VALUE)
    assert attributes == {"note": "x"}
    written = {
        p.relative_to(tmp_path / "a/b").as_posix() for p in tmp_path.rglob("*") if p.is_file()
    }
    assert written == set(manifest)
    for key, (size, digest) in manifest.items():
        data = (tmp_path / "a/b" / key).read_bytes()
        assert (size, digest) == (len(data), hashlib.sha256(data).hexdigest())


def test_other_tools_read_the_arrays_by_name(tmp_path: Path) -> None:
    write_tree(tmp_path / "x", VALUE, CODEC, {})
    group = zarr.open_group(tmp_path / "x", mode="r")
    np.testing.assert_array_equal(group["params.means"][...], VALUE.params.means)
    stored = group["params.means"]
    assert [type(codec).__name__ for codec in stored.metadata.codecs] == [
        "BytesCodec",
        "ZstdCodec",
        "Crc32cCodec",
    ]
    assert stored.nchunks == 1
    assert np.isnan(stored.fill_value)


def test_a_packed_tree_is_a_handful_of_files(tmp_path: Path) -> None:
    manifest = write_tree(tmp_path / "x", tuple(map(state, range(30))), CODEC, {}, packed=True)
    assert len(manifest) == 7  # float64, bool and int64: metadata and chunk each; the group


def test_equal_values_give_equal_files() -> None:
    assert to_files(VALUE, CODEC, {}) == to_files(state(0), CODEC, {})


@settings(max_examples=25, deadline=None)
@given(VALUES, st.booleans())
def test_any_value_goes_through_zarr_with_the_same_bits(value: Any, packed: bool) -> None:
    assert same(from_files(to_files(value, CODEC, {}, packed), CODEC)[0], value)


@pytest.mark.parametrize("packed", [False, True])
def test_what_zarr_would_leave_out_is_stored(packed: bool) -> None:
    """Chunks that hold nothing but the fill value."""
    value = {
        "integers": np.zeros(5, np.int64),
        "flags": np.zeros((2, 2), bool),
        "floats": np.full(3, np.nan, np.float32),
    }
    assert same(from_files(to_files(value, CODEC, {}, packed), CODEC)[0], value)


def test_a_lost_chunk_is_no_zero(tmp_path: Path) -> None:
    write_tree(tmp_path / "x", {"a": np.zeros(5)}, CODEC, {})
    (tmp_path / "x/a/c/0").unlink()
    with pytest.raises(FormatError, match=r"x: .*a/c/0 is missing"):
        read_tree(tmp_path / "x", CODEC)


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("packed", [False, True])
def test_every_flipped_bit_and_cut_is_noticed(
    tmp_path: Path, with_manifest: bool, packed: bool
) -> None:
    folder = tmp_path / "x"
    manifest = write_tree(folder, VALUE, CODEC, {"note": "x"}, packed=packed)
    before = tree.fingerprint(VALUE)
    for key in manifest:
        data = (folder / key).read_bytes()
        places = range(0, len(data), 1 + len(data) // 25)
        flipped = [data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :] for i in places]
        for damaged in (*flipped, data[:-1], b"", data + b" "):
            (folder / key).write_bytes(damaged)
            try:
                value, _ = read_tree(folder, CODEC, manifest if with_manifest else None)
            except FormatError:
                continue
            # Without an outer manifest a blank more or less in the group's JSON means nothing
            assert not with_manifest
            assert key == "zarr.json"
            assert tree.fingerprint(value) == before
        (folder / key).write_bytes(data)
    assert tree.fingerprint(read_tree(folder, CODEC)[0]) == before


def hostile(tmp_path: Path, changes: dict[str, bytes]) -> Path:
    """Return a folder whose files were changed by someone who also corrected all checksums."""
    files = {**to_files({"a": np.arange(5.0)}, CODEC, {}), **changes}
    group = json.loads(files.pop("zarr.json"))
    content = group["attributes"]
    content["files"] = describe_files(files)
    content["sha256"] = hashlib.sha256(
        canonical({k: v for k, v in content.items() if k != "sha256"})
    ).hexdigest()
    files["zarr.json"] = json.dumps(group).encode()
    for key, data in files.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(data)
    return tmp_path


def metadata(**changes: Any) -> dict[str, bytes]:
    meta = json.loads(to_files({"a": np.arange(5.0)}, CODEC, {})["a/zarr.json"])
    return {"a/zarr.json": json.dumps({**meta, **changes}).encode()}


def grid(*shape: int) -> dict[str, Any]:
    return {"name": "regular", "configuration": {"chunk_shape": shape}}


def test_the_forgery_is_right_but_for_what_is_tested(tmp_path: Path) -> None:
    value, _ = read_tree(hostile(tmp_path, {}), CODEC)
    np.testing.assert_array_equal(value["a"], np.arange(5.0))


@pytest.mark.parametrize("changes", [
    metadata(shape=[2**50], chunk_grid=grid(2**50)),
    metadata(shape=[2**50]),
    metadata(chunk_grid=grid(2**50)),
    metadata(chunk_grid=grid(2)),
    metadata(shape=[-5], chunk_grid=grid(-5)),
    metadata(shape=[5] * 40, chunk_grid=grid(*[5] * 40)),
    metadata(shape="12345"),
    metadata(shape=[5.0]),
    metadata(data_type="object"),
    metadata(data_type="string"),
    metadata(codecs=[{"name": "vlen-utf8"}]),
    metadata(codecs=[{"name": "bytes"}, {"name": "zstd"}]),
    metadata(codecs=None),
    metadata(node_type="group"),
    metadata(zarr_format=2),
    metadata(chunk_key_encoding={"name": "v2"}),
    {"a/zarr.json": b"[" * 100_000},
    {"a/zarr.json": b"{"},
    {"a/zarr.json": b"[]"},
    {"a/c/0": b""},
    {"a/c/0": b"not zstd at all"},
    # A frame that unfolds to a gigabyte where 40 bytes belong
    {"a/c/0": bytes(Zstd(level=1).encode(bytes(1 << 22))) + b"1234"},
])  # fmt: skip
def test_hostile_files_are_refused_before_anything_is_allocated(
    tmp_path: Path, changes: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Crash("zarr was asked to allocate")

    monkeypatch.setattr(zarr, "open_array", fail)
    with pytest.raises(FormatError):
        read_tree(hostile(tmp_path, changes), CODEC)


def test_a_petabyte_says_so(tmp_path: Path) -> None:
    changes = metadata(shape=[2**47], chunk_grid=grid(2**47))
    with pytest.raises(
        FormatError, match=r"claims shape \(140737488355328,\), 1125899906842624 byt"
    ):
        read_tree(hostile(tmp_path, changes), CODEC)


def test_many_arrays_together_are_bounded(tmp_path: Path) -> None:
    write_tree(tmp_path, {"a": np.zeros(10), "b": np.zeros(10)}, CODEC, {})
    with pytest.raises(FormatError, match="arrays claim 160 bytes; 100 are accepted"):
        read_tree(tmp_path, Codec([], Limits(array_bytes=100)))


@pytest.mark.parametrize("key", ["../../secret", "/etc/passwd", "a/../../x"])
def test_keys_do_not_leave_the_folder(tmp_path: Path, key: str) -> None:
    folder = hostile(tmp_path, {})
    group = json.loads((folder / "zarr.json").read_bytes())
    group["attributes"]["files"][key] = [4, "0" * 64]
    (folder / "zarr.json").write_text(json.dumps(group))
    with pytest.raises(FormatError, match="does not describe a stored file"):
        read_tree(folder, CODEC)


@pytest.mark.parametrize(
    "root", [b"", b"{}", b"[]", b"null", b'{"attributes": 3}', b"\xff", b"NaN"]
)
def test_a_root_that_is_no_group_is_damage(tmp_path: Path, root: bytes) -> None:
    (tmp_path / "zarr.json").write_bytes(root)
    with pytest.raises(FormatError):
        read_tree(tmp_path, CODEC)


def test_refusals_of_the_file_system_are_store_errors() -> None:
    for error in (no_space(), no_permission()):
        files = FaultyFiles(MemoryFiles(), 5, error=error)
        with pytest.raises(StoreError, match=rf"cannot write .*{os.strerror(error.errno or 0)}"):
            write_tree(Path("/x"), VALUE, CODEC, {}, files=files)


def test_attributes_must_be_plain_json(tmp_path: Path) -> None:
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(FormatError, match="not plain JSON"):
            write_tree(tmp_path / "x", VALUE, CODEC, {"note": value})


def test_nothing_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none: .*zarr\.json is missing"):
        read_tree(tmp_path / "none", CODEC)
