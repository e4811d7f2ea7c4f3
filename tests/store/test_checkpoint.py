from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gmm_dask import tree
from gmm_dask.errors import CheckpointError, FormatError
from gmm_dask.store.checkpoint import Checkpoints
from gmm_dask.store.codec import Codec
from gmm_dask.store.files import ORPHAN_SECONDS

from .simulated import FaultyFiles, MemoryFiles, names
from .values import CODEC, Kind, Params, state

IDENTITY = {"seed": 7, "data": "abc", "k": [1, 2]}
RUN = Path("/run")


def open_at(path: Path, identity: dict = IDENTITY, **options: object) -> Checkpoints:
    return Checkpoints(path, identity, CODEC, **options)  # type: ignore[arg-type]


def is_state(loaded: object, seed: int) -> bool:
    return tree.fingerprint(loaded) == tree.fingerprint(state(seed))


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Folder with checkpoints of passes 1, 2 and 3."""
    for n in (1, 2, 3):
        open_at(tmp_path).save(state(n), n)
    return tmp_path


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert open_at(tmp_path / "none").latest() is None
    saved = open_at(tmp_path).save(state(1), 31)
    loaded = open_at(tmp_path, {**IDENTITY, "k": (1, 2)}).latest()
    assert loaded is not None
    assert is_state(loaded.value, 1)
    assert (loaded.pass_number, loaded.sha256) == (31, saved.sha256)
    assert datetime.now(UTC) - loaded.written < timedelta(minutes=5)
    files = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
    assert saved.bytes == sum(p.stat().st_size for p in files)
    assert (tmp_path / "data" / saved.name).is_dir()
    assert names(tmp_path / "commits") == ["0000000031.json"]


def test_equal_states_have_equal_digests(tmp_path: Path) -> None:
    digests = [open_at(tmp_path / str(i)).save(state(i // 2), 5).sha256 for i in range(4)]
    assert digests[0] == digests[1] != digests[2] == digests[3]


def test_the_newest_few_are_kept(tmp_path: Path) -> None:
    store = open_at(tmp_path, keep=2)
    for n in range(1, 6):
        store.save(state(n), n)
    assert names(tmp_path / "commits") == ["0000000004.json", "0000000005.json"]
    assert sorted(n[:10] for n in names(tmp_path / "data")) == ["0000000004", "0000000005"]
    with pytest.raises(ValueError, match="at least one"):
        open_at(tmp_path, keep=0)


def test_another_run_is_refused_with_every_difference(three: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_at(three, {"seed": 8, "data": "abc", "plan": 1}).latest()
    for part in ("pass 3", "seed: 7 -> 8", "k: [1, 2] -> (absent)", "plan: (absent) -> 1"):
        assert part in str(caught.value)
    assert "data:" not in str(caught.value)


def files_of(root: Path, number: int) -> list[Path]:
    data = next((root / "data").glob(f"{number:010d}-*"))
    return [root / f"commits/{number:010d}.json", *(p for p in data.rglob("*") if p.is_file())]


def test_a_flipped_bit_in_any_file_takes_the_one_before_with_a_warning(three: Path) -> None:
    for path in files_of(three, 3):
        data = path.read_bytes()
        for bit in range(3, 8 * len(data), 1 + 8 * len(data) // 12):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.warns(RuntimeWarning, match=r"going on from pass 2.*0000000003\.json"):
                loaded = open_at(three).latest()
            assert loaded is not None
            assert is_state(loaded.value, 2)
        path.write_bytes(data)
    loaded = open_at(three).latest()
    assert loaded is not None
    assert is_state(loaded.value, 3)


@pytest.mark.parametrize("harm", ["delete", "truncate", "swap", "unreadable", "folder"])
def test_any_harm_to_any_file_takes_the_one_before(three: Path, harm: str) -> None:
    for path in files_of(three, 3):
        if harm == "unreadable" and os.geteuid() == 0:
            pytest.skip("root reads everything; see test_refused_reads")
        if harm == "swap" and path.parent.name == "commits":
            continue
        backup = path.with_name("backup")
        shutil.move(path, backup)
        if harm == "truncate":
            path.write_bytes(backup.read_bytes()[:-1])
        elif harm == "swap":
            other = next((three / "data").glob("0000000002-*"))
            inner = path.relative_to(next((three / "data").glob("0000000003-*")))
            if (other / inner).read_bytes() == backup.read_bytes():
                shutil.move(backup, path)
                continue  # metadata of equal shapes are equal
            shutil.copy(other / inner, path)
        elif harm == "folder":
            path.mkdir()
        elif harm == "unreadable":
            shutil.copy(backup, path)
            path.chmod(0)
        if harm == "delete" and path.parent.name == "commits":
            loaded = open_at(three).latest()
        else:
            with pytest.warns(RuntimeWarning, match="going on from pass 2"):
                loaded = open_at(three).latest()
        assert loaded is not None
        assert loaded.pass_number == 2
        if path.is_dir():
            path.rmdir()
        backup.replace(path)


def test_none_valid_is_an_error_not_a_fresh_start(three: Path) -> None:
    for n in (1, 2, 3):
        files_of(three, n)[0].write_bytes(b"{}")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is valid: 0000000003\.json"):
        open_at(three).latest()


def test_history_goes_on_from_the_checkpoint_that_was_taken(three: Path) -> None:
    files_of(three, 3)[1].write_bytes(b"x")
    store = open_at(three)
    with pytest.warns(RuntimeWarning):
        store.latest()
    store.save(state(9), 3)  # the same pass again, over the damaged one
    loaded = open_at(three).latest()
    assert loaded is not None
    assert is_state(loaded.value, 9)
    again = open_at(three)
    again.save(state(8), 1)  # an attempt given up: later passes are no longer history
    assert names(three / "commits") == ["0000000001.json"]
    loaded = open_at(three).latest()
    assert loaded is not None
    assert is_state(loaded.value, 8)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_a_second_driver_is_noticed_by_its_marker(three: Path, number: int) -> None:
    first, second = open_at(three), open_at(three)
    first.latest()
    second.latest()
    second.save(state(5), 4 if number == 5 else number)
    with pytest.raises(CheckpointError, match="another driver wrote"):
        first.save(state(6), number)
    loaded = open_at(three).latest()
    assert loaded is not None
    assert is_state(loaded.value, 5)
    assert len(list((three / "data").iterdir())) == len(list((three / "commits").iterdir())) + (
        number == 3  # the replaced data of pass 3 wait until they are old
    )


def test_two_drivers_at_one_moment_one_marker() -> None:
    """The second marker appears between the first driver's look and its own marker."""
    files = MemoryFiles()
    files.make_folder(RUN)

    class Racing(FaultyFiles):
        def operate(self, name: str, *args: object) -> object:
            if name == "publish":
                Checkpoints(RUN, IDENTITY, CODEC, files=files).save(state(2), 1)
            return super().operate(name, *args)

    with pytest.raises(CheckpointError, match="another driver wrote"):
        Checkpoints(RUN, IDENTITY, CODEC, files=Racing(files)).save(state(1), 1)
    loaded = Checkpoints(RUN, IDENTITY, CODEC, files=files).latest()
    assert loaded is not None
    assert is_state(loaded.value, 2)


