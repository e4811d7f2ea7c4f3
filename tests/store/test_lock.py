from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gmm_dask.errors import ResourceError, StoreError
from gmm_dask.store.files import LOCAL
from gmm_dask.store.holder import holder_of
from gmm_dask.store.lock import RunLock
from gmm_dask.store.owner import Owner, this_process, to_json

from .simulated import BARE, Crash, FaultyFiles, MemoryFiles, copy_of, names, no_permission
from .test_heartbeat import until

LOCK = Path("/run/run.lock")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run" / "run.lock"


def write_lock(path: Path, owner: Owner, silent: float = 0.0) -> None:
    """Leave a lock of another process, silent for some seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(owner)))
    os.utime(path, (time.time() - silent,) * 2)


def test_a_second_driver_is_refused_at_once_and_told_who(run: Path) -> None:
    with RunLock(run):
        holder = holder_of(run)
        assert holder is not None
        assert holder.alive is True
        with pytest.raises(ResourceError) as caught:
            RunLock(run).acquire()
        for part in (f"pid {os.getpid()}", f"host {this_process().host}", "heartbeat 0 s ago"):
            assert part in str(caught.value)
        assert beating(run) == os.getpid()
    assert holder_of(run) is None
    assert names(run.parent) == ["heartbeat.json"]
    with RunLock(run) as lock:
        lock.check()


@pytest.mark.parametrize(("change", "silent", "kept"), [
    ({}, 0, True),
    ({"pid": 2**22 + 1}, 0, False),            # gone
    ({"started": -60.0}, 0, False),            # its number was given to another process
    ({"host": "elsewhere"}, 50, True),         # cannot be seen, but not silent for long
    ({"host": "elsewhere"}, 70, False),
    ({"namespace": "pid:[1]"}, 50, True),
    ({"namespace": "pid:[1]"}, 70, False),
    ({}, 70, False),                           # alive, but hanging
])  # fmt: skip
def test_the_dead_and_the_silent_do_not_keep_it(
    run: Path, change: dict, silent: float, kept: bool
) -> None:
    write_lock(run, replace(this_process(), **change), silent)
    if kept:
        with pytest.raises(ResourceError, match="another driver has this run"):
            RunLock(run).acquire()
        return
    with RunLock(run) as lock:
        lock.check()
        assert names(run.parent) == ["heartbeat.json", "run.lock"]  # no trace of the takeover
    assert not run.exists()


def test_a_heartbeat_keeps_the_lock_of_another_host_only_if_it_is_its_own(run: Path) -> None:
    owner = replace(this_process(), host="elsewhere")
    write_lock(run, owner, silent=500)
    beat = {"owner": to_json(owner), "stopped": False, "details": {}}
    run.with_name("heartbeat.json").write_text(json.dumps(beat))
    with pytest.raises(ResourceError, match="host elsewhere"):
        RunLock(run).acquire()
    beat["owner"] = to_json(replace(owner, token="of an earlier run"))
    run.with_name("heartbeat.json").write_text(json.dumps(beat))
    with RunLock(run):
        pass


def test_a_torn_lock_counts_by_its_age(run: Path) -> None:
    run.parent.mkdir()
    run.write_bytes(b"")
    with pytest.raises(ResourceError, match="just started"):
        RunLock(run).acquire()
    os.utime(run, (time.time() - 70,) * 2)
    with RunLock(run):
        pass


HOLD = """
from gmm_dask.store.lock import RunLock
RunLock(sys.argv[1], limit=1.0, every=0.05).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def beating(run: Path) -> int:
    """Return the process id in the heartbeat file."""
    return int(json.loads(run.with_name("heartbeat.json").read_text())["owner"]["pid"])


def test_killed_and_frozen_drivers(run: Path) -> None:
    """A real second process: refused while it runs, not when it hangs, not when it is killed."""
    command = [sys.executable, "-c", BARE + HOLD, str(run)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ResourceError, match=f"pid {other.pid}"):
            RunLock(run, limit=30.0).acquire()
        other.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        with RunLock(run, limit=1.0, every=0.05) as lock:
            other.send_signal(signal.SIGCONT)
            time.sleep(0.3)
            lock.check()
            # The other one noticed; at most a beat that it had begun came after
            until(lambda: beating(run) == os.getpid())
            other.kill()
    finally:
        other.kill()
        other.communicate()


def test_who_lost_the_run_notices(run: Path) -> None:
    with RunLock(run) as lock:
        write_lock(run, replace(this_process(), host="elsewhere"))
        with pytest.raises(ResourceError, match="names another driver"):
            lock.check()
    assert json.loads(run.read_text())["host"] == "elsewhere", "its lock is not deleted"
    assert not json.loads(run.with_name("heartbeat.json").read_text())["stopped"]


