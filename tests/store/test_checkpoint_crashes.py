"""A process that ends before, in or after any single operation of a save."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gmm_dask.store.checkpoint import Checkpoints
from gmm_dask.store.files import LOCAL

from .simulated import BARE, Crash, FaultyFiles, MemoryFiles, copy_of, names
from .test_codec import same
from .values import CODEC, content

RUN = Path("/run")


def open_at(files: object, path: Path = RUN) -> Checkpoints:
    return Checkpoints(path, {"seed": 1}, CODEC, keep=2, files=files)  # type: ignore[arg-type]


def found(files: object, path: Path = RUN) -> int:
    """Return which state a fresh reader finds; 0 for none; a torn one has no number."""
    loaded = open_at(files, path).latest()
    if loaded is None:
        return 0
    assert same(loaded.value, content(loaded.pass_number)), "torn"
    return loaded.pass_number


@pytest.fixture(scope="module")
def base() -> MemoryFiles:
    """Two checkpoints, so that a third also deletes one."""
    files = MemoryFiles()
    files.make_folder(RUN)
    files.sync_folder(RUN.parent)
    store = open_at(files)
    store.save(content(1), 1)
    store.save(content(2), 2)
    return files


def operations(files: MemoryFiles, number: int) -> list[str]:
    probe = FaultyFiles(copy_of(files))
    open_at(probe).save(content(number), number)
    return probe.calls


def test_the_operations_are_those_of_the_protocol(base: MemoryFiles) -> None:
    calls = operations(base, 3)
    marker = next(i for i, call in enumerate(calls) if call.startswith("publish"))
    before, after = calls[:marker], calls[marker + 1 :]
    assert sum(call.startswith("write") for call in before) == 4  # 3 of data, 1 draft of a marker
    assert sum(call.startswith("sync ") for call in before) == 4
    assert not any(call.startswith("delete") for call in before)
    assert after[0] == "sync_folder commits", "deleting must wait until the marker is on the disk"
    deleted = [call for call in after if call.startswith("delete")]
    assert deleted[0].startswith("delete .0000000003.json"), "the marker's draft"
    assert deleted[1] == "delete 0000000001.json", "marker first, then data"
    assert after[after.index(deleted[1]) + 1] == "sync_folder commits"
    assert len(deleted) > 5


@pytest.mark.parametrize("when", ["before", "torn", "after"])
@pytest.mark.parametrize("first", [True, False])
def test_a_crash_at_any_operation_leaves_the_old_or_the_new(
    base: MemoryFiles, when: str, first: bool
) -> None:
    start = MemoryFiles() if first else base
    if first:
        start.make_folder(RUN)
    old, new = (0, 1) if first else (2, 3)
    crashes = len(operations(start, new))
    seen = []
    for at in range(crashes):
        files = copy_of(start)
        with pytest.raises(Crash):
            open_at(FaultyFiles(files, at, when)).save(content(new), new)
        seen.append(found(files))
        assert seen[-1] in (old, new)
        # The next driver goes on from there, whatever was left behind
        store = open_at(files)
        store.latest()
        store.save(content(seen[-1] + 1), seen[-1] + 1)
        assert found(files) == seen[-1] + 1
    assert crashes >= (17 if first else 22)
    assert seen == sorted(seen), "once the new one is there it stays"
    assert {old, new} <= {*seen, new}


def test_a_power_cut_at_any_operation_leaves_the_old_or_the_new(base: MemoryFiles) -> None:
    crashes = len(operations(base, 3))
    cuts = 0
    for at in range(crashes):
        files = copy_of(base)
        with pytest.raises(Crash):
            open_at(FaultyFiles(files, at, "after")).save(content(3), 3)
        for outcome in range(7):
            state_of_disk = iter(range(outcome, 10_000, 3))
            survivor = files.after_power_cut(lambda n, s=state_of_disk: next(s) % n)
            assert found(survivor) in (2, 3)
            cuts += 1
    assert cuts > 150


def test_the_power_cut_would_find_a_save_without_sync() -> None:
    """The check above can fail: without syncs a cut loses or tears checkpoints."""

    class Lazy(FaultyFiles):
        def operate(self, name: str, *args: object) -> object:
            return None if name.startswith("sync") else super().operate(name, *args)

    files = MemoryFiles()
    files.make_folder(RUN)
    files.sync_folder(Path("/"))
    store = open_at(Lazy(files))
    store.save(content(1), 1)
    outcomes = set()
    for outcome in range(40):
        state_of_disk = iter(range(outcome, 10_000, 3))
        survivor = files.after_power_cut(lambda n, s=state_of_disk: next(s) % n)
        try:
            outcomes.add(found(survivor))
        except Exception:
            outcomes.add(-1)
    assert outcomes & {0, -1}


KILLED = """
import os
from pathlib import Path
from gmm_dask.store.checkpoint import Checkpoints
from gmm_dask.store.files import LOCAL
from tests.store.simulated import FaultyFiles
from tests.store.values import CODEC, content
path, at, when = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
files = FaultyFiles(LOCAL, at, when, die=lambda: os._exit(9))
Checkpoints(path, {"seed": 1}, CODEC, keep=2, files=files).save(content(3), 3)
"""


def killed(path: Path, at: int, when: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BARE + KILLED, str(path), str(at), when]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_killed_process_leaves_the_old_or_the_new_on_a_real_disk(tmp_path: Path) -> None:
    def prepared(name: str) -> Path:
        store = open_at(LOCAL, tmp_path / name)
        store.save(content(1), 1)
        store.save(content(2), 2)
        return tmp_path / name

    probe = FaultyFiles(LOCAL)
    open_at(probe, prepared("whole")).save(content(3), 3)
    seen = []
    for share, when in ((0.3, "torn"), (0.6, "before"), (0.95, "after")):
        path = prepared(str(share))
        result = killed(path, int(share * probe.count), when)
        assert result.returncode == 9, result.stderr
        seen.append(found(LOCAL, path))
    assert {*seen} == {2, 3}
    assert seen == sorted(seen)


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are not there")
def test_a_file_size_limit_is_an_error_that_leaves_the_old(tmp_path: Path) -> None:
    """A real refusal by the system: RLIMIT_FSIZE, which acts as a full disk does."""
    script = """
import resource, signal
from gmm_dask.errors import StoreError
from gmm_dask.store.checkpoint import Checkpoints
from tests.store.values import CODEC, state
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Checkpoints(sys.argv[1], {"seed": 1}, CODEC)
store.save(state(1), 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    store.save(state(2, K=60, D=20), 2)
except StoreError as error:
    print(error)
print(store.latest().pass_number)
"""
    command = [sys.executable, "-c", BARE + script, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "pass 2 was not written" in result.stdout
    assert "File too large" in result.stdout
    assert result.stdout.splitlines()[-1] == "1"
    assert len(names(tmp_path / "data")) == 1
    assert json.loads((tmp_path / "commits/0000000001.json").read_text())