def test_newer_versions_are_not_passed_over(three: Path) -> None:
    small = Codec([Kind, Params])
    with pytest.raises(FormatError, match="class 'State' is not known"):
        Checkpoints(three, IDENTITY, small).latest()


def test_orphans_are_swept_when_old_and_only_then() -> None:
    files = MemoryFiles()
    files.make_folder(RUN)
    store = Checkpoints(RUN, IDENTITY, CODEC, files=files)
    store.save(state(1), 1)
    orphan, draft = RUN / "data" / ("0000000009-" + "f" * 32), RUN / "commits" / ".x.json.1.tmp"
    files.make_folder(orphan)
    files.write(orphan / "zarr.json", b"x")
    files.write(draft, b"x")
    store.save(state(2), 2)
    assert files.is_folder(orphan)
    files.clock += ORPHAN_SECONDS + 1
    store.save(state(3), 3)
    assert not files.is_folder(orphan)
    assert len(files.names(RUN / "data")) == len(files.names(RUN / "commits")) == 3


def test_data_of_an_unreadable_marker_are_not_orphans() -> None:
    files = MemoryFiles()
    files.make_folder(RUN)
    Checkpoints(RUN, IDENTITY, CODEC, files=files).save(state(1), 1)
    files.write(RUN / "commits/0000000001.json", b"damaged")
    files.clock += 9 * ORPHAN_SECONDS
    Checkpoints(RUN, IDENTITY, CODEC, files=files).save(state(2), 2)
    assert len(files.names(RUN / "data")) == 2


@pytest.mark.parametrize("number", [-1, 10**10])
def test_passes_that_have_no_name(tmp_path: Path, number: int) -> None:
    with pytest.raises(ValueError, match="pass_number"):
        open_at(tmp_path).save(state(1), number)


def test_no_secret_of_the_format(three: Path) -> None:
    """Anyone can read a checkpoint with json and zarr alone."""
    body = json.loads((three / "commits/0000000003.json").read_bytes())["body"]
    assert (body["format"], body["version"], body["pass"]) == ("gmm-dask-checkpoint", 1, 3)
    assert body["identity"] == IDENTITY
