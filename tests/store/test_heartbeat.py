from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path

import pytest

from gmm_dask.store.heartbeat import Heartbeat, read_beat

from .simulated import FaultyFiles, MemoryFiles, no_space


def until(condition: object, seconds: float = 20.0) -> None:
    """Wait for a condition, with a deadline."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_beats_tell_who_and_how_far(tmp_path: Path) -> None:
    path, passes = tmp_path / "heartbeat.json", iter(range(10**9))
    with Heartbeat(path, every=0.01, details=lambda: {"pass": next(passes)}) as heart:
        until(lambda: next(passes) > 5)
        beat = read_beat(path, time.time())
        assert beat is not None
        assert beat.owner == heart.owner
        assert not beat.stopped
        assert beat.age < 20
        assert beat.details["pass"] >= 0
    beat = read_beat(path, time.time() + 1000)
    assert beat is not None
    assert beat.stopped
    assert beat.age >= 990
    assert [p.name for p in tmp_path.iterdir()] == ["heartbeat.json"]
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"owner": 3}'])
def test_what_cannot_be_read_is_no_beat(tmp_path: Path, content: bytes) -> None:
    assert read_beat(tmp_path / "x", 0.0) is None
    (tmp_path / "x").write_bytes(content)
    assert read_beat(tmp_path / "x", 0.0) is None


def test_a_full_disk_is_logged_once_and_passes(caplog: pytest.LogCaptureFixture) -> None:
    files = MemoryFiles()
    files.make_folder(Path("/run"))
    path = Path("/run/heartbeat.json")

    class Full(FaultyFiles):
        full = False

        def operate(self, name: str, *args: object) -> object:
            if self.full:
                raise no_space()
            return super().operate(name, *args)

    disk = Full(files)
    asked = iter(range(10**9))
    with (
        caplog.at_level(logging.WARNING),
        Heartbeat(path, every=0.005, details=lambda: {"n": next(asked)}, files=disk),
    ):
        disk.full = True
        start = next(asked)
        until(lambda: next(asked) > start + 40)
        assert len(caplog.records) == 1
        disk.full = False
        before = json.loads(files.read(path, 10**6))["details"]["n"]
        until(lambda: json.loads(files.read(path, 10**6))["details"]["n"] > before)
    assert "No space left" in caplog.text


def test_who_lost_the_run_is_silent(tmp_path: Path) -> None:
    held = threading.Event()
    held.set()
    path = tmp_path / "heartbeat.json"
    with Heartbeat(path, every=0.005, is_held=held.is_set) as heart:
        held.clear()
        assert heart._thread is not None
        heart._thread.join(20)
        path.write_text("of the new driver")
    assert path.read_text() == "of the new driver"
