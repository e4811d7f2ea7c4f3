from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import zarr

from gmm_dask import tree
from gmm_dask.errors import FormatError, StoreError
from gmm_dask.store.files import LOCAL
from gmm_dask.store.model import load_model, save_model

from .fixtures.make_model_v1 import METADATA, VALUE
from .simulated import Crash, FaultyFiles, MemoryFiles, copy_of, names, no_permission, no_space
from .test_codec import same
from .values import CODEC, state

PATH = Path("/run/model.zarr")


def load_quietly(files: object) -> tuple[object, dict]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_model(PATH, CODEC, files=files)  # type: ignore[arg-type]


def found(files: object) -> int:
    """Return the number of the model that is found, not torn; 0 for none."""
    try:
        value, metadata = load_quietly(files)
    except FormatError:
        return 0
    number = int(metadata["number"])
    assert same(value, np.full(3, number))
    return number


def save(files: object, number: int) -> None:
    save_model(PATH, np.full(3, number), CODEC, {"number": number}, files=files)  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_model(tmp_path / "model.zarr", state(1), CODEC, {"rows": 3})
    return tmp_path / "model.zarr"


def test_there_and_back(model: Path) -> None:
    value, metadata = load_model(model, CODEC)
    assert tree.fingerprint(value) == tree.fingerprint(state(1))
    assert metadata == {"rows": 3}
    attributes = zarr.open_group(model, mode="r").attrs
    assert (attributes["format"], attributes["version"]) == ("gmm-dask-model", 1)
    assert names(model.parent) == ["model.zarr"]


def test_a_model_of_version_1_stays_readable() -> None:
    value, metadata = load_model(Path(__file__).with_name("fixtures") / "model_v1.zarr", CODEC)
    assert same(value, VALUE)
    assert metadata == METADATA


def test_saving_again_replaces_and_saving_over_other_things_does_not(model: Path) -> None:
    save_model(model, state(2), CODEC, {})
    assert tree.fingerprint(load_model(model, CODEC)[0]) == tree.fingerprint(state(2))
    assert names(model.parent) == ["model.zarr"]
    mine = model.with_name("thesis")
    mine.mkdir()
    (mine / "chapter").write_text("1")
    with pytest.raises(FormatError, match="thesis exists and is not a gmm-dask-model"):
        save_model(mine, state(1), CODEC, {})
    assert (mine / "chapter").read_text() == "1"
    (mine / "chapter").unlink()
    save_model(mine, state(1), CODEC, {})


def test_arrays_of_other_zarr_users_are_not_overwritten(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "data.zarr", data=np.arange(3))
    with pytest.raises(FormatError, match="is not a gmm-dask-model"):
        save_model(tmp_path / "data.zarr", state(1), CODEC, {})
    with pytest.raises(FormatError, match="does not describe a zarr group"):
        load_model(tmp_path / "data.zarr", CODEC)


def rewrite(model: Path, **changes: object) -> None:
    group = json.loads((model / "zarr.json").read_text())
    group["attributes"].update(changes)
    (model / "zarr.json").write_text(json.dumps(group))


def test_a_newer_version_says_upgrade(model: Path) -> None:
    rewrite(model, version=2)
    with pytest.raises(FormatError, match=r"version 2, this is version 1.*upgrade gmm-dask"):
        load_model(model, CODEC)


@pytest.mark.parametrize("changes", [
    {"version": "1"}, {"version": 0}, {"version": None}, {"version": True}, {"format": "other"},
    {"metadata": None}, {"metadata": {"rows": 4}}, {"tree": None}, {"sha256": ""}, {"files": {}},
])  # fmt: skip
def test_a_changed_attribute_is_damage(model: Path, changes: dict) -> None:
    rewrite(model, **changes)
    with pytest.raises(FormatError, match=r"model .*model\.zarr: "):
        load_model(model, CODEC)


def test_every_lost_or_damaged_file_is_noticed(model: Path) -> None:
    paths = [path for path in model.rglob("*") if path.is_file()]
    assert len(paths) == 9
    for path in paths:
        data = path.read_bytes()
        middle = len(data) // 2
        for damaged in (
            b"",
            data[:-1],
            data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        ):
            path.write_bytes(damaged)
            with pytest.raises(FormatError):
                load_model(model, CODEC)
        path.unlink()
        with pytest.raises(FormatError, match="missing"):
            load_model(model, CODEC)
        path.write_bytes(data)
    load_model(model, CODEC)


@pytest.mark.parametrize("path", ["none", "file"])
def test_no_model_there(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FormatError, match="missing"):
        load_model(tmp_path / path, CODEC)


@pytest.mark.parametrize("when", ["before", "torn", "after"])
@pytest.mark.parametrize("first", [True, False])
def test_a_crash_at_any_operation_leaves_the_old_or_the_new(when: str, first: bool) -> None:
    base = MemoryFiles()
    base.make_folder(PATH.parent)
    base.sync_folder(Path("/"))
    old, new = (0, 2) if first else (1, 2)
    if not first:
        save(base, old)
    probe = FaultyFiles(copy_of(base))
    save(probe, new)
    seen = []
    for at in range(probe.count):
        files = copy_of(base)
        with pytest.raises(Crash):
            save(FaultyFiles(files, at, when), new)
        seen.append(found(files))
        for outcome in range(5):
            choices = iter(range(outcome, 10_000, 3))
            survivor = files.after_power_cut(lambda n, c=choices: next(c) % n)
            assert found(survivor) in (old, new)
        save(files, 3)
        assert found(files) == 3
    assert seen == sorted(seen)
    assert set(seen) <= {old, new}
    assert probe.count >= (15 if first else 22), probe.calls


def test_the_model_before_is_read_with_a_warning_while_it_is_replaced(model: Path) -> None:
    model.rename(model.with_name(".model.zarr.previous.tmp"))
    with pytest.warns(RuntimeWarning, match="reading the model before it"):
        value, _ = load_model(model, CODEC)
    assert tree.fingerprint(value) == tree.fingerprint(state(1))


@pytest.mark.parametrize("make", [no_space, no_permission])
def test_a_refusing_file_system_is_a_store_error_and_harms_nothing(make: object) -> None:
    base = MemoryFiles()
    base.make_folder(PATH.parent)
    save(base, 1)
    probe = FaultyFiles(copy_of(base))
    save(probe, 2)
    refused = 0
    for at in range(probe.count):
        files = copy_of(base)
        try:
            save(FaultyFiles(files, at, "torn", make()), 2)  # type: ignore[operator]
        except StoreError:
            refused += 1
        number = found(files)
        assert number in (1, 2)
        if number == 1:
            assert [n for n in files.names(PATH.parent) if "previous" not in n] in (
                ["model.zarr"],
                [],  # the model before waits under its other name
            )
    assert refused > 15


def test_metadata_must_be_json(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not plain JSON"):
        save_model(tmp_path / "m", state(1), CODEC, {"a": float("nan")})
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_the_file_system_may_refuse_to_read(model: Path) -> None:
    class Refusing(FaultyFiles):
        def operate(self, name: str, *args: object) -> object:
            if name == "read":
                raise no_permission()
            return super().operate(name, *args)

    with pytest.raises(StoreError, match=r"cannot read .*Permission denied"):
        load_model(model, CODEC, files=Refusing(LOCAL))