def test_of_many_at_once_one_wins(run: Path) -> None:
    """Twenty threads, each as a driver of its own, find the lock of a dead one."""
    write_lock(run, replace(this_process(), pid=2**22 + 1))
    winners, refused, barrier = [], [], threading.Barrier(20)

    def drive() -> None:
        lock = RunLock(run)
        barrier.wait()
        try:
            lock.acquire()
            winners.append(lock)
        except ResourceError:
            refused.append(lock)

    threads = [threading.Thread(target=drive) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) + len(refused) == 20
    still = [lock for lock in winners if lock.is_held()]
    for lock in winners:
        lock.release()
    assert len(still) == len(winners) == 1
    assert names(run.parent) == ["heartbeat.json"]


def test_a_quicker_driver_gets_its_lock_back() -> None:
    """Between the look at a silent lock and its removal it was released and taken anew."""
    files = MemoryFiles()
    files.make_folder(LOCK.parent)
    dead = replace(this_process(), pid=2**22 + 1)
    files.write(LOCK, json.dumps(to_json(dead)).encode())
    quicker = RunLock(LOCK, every=100, files=files)

    class Slow(FaultyFiles):
        def operate(self, name: str, *args: object) -> object:
            if name == "replace" and args[0] == LOCK:
                files.delete(LOCK)
                quicker.acquire()
            return super().operate(name, *args)

    with pytest.raises(ResourceError, match="another driver has this run"):
        RunLock(LOCK, every=100, files=Slow(files)).acquire()
    quicker.check()
    quicker.release()
    assert LOCK.name not in files.names(LOCK.parent)


def test_a_late_driver_does_not_touch_the_lock_of_a_quick_one() -> None:
    """Both saw the dead holder; the quick one has replaced it when the late one would."""
    files = MemoryFiles()
    files.make_folder(LOCK.parent)
    dead = replace(this_process(), pid=2**22 + 1)
    files.write(LOCK, json.dumps(to_json(dead)).encode())
    quick = RunLock(LOCK, every=100, files=files)

    class Late(FaultyFiles):
        def operate(self, name: str, *args: object) -> object:
            if name == "publish" and str(args[1]).endswith(".evicted.tmp"):
                quick.acquire()
            return super().operate(name, *args)

    late = Late(files)
    with pytest.raises(ResourceError, match="another driver has this run"):
        RunLock(LOCK, every=100, files=late).acquire()
    assert "replace run.lock" not in late.calls
    quick.check()
    quick.release()


@pytest.mark.parametrize("stale", [True, False])
def test_a_crash_while_locking_locks_nobody_out(stale: bool) -> None:
    base = MemoryFiles()
    base.make_folder(LOCK.parent)
    if stale:
        dead = replace(this_process(), pid=2**22 + 1)
        base.write(LOCK, json.dumps(to_json(dead)).encode())
    probe = FaultyFiles(copy_of(base))
    lock = RunLock(LOCK, every=100, files=probe)
    lock.acquire()
    count = probe.count
    lock.release()
    for at in range(count):
        files = copy_of(base)
        with pytest.raises(Crash):
            RunLock(LOCK, every=100, files=FaultyFiles(files, at, "torn")).acquire()
        for path in files.paths(LOCK.parent):
            # The crashed driver's process is this one, and lives; a real one would not
            alive = f'"pid": {os.getpid()}'.encode()
            files.write(path, files.read(path, 10**6).replace(alive, b'"pid": 4194305'))
        after = RunLock(LOCK, every=100, files=files)
        after.acquire()
        after.check()
        after.release()
    assert count >= 7


def test_a_folder_that_cannot_be_written_is_a_store_error() -> None:
    files = FaultyFiles(MemoryFiles(), 0, error=no_permission())
    with pytest.raises(StoreError, match=r"cannot lock /run/run\.lock: Permission denied"):
        RunLock(LOCK, files=files).acquire()


def test_a_lock_that_cannot_beat_is_given_back() -> None:
    base = MemoryFiles()
    probe = FaultyFiles(copy_of(base))
    with RunLock(LOCK, every=100, files=probe):
        calls = list(probe.calls)
    assert len(calls) >= 8
    for at, call in enumerate(calls):
        files = copy_of(base)
        lock = RunLock(LOCK, every=100, files=FaultyFiles(files, at, error=no_permission()))
        if call.startswith("delete"):
            lock.acquire()  # the draft stays behind until it is swept
            lock.release()
        else:
            with pytest.raises(StoreError, match="Permission denied"):
                lock.acquire()
        assert holder_of(LOCK, files=files) is None


def test_old_drafts_go(run: Path) -> None:
    run.parent.mkdir()
    for name in (".run.lock.abc.tmp", ".heartbeat.json.abc.tmp"):
        (run.parent / name).write_text("x")
        os.utime(run.parent / name, (time.time() - 4000,) * 2)
    with RunLock(run, files=LOCAL):
        assert names(run.parent) == ["heartbeat.json", "run.lock"]
